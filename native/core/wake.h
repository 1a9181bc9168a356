// Waking the watchers of a segment. A wake is a hint: the control word is the truth, and every watcher looks at it
// again at a bounded interval, so a hint that is lost, late or forged costs time, never correctness.
//
// A watcher in the sender's network namespace is reached by one datagram to an abstract Unix socket that its event
// loop polls: one hop. Where that fails (other namespace, queue full, no socket) its slot's futex word is raised, and
// its native thread passes the hint on. Outside watchers may sleep on the generation half of the control word.
#pragma once

#include <cstdint>

#include "ring.h"
#include "slots.h"

namespace esper {

// One per flag object; any thread may send.
class WakeSender {
 public:
  WakeSender();
  ~WakeSender();
  WakeSender(const WakeSender&) = delete;
  WakeSender& operator=(const WakeSender&) = delete;

  // Wakes every watcher of the segment. Never blocks.
  void wake_all(const Header& header, const Ring& ring, const Slots& slots) const;

 private:
  void wake_slot(const Header& header, const Slots& slots, uint32_t index) const;

  int fd_;
  uint64_t net_ns_;
};

// The socket a watcher's event loop polls.
class WakeReceiver {
 public:
  WakeReceiver() = default;
  ~WakeReceiver();
  WakeReceiver(const WakeReceiver&) = delete;
  WakeReceiver& operator=(const WakeReceiver&) = delete;

  // False when the address is taken or the system has no abstract sockets; the slot's futex then carries the hints.
  bool open(const Header& header, uint32_t slot, uint32_t incarnation);
  // Takes one hint from the queue. Contents are not trusted.
  void take_one() const;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace esper
