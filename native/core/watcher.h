// The native thread of a flag handle: what must happen although the event loop is blocked.
//   - deadline timers: on expiry it triggers the request they were armed with, and measures how late that was
//   - the own heartbeat's deadline: triggers when the loop that beats has stopped for too long
//   - judging the participants, this process's own included, by the limits of their phases
//   - the bounded re-check: completes what dead writers left, notices lost hints, passes futex hints on to the loop
//   - notices that the segment's name leads elsewhere
//
// One thread a handle, started by the first watch or deadline, joined by stop(). Deadlines are kept in a heap under a
// mutex that only this process uses; the thread never holds it while it triggers. The thread beats for nobody.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "deadlines.h"
#include "flag.h"
#include "stale_watch.h"

namespace esper {

class Watcher {
 public:
  explicit Watcher(Flag& flag);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // `notify` runs on the watcher's thread whenever the loop should look at the flag.
  // False when the system gives no thread.
  bool watch(std::function<void()> notify, uint64_t recheck_ns);
  void unwatch();
  // What the event loop has looked at; the re-check compares with it.
  void set_loop_generation(uint32_t generation) { loop_generation_.store(generation, std::memory_order_release); }
  // Makes the next re-check notify even without a new generation (the loop stopped polling its queue).
  void ask_notify() { notify_asked_.store(true, std::memory_order_release); }
  // Counts the checks that found the segment's name leading elsewhere. Each of them notifies, so that whoever could
  // not follow the name yet tries again.
  [[nodiscard]] uint32_t name_notices() const { return name_notices_.load(std::memory_order_acquire); }

  // Handle above 0, or 0 when kMaxDeadlines are armed, or when the system gives no thread (then !running()).
  uint32_t arm(uint64_t deadline_ns, OwnedRequest request);
  // True when it was disarmed before its time; otherwise it has fired or is about to.
  bool disarm(uint32_t handle);
  // Triggers `request` once each time the own slot, in the phase `training` and not suspended, has no heartbeat for
  // `limit_ns`. A heartbeat postpones it without a call: the thread reads the slot. 0 ends it.
  bool arm_heartbeat(uint64_t limit_ns, OwnedRequest request);
  [[nodiscard]] OverrunStats overruns();

  // Judges participants from now on, or no longer; each change of one notifies. Works while somebody watches. Begins
  // anew each time it is switched on: whoever is silent then is told of again.
  void judge(bool on);
  // What judging found since the last call.
  std::vector<StaleNotice> take_stale() { return stale_.take(); }
  [[nodiscard]] uint32_t stale_notices() const { return stale_.count(); }

  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] bool armed();
  void stop();

 private:
  bool start();
  void run();
  void kick();
  uint64_t fire_due();
  uint64_t check_heartbeat(uint64_t now);
  uint64_t plan_sleep(uint64_t until_ns);
  void fire(uint64_t due_ns, const OwnedRequest& request);
  bool judge_members(uint64_t now);
  void recheck(uint64_t now);

  Flag& flag_;
  std::atomic<uint32_t>* wake_word_;
  std::atomic<uint32_t> local_word_{0};  // when no slot could be had
  std::mutex mutex_;
  Deadlines deadlines_;
  Overruns overruns_;
  std::atomic<uint64_t> awake_at_ns_{0};  // the thread looks at the heap at this time without being told to
  std::atomic<uint64_t> beat_limit_ns_{0};
  OwnedRequest beat_request_;
  uint64_t beat_fired_ = 0;  // heartbeat whose silence was told
  StaleWatch stale_;
  std::atomic<bool> judging_{false};
  std::function<void()> notify_;
  std::atomic<uint64_t> recheck_ns_{0};  // 0 = nobody watches
  std::atomic<uint32_t> loop_generation_{0};
  std::atomic<bool> notify_asked_{false};
  std::atomic<uint32_t> name_notices_{0};
  std::atomic<bool> stopping_{false};
  uint64_t next_name_check_ns_ = 0;
  uint64_t next_judgement_ns_ = 0;
  pthread_t thread_{};
  bool running_ = false;
};

}  // namespace esper
