// The native thread of a flag handle: what must happen although the event loop is blocked.
//   - deadline timers: on expiry it triggers the request they were armed with
//   - the bounded re-check: completes what dead writers left, notices lost hints, passes futex hints on to the loop
//   - notices that the segment's name leads elsewhere
//
// One thread a handle, started by the first watch or deadline, joined by stop(). Deadlines are kept in a small array
// under a mutex that only this process uses; the thread never holds it while it triggers.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "flag.h"

namespace esper {

inline constexpr size_t kMaxDeadlines = 64;

// A request that outlives the call it came in.
struct OwnedRequest {
  uint8_t level = 0;
  uint8_t tier = 0;
  bool published = false;
  uint64_t step = 0;
  uint64_t deadline_ns = 0;
  uint32_t reason_given_size = 0;
  std::string signal_id;
  std::string subject;
  std::string origin;
  std::string run_id;
  std::string reason;

  [[nodiscard]] Request view() const;
};

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
  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] bool armed();
  void stop();

 private:
  struct Deadline {
    uint32_t handle = 0;  // 0 = free
    uint64_t at_ns = 0;
    OwnedRequest request;
  };

  bool start();
  void run();
  void kick();
  uint64_t fire_due(uint64_t now);
  void recheck(uint64_t now);

  Flag& flag_;
  std::atomic<uint32_t>* wake_word_;
  std::atomic<uint32_t> local_word_{0};  // when no slot could be had
  std::mutex mutex_;
  std::array<Deadline, kMaxDeadlines> deadlines_;
  std::function<void()> notify_;
  uint32_t next_handle_ = 1;
  std::atomic<uint64_t> recheck_ns_{0};  // 0 = nobody watches
  std::atomic<uint32_t> loop_generation_{0};
  std::atomic<bool> notify_asked_{false};
  std::atomic<uint32_t> name_notices_{0};
  std::atomic<bool> stopping_{false};
  uint64_t next_name_check_ns_ = 0;
  pthread_t thread_{};
  bool running_ = false;
};

}  // namespace esper
