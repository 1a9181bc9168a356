// [R-B1] What the native thread does without JavaScript: deadlines, re-check, hints that come by futex.
#include <pthread.h>

#include <condition_variable>
#include <thread>

#include "check.h"
#include "watcher.h"

using namespace esper;
using namespace esper::test;

namespace {

// Counts notifications; waits for one without a bound of its own: ctest's time-out is the watchdog.
class Bell {
 public:
  void ring() {
    const std::lock_guard<std::mutex> lock(mutex_);
    count_++;
    changed_.notify_all();
  }
  void wait_for(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return count_ >= count; });
  }
  int count() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

void a_deadline_triggers_at_or_after_its_time() {
  Flag flag(private_region(SegmentKind::kRollback));
  Watcher watcher(flag);
  OwnedRequest request;
  request.level = 2;
  request.subject = "restore-1";
  const uint64_t deadline = monotonic_ns() + 20000000;
  CHECK(watcher.arm(deadline, request) > 0);
  while (flag.control().level == 0) std::this_thread::yield();
  const auto history = flag.history();
  CHECK(history.size() == 1 && history[0].subject() == "restore-1");
  CHECK(history[0].payload.monotonic_ns >= deadline);
}

void a_disarmed_deadline_does_not_fire() {
  Flag flag(private_region(SegmentKind::kRollback));
  Watcher watcher(flag);
  OwnedRequest request;
  request.level = 2;
  const uint32_t first = watcher.arm(monotonic_ns() + 300000000, request);
  request.level = 1;
  watcher.arm(monotonic_ns() + 310000000, request);
  CHECK(watcher.disarm(first) && !watcher.disarm(first));
  while (flag.control().level == 0) std::this_thread::yield();
  CHECK(flag.control().level == 1 && flag.history().size() == 1);
}

void a_deadline_past_its_time_cannot_be_disarmed() {
  for (int round = 0; round < 200; round++) {
    Flag flag(private_region(SegmentKind::kRollback));
    Watcher watcher(flag);
    OwnedRequest request;
    request.level = 2;
    const uint32_t handle = watcher.arm(monotonic_ns() - 1, request);
    CHECK(!watcher.disarm(handle));
    while (flag.control().level == 0) std::this_thread::yield();
  }
}

// In each order: the thread sleeps towards the one that was the earliest when it went to sleep.
void an_earlier_deadline_is_kept_although_a_later_one_was_armed_first() {
  Flag flag(private_region(SegmentKind::kRollback));
  Watcher watcher(flag);
  watcher.watch([] {}, 3600000000000);  // no look comes in time but the one that arming asks for
  OwnedRequest request;
  request.level = 2;
  request.subject = "late";
  CHECK(watcher.arm(monotonic_ns() + 3600000000000, request) > 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  request.subject = "soon";
  CHECK(watcher.arm(monotonic_ns() + 20000000, request) > 0);
  while (flag.control().level == 0) std::this_thread::yield();
  CHECK(flag.history().size() == 1 && flag.history()[0].subject() == "soon");
}

void every_deadline_of_many_is_kept_and_measured() {
  Flag flag(private_region(SegmentKind::kRollback));
  Watcher watcher(flag);
  OwnedRequest request;
  request.level = 2;
  std::vector<uint32_t> handles;
  for (uint64_t i = 0; i < 1000; i++) handles.push_back(watcher.arm(monotonic_ns() + 1000000 + i % 7 * 1000000, request));
  size_t disarmed = 0;
  for (size_t i = 0; i < handles.size(); i += 3) disarmed += watcher.disarm(handles[i]) ? 1 : 0;
  while (watcher.overruns().fired < handles.size() - disarmed) std::this_thread::yield();
  const OverrunStats stats = watcher.overruns();
  CHECK(stats.armed == 0 && stats.fired == handles.size() - disarmed);
  CHECK(stats.max_ns > 0 && stats.p50_ns <= stats.p99_ns && stats.p99_ns <= stats.max_ns);
  CHECK(flag.ring().next_ticket() == stats.fired);
}

void a_heartbeat_that_stops_triggers_once_until_it_comes_back() {
  Flag flag(private_region());
  flag.join("trainer", "a");
  Watcher watcher(flag);
  OwnedRequest request;
  request.level = 2;
  request.reason = "hangs";
  flag.set_phase(kPhaseCheckpointing, 0);
  CHECK(watcher.arm_heartbeat(20000000, request));
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  CHECK(flag.control().level == 0);  // only training is expected to beat
  flag.set_phase(kPhaseTraining | kPhaseSuspended, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  CHECK(flag.control().level == 0);
  flag.set_phase(kPhaseTraining, 0);
  while (flag.ring().next_ticket() < 1) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  CHECK(flag.ring().next_ticket() == 1);
  CHECK(watcher.overruns().fired == 1 && watcher.armed());
  flag.heartbeat();
  while (flag.ring().next_ticket() < 2) std::this_thread::yield();
  CHECK(watcher.arm_heartbeat(0, {}) && !watcher.armed());
}

// A system without threads: none has room for a stack of that size.
template <typename Run>
void without_threads(Run run) {
  pthread_attr_t before;
  pthread_attr_t huge;
  CHECK(pthread_getattr_default_np(&before) == 0 && pthread_attr_init(&huge) == 0);
  CHECK(pthread_attr_setstacksize(&huge, size_t{1} << 50) == 0 && pthread_setattr_default_np(&huge) == 0);
  run();
  CHECK(pthread_setattr_default_np(&before) == 0);
  pthread_attr_destroy(&before);
  pthread_attr_destroy(&huge);
}

void what_was_refused_for_want_of_a_thread_is_not_armed() {
  Flag flag(private_region());
  flag.join("trainer", "a");
  flag.set_phase(kPhaseTraining, 0);
  Watcher watcher(flag);
  OwnedRequest request;
  request.level = 2;
  without_threads([&] {
    CHECK(!watcher.arm_heartbeat(1000000, request) && !watcher.armed());
    CHECK(watcher.arm(monotonic_ns() - 1, request) == 0 && !watcher.armed() && !watcher.running());
  });
  request.level = 1;
  CHECK(watcher.arm(monotonic_ns() + 50000000, request) > 0);  // now there is one
  while (flag.control().level == 0) std::this_thread::yield();
  CHECK(flag.history().size() == 1 && flag.control().level == 1);
}

void judging_switched_on_again_tells_again() {
  auto region = private_region();
  Flag trainer(region);
  Flag supervisor(region);
  Watcher watcher(supervisor);
  Bell bell;
  trainer.join("trainer", "a");
  trainer.set_phase(kPhaseTraining, 30);
  watcher.watch([&] { bell.ring(); }, 5000000);
  for (int round = 1; round <= 3; round++) {
    watcher.judge(true);
    watcher.judge(true);  // on already: nothing begins anew
    while (watcher.stale_notices() < static_cast<uint32_t>(round)) std::this_thread::yield();
    const auto notices = watcher.take_stale();
    CHECK(notices.size() == 1 && notices[0].change == StaleChange::kStale);
    watcher.judge(true);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(watcher.take_stale().empty());
    watcher.judge(false);
  }
  watcher.unwatch();
}

void judging_tells_of_a_silent_participant() {
  auto region = private_region();
  Flag trainer(region);
  Flag supervisor(region);
  Watcher watcher(supervisor);
  Bell bell;
  trainer.join("trainer", "a");
  trainer.set_phase(kPhaseTraining, 30);
  watcher.judge(true);
  watcher.watch([&] { bell.ring(); }, 5000000);
  bell.wait_for(1);
  const auto notices = watcher.take_stale();
  CHECK(notices.size() == 1 && notices[0].change == StaleChange::kStale && notices[0].member.name == "a");
  const int before = bell.count();
  trainer.set_phase(kPhaseIdle, 0);
  bell.wait_for(before + 1);
  CHECK(watcher.take_stale().at(0).change == StaleChange::kRecovered);
  watcher.unwatch();
}

void the_recheck_finds_what_no_hint_told() {
  auto region = private_region();
  Flag flag(region);
  Watcher watcher(flag);
  Bell bell;
  watcher.watch([&] { bell.ring(); }, 2000000);
  Ring silent(region->base());
  silent.raise(request(4));  // no wake is sent: the writer died right after its CAS
  bell.wait_for(1);
  watcher.set_loop_generation(flag.control().generation);
  watcher.unwatch();
}

void a_trigger_wakes_a_watcher_without_a_socket_by_its_futex() {
  auto region = private_region();
  Flag watched(region);
  Flag sender(region);
  Watcher watcher(watched);
  Bell bell;
  CHECK(watched.want_wake(true) >= 0);
  watcher.watch([&] { bell.ring(); }, 3600000000000);  // a re-check that does not come in time
  sender.trigger(request(4));
  bell.wait_for(1);
  watcher.unwatch();
}

}  // namespace

int main() {
  RUN(a_deadline_triggers_at_or_after_its_time);
  RUN(a_disarmed_deadline_does_not_fire);
  RUN(a_deadline_past_its_time_cannot_be_disarmed);
  RUN(an_earlier_deadline_is_kept_although_a_later_one_was_armed_first);
  RUN(every_deadline_of_many_is_kept_and_measured);
  RUN(a_heartbeat_that_stops_triggers_once_until_it_comes_back);
  RUN(what_was_refused_for_want_of_a_thread_is_not_armed);
  RUN(judging_tells_of_a_silent_participant);
  RUN(judging_switched_on_again_tells_again);
  RUN(the_recheck_finds_what_no_hint_told);
  RUN(a_trigger_wakes_a_watcher_without_a_socket_by_its_futex);
}
