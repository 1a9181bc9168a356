// [R-B6] The heap of deadlines and the measure of how late they were kept.
#include "deadlines.h"

#include <algorithm>
#include <map>
#include <random>

#include "check.h"

using namespace esper;
using namespace esper::test;

namespace {

OwnedRequest named(uint64_t step) {
  OwnedRequest request;
  request.step = step;
  return request;
}

// Against a sorted map: same deadlines taken, in order, whatever is armed and disarmed in between.
void they_come_in_order_whatever_is_disarmed() {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  Deadlines deadlines;
  std::map<uint32_t, uint64_t> armed;
  uint64_t now = 0;
  size_t taken = 0;
  size_t withdrawn = 0;
  for (int round = 0; round < 20000; round++) {
    now++;
    if (random() % 3 != 0 && armed.size() < 500) {
      const uint64_t at = now + 1 + random() % 700;
      const uint32_t handle = deadlines.arm(at, named(at));
      CHECK(handle != 0 && !armed.contains(handle));
      armed[handle] = at;
    } else if (!armed.empty()) {
      auto victim = std::next(armed.begin(), static_cast<long>(random() % armed.size()));
      CHECK(deadlines.disarm(victim->first, now) == (victim->second > now));
      if (victim->second > now) {
        CHECK(!deadlines.disarm(victim->first, now));
        armed.erase(victim);
        withdrawn++;
      }
    }
    uint64_t last = 0;
    uint64_t at = 0;
    OwnedRequest request;
    while (deadlines.take_due(now, at, request)) {
      CHECK(at >= last && at <= now && request.step == at);
      last = at;
      const auto found = std::find_if(armed.begin(), armed.end(), [&](const auto& one) { return one.second == at; });
      CHECK(found != armed.end());
      armed.erase(found);
      taken++;
    }
    const auto earliest = std::min_element(armed.begin(), armed.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
    CHECK(deadlines.next() == (armed.empty() ? UINT64_MAX : earliest->second));
    CHECK(deadlines.size() == armed.size());
  }
  CHECK(taken > 1000 && withdrawn > 100);
}

void they_are_bounded_and_places_are_used_again() {
  Deadlines deadlines;
  std::vector<uint32_t> handles;
  for (size_t i = 0; i < kMaxDeadlines; i++) handles.push_back(deadlines.arm(1000 + i, named(i)));
  CHECK(std::count(handles.begin(), handles.end(), 0u) == 0 && deadlines.arm(1, named(0)) == 0);
  CHECK(deadlines.disarm(handles[77], 0));
  const uint32_t next = deadlines.arm(5, named(0));
  CHECK(next != 0 && next != handles[77]);
  CHECK(!deadlines.disarm(handles[77], 0));  // the place is another deadline's now
  CHECK(deadlines.next() == 5);
}

void a_handle_that_was_never_given_disarms_nothing() {
  Deadlines deadlines;
  CHECK(!deadlines.disarm(0, 0) && !deadlines.disarm(UINT32_MAX, 0));
  const uint32_t handle = deadlines.arm(5, named(0));
  CHECK(!deadlines.disarm(handle + (1u << 12), 0) && !deadlines.disarm(handle + 1, 0));
  CHECK(deadlines.disarm(handle, 0));
}

void overruns_are_told_within_their_bound() {
  Overruns overruns;
  CHECK(overruns.stats(3).fired == 0 && overruns.stats(3).p99_ns == 0 && overruns.stats(3).armed == 3);
  for (uint64_t us = 1; us <= 1000; us++) overruns.note(us * 1000);
  const OverrunStats stats = overruns.stats(0);
  CHECK(stats.fired == 1000 && stats.max_ns == 1000000);
  CHECK(stats.p50_ns >= 500000 && stats.p50_ns <= 500000 + 500000 / 128);
  CHECK(stats.p99_ns >= 990000 && stats.p99_ns <= 990000 + 990000 / 128);
  overruns.note(UINT64_MAX);  // longer than the buckets go: counted in the last
  CHECK(overruns.stats(0).max_ns == UINT64_MAX && overruns.stats(0).fired == 1001);
}

}  // namespace

int main() {
  RUN(they_come_in_order_whatever_is_disarmed);
  RUN(they_are_bounded_and_places_are_used_again);
  RUN(a_handle_that_was_never_given_disarms_nothing);
  RUN(overruns_are_told_within_their_bound);
}
