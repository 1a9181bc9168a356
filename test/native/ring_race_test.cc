// Threads on one ring: no torn record, no lost level, applied exactly once. Run under ThreadSanitizer as well.
#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "check.h"

using namespace esper;
using namespace esper::test;

namespace {

constexpr int kWriters = 4;
constexpr int kPerWriter = 2000;

void writers_and_readers() {
  auto region = private_region();
  Flag observer(region);
  Cursor cursor(observer.ring(), Cursor::From::kNow);  // before the first ticket, so that it owes every record
  std::atomic<bool> done{false};
  std::atomic<uint64_t> good{0};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; writer++) {
    threads.emplace_back([&, writer] {
      Flag flag(region);
      // The whole payload is one letter, so a torn copy shows even if its checksum were to match.
      const std::string reason(kReasonBytes, static_cast<char>('a' + writer));
      for (int i = 0; i < kPerWriter; i++) flag.trigger(request(static_cast<uint8_t>(1 + i % 3), reason));
    });
  }
  std::thread reader([&] {
    uint64_t seen = 0;
    for (bool last = false; !last;) {
      last = done.load();
      Batch batch;
      do {
        batch = cursor.poll(observer.ring(), 64);
        CHECK(batch.holes == 0);
        for (const RecordView& view : batch.records) {
          const std::string reason = view.reason();
          CHECK(reason.size() == kReasonBytes);
          CHECK(std::all_of(reason.begin(), reason.end(), [&](char c) { return c == reason[0]; }));
          CHECK(view.generation > 0);
          good++;
        }
        seen += batch.records.size() + batch.overruns;
      } while (batch.records.size() == 64);
    }
    // A writer that met a slot in use took another ticket; the one it left is told as an overrun a lap later.
    CHECK(seen >= kWriters * kPerWriter && seen <= observer.ring().next_ticket());
  });
  for (std::thread& thread : threads) thread.join();
  done.store(true);
  reader.join();
  CHECK(good.load() > 0);
  Flag flag(region);
  CHECK(flag.control().generation == kWriters * kPerWriter && flag.control().level == 3);
  std::set<uint32_t> generations;
  const auto history = flag.history();
  for (const RecordView& view : history) generations.insert(view.generation);
  CHECK(history.size() > kRecordCount / 2 && generations.size() == history.size());
}

// Each round: a HALT races a clear of an ELEVATED. Whatever the order, the HALT stands at the end.
void a_trigger_that_races_a_clear_is_never_lost() {
  auto region = private_region();
  int cleared_first = 0;
  int superseded = 0;
  for (int round = 0; round < 2000; round++) {
    Flag flag(region);
    flag.trigger(request(2));
    ClearRequest clear;
    clear.generation = flag.control().generation;
    clear.level = 2;
    clear.force = true;
    std::atomic<int> ready{0};
    ClearOutcome outcome{};
    std::thread clearer([&] {
      Flag mine(region);
      ready++;
      while (ready.load() < 2) std::this_thread::yield();
      outcome = mine.clear(clear).outcome;
    });
    std::thread raiser([&] {
      Flag mine(region);
      ready++;
      while (ready.load() < 2) std::this_thread::yield();
      for (std::atomic<int> i{0}; i.fetch_add(1) < round % 40 * 200;) {
      }
      mine.trigger(request(4));
    });
    clearer.join();
    raiser.join();
    CHECK(flag.control().level == 4);
    (outcome == ClearOutcome::kCleared ? cleared_first : superseded)++;
    ClearRequest reset;
    reset.generation = flag.control().generation;
    reset.level = 4;
    reset.force = true;
    CHECK(flag.clear(reset).outcome == ClearOutcome::kCleared);
  }
  std::printf("    clear first %d, trigger first %d\n", cleared_first, superseded);
  CHECK(cleared_first > 0 && superseded > 0);
}

}  // namespace

int main() {
  RUN(writers_and_readers);
  RUN(a_trigger_that_races_a_clear_is_never_lost);
}
