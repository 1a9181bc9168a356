// Waking the watchers of a segment. A wake is a hint: the control word is the truth, and every watcher looks at it
// again at a bounded interval, so a hint that is lost, late or forged costs time, never correctness.
//
// Each watcher owns a POSIX message queue of one message that its event loop polls: one hop. It has an owner and mode
// 0600, so no other user can send, and its wake-up lets the kernel pick an idle processor at once; a socket's asks it
// to wait until the sender sleeps, which a trainer that goes on computing does not do. Where a queue cannot be had or
// opened (another IPC namespace, the system's limit), the watcher's futex word in its slot is raised, and its native
// thread passes the hint on. Outside watchers may sleep on the generation half of the control word.
//
// A full queue means that a hint is waiting to be taken. Watchers take it before they look, so nothing is missed.
//
// Crash table
//   watcher died   its queue keeps its name; the next watcher of the segment removes it while the slot is nobody's, the
//                  next watcher in that slot in any case, and unlinking the segment (one whose file was removed by
//                  other means is left until the host or its IPC namespace ends)
//   sender died    before its send: the watchers' re-check; after it: nothing is left
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "ring.h"
#include "slots.h"

namespace esper {

enum class Hint { kFailed, kSent, kWaiting };

// One per flag object; any thread may send.
class WakeSender {
 public:
  WakeSender() = default;
  ~WakeSender();
  WakeSender(const WakeSender&) = delete;
  WakeSender& operator=(const WakeSender&) = delete;

  // Wakes every watcher of the segment. Never blocks. Returns whether a sleeper outside slot `own` was woken.
  bool wake_all(const Header& header, const Ring& ring, const Slots& slots, int own);

 private:
  struct Target {
    uint64_t number = 0;  // of the queue; every watch opens a new one
    int queue = -1;
  };

  Hint send(const Header& header, uint32_t slot, uint64_t number);

  std::mutex mutex_;
  std::array<Target, kSlotCount> targets_;
};

// The queue a watcher's event loop polls.
class WakeReceiver {
 public:
  WakeReceiver() = default;
  ~WakeReceiver();
  WakeReceiver(const WakeReceiver&) = delete;
  WakeReceiver& operator=(const WakeReceiver&) = delete;

  // False when the system gives no queue; the slot's futex then carries the hints.
  bool open(const Header& header, Slot& slot, uint32_t index);
  // Takes the hint that is waiting. Its content is not trusted.
  void take() const;
  [[nodiscard]] int fd() const { return queue_; }

 private:
  int queue_ = -1;
  char name_[80] = {};
};

// Lets whoever was just woken on this processor run first. The scheduler wakes a sleeper where its waker runs when that
// spares waking an idle processor, and there it waits until the waker sleeps: a trainer that goes on computing would
// keep the watchers of its emergency waiting for a time slice. Returns at once when nobody waits here.
void give_way();

// Removes the queues that watchers left behind who died.
void unlink_dead_queues(const Header& header, const Slots& slots);

}  // namespace esper
