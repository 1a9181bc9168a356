// [R-B5] Silences told by the judge of participants: each once, bounded, and from the beginning after a restart.
#include "stale_watch.h"

#include <vector>

#include "check.h"

using namespace esper;
using namespace esper::test;

namespace {

void a_silence_is_told_once_and_its_end_once() {
  auto region = private_region();
  Flag flag(region);
  const int index = flag.join("trainer", "a");
  flag.set_phase(kPhaseTraining, 100);
  Slot& slot = slot_at(*region, index);
  StaleWatch watch(flag.slots());
  CHECK(!watch.scan(monotonic_ns()) && watch.take().empty());
  slot.heartbeat_ns.store(monotonic_ns() - 200 * kMs);
  CHECK(watch.scan(monotonic_ns()) && !watch.scan(monotonic_ns()));
  const auto stale = watch.take();
  CHECK(stale.size() == 1 && stale[0].change == StaleChange::kStale && stale[0].member.name == "a");
  CHECK(stale[0].member.stale_for_ns >= 100 * kMs);
  flag.heartbeat();
  CHECK(watch.scan(monotonic_ns()) && !watch.scan(monotonic_ns()));
  CHECK(watch.take().at(0).change == StaleChange::kRecovered);
  slot.heartbeat_ns.store(monotonic_ns() - 200 * kMs);
  CHECK(watch.scan(monotonic_ns()) && watch.take().size() == 1);  // the next episode
  flag.leave();
  CHECK(watch.scan(monotonic_ns()));
  const auto gone = watch.take();
  CHECK(gone.size() == 1 && gone[0].change == StaleChange::kGone && gone[0].member.name == "a");
  CHECK(watch.count() == 4);
}

void untaken_notices_are_bounded() {
  auto region = private_region();
  Flag flag(region);
  const int index = flag.join("trainer", "a");
  StaleWatch watch(flag.slots());
  for (int episode = 0; episode < 1000; episode++) {
    flag.set_phase(kPhaseTraining, 100);
    slot_at(*region, index).heartbeat_ns.store(monotonic_ns() - 200 * kMs);
    CHECK(watch.scan(monotonic_ns()));
    if (episode == 999) break;
    flag.heartbeat();
    CHECK(watch.scan(monotonic_ns()));
  }
  const auto left = watch.take();
  CHECK(left.size() == 1 && left[0].change == StaleChange::kStale);
}

void an_untaken_silence_makes_room_and_an_awaited_end_stays() {
  auto region = private_region();
  Flag flag(region);
  const int index = flag.join("trainer", "a");
  flag.set_phase(kPhaseTraining, 100);
  StaleWatch watch(flag.slots());
  const auto silent = [&] {
    slot_at(*region, index).heartbeat_ns.store(monotonic_ns() - 200 * kMs);
    CHECK(watch.scan(monotonic_ns()));
  };
  const auto back = [&] {
    flag.heartbeat();
    CHECK(watch.scan(monotonic_ns()));
  };
  const auto taken = [&] {
    std::vector<StaleChange> changes;
    for (const StaleNotice& notice : watch.take()) changes.push_back(notice.change);
    return changes;
  };
  using enum StaleChange;
  silent();
  CHECK(taken() == std::vector{kStale});
  back(), silent(), back(), silent();
  CHECK((taken() == std::vector{kRecovered, kStale}));  // the end of what was taken, and what is so now
  back(), silent(), back();
  CHECK((taken() == std::vector{kRecovered, kStale, kRecovered}));
  silent(), back(), silent(), back();
  CHECK((taken() == std::vector{kStale, kRecovered}));
}

void the_silences_of_other_slots_are_kept() {
  auto region = private_region();
  Flag one(region), other(region);
  StaleWatch watch(one.slots());
  for (Flag* flag : {&one, &other}) flag->join("trainer", "a"), flag->set_phase(kPhaseTraining, 100);
  const auto all = [&](uint64_t heartbeat_ns) {
    for (int index : {0, 1}) slot_at(*region, index).heartbeat_ns.store(heartbeat_ns);
    CHECK(watch.scan(monotonic_ns()));
  };
  all(monotonic_ns() - 200 * kMs);
  all(monotonic_ns());
  slot_at(*region, 1).heartbeat_ns.store(monotonic_ns() - 200 * kMs);
  CHECK(watch.scan(monotonic_ns()));
  size_t of_one = 0, of_other = 0;
  for (const StaleNotice& notice : watch.take()) (notice.member.index == 0 ? of_one : of_other)++;
  CHECK(of_one == 2 && of_other == 1);
}

void a_restart_tells_again_of_who_is_silent_and_forgets_the_rest() {
  auto region = private_region();
  Flag flag(region);
  const int index = flag.join("trainer", "a");
  flag.set_phase(kPhaseTraining, 100);
  StaleWatch watch(flag.slots());
  slot_at(*region, index).heartbeat_ns.store(monotonic_ns() - 200 * kMs);
  CHECK(watch.scan(monotonic_ns()));
  watch.restart();
  CHECK(watch.take().empty());  // untaken before it
  CHECK(watch.scan(monotonic_ns()) && watch.take().at(0).change == StaleChange::kStale);
  CHECK(!watch.scan(monotonic_ns()));
  watch.restart();
  flag.heartbeat();
  CHECK(!watch.scan(monotonic_ns()) && watch.take().empty());  // its end was for who was told of its beginning
}

}  // namespace

int main() {
  RUN(a_silence_is_told_once_and_its_end_once);
  RUN(untaken_notices_are_bounded);
  RUN(an_untaken_silence_makes_room_and_an_awaited_end_stays);
  RUN(the_silences_of_other_slots_are_kept);
  RUN(a_restart_tells_again_of_who_is_silent_and_forgets_the_rest);
}
