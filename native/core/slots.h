// Participant slots: who is attached, who must see a generation, and how to wake them.
//
// Who may call: claim/leave and the owner's setters from the owning process; everything else from any.
// Protocol: claim = CAS owner from free (or from a dead owner) to (me, incarnation + 1); fill; filled = incarnation
// (release). Release = flags 0, limit 0, phase idle, unlock, then CAS owner back to (0, incarnation).
// A slot of a file is locked as well (slot_locks.h), so that its owner's death shows in every pid namespace.
// Pulse: on a heartbeat the owner stores heartbeat_ns; on a change of phase heartbeat_ns, phase, limit_ms, in that
// order. Whoever judges loads limit_ms first (acquire), then heartbeat_ns: with a limit it sees at least the heartbeat
// that came with it, so that a change never looks like silence. Heartbeats come from the loop that is to be watched,
// never from a thread that would go on beating for it.
//
// Crash table
//   died after the claim, before `filled`   owner is dead and filled != incarnation: listed by nobody, taken over
//   died while filled                       owner is dead: not counted as live, taken over; a hint to its queue goes nowhere
//   died between flags 0 and owner 0        the same
//   died in another pid namespace           its lock is free: as above. Died before `filled`, or without a lock:
//                                           nobody here can tell, the slot stays taken until the segment goes
//   died between unlock and owner 0         flags are 0, so the lock says nothing: judged by its pid, as above
//   died between heartbeat, phase, limit    owner is dead: nobody judges its pulse
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "identity.h"
#include "shm_layout.h"
#include "slot_locks.h"

namespace esper {

struct SlotView {
  uint32_t index = 0;
  uint32_t pid = 0;
  uint64_t start_ticks = 0;
  std::string role;
  std::string name;
  bool alive = false;
  uint64_t heartbeat_ns = 0;
  uint32_t phase = 0;
  bool suspended = false;
  uint32_t limit_ms = 0;
  uint64_t stale_for_ns = 0;  // 0 = not stale, or not to be judged
  uint32_t flags = 0;
  uint32_t seen_generation = 0;
  uint32_t acknowledged_generation = 0;
};

class Slots {
 public:
  explicit Slots(uint8_t* base, SlotLocks* locks = nullptr);

  // Index of a slot that is now the caller's, -1 when all are held by the living.
  int claim();
  void describe(int index, std::string_view role, std::string_view name, uint32_t flags);
  void set_flags(int index, uint32_t flags);
  void beat(int index);
  // `phase` with kPhaseSuspended or not; a limit of 0 is never passed. Counts as a heartbeat.
  void set_phase(int index, uint32_t phase, uint32_t limit_ms);
  void leave(int index);

  [[nodiscard]] Slot& at(int index) const { return slots_[index]; }
  [[nodiscard]] uint32_t incarnation(int index) const;
  // Slots in use so far; a scan ends here.
  [[nodiscard]] uint32_t high_water() const;
  // False for free, half-filled or released slots.
  [[nodiscard]] bool filled(uint32_t index) const;
  // Filled and joined.
  [[nodiscard]] bool member(uint32_t index) const;
  [[nodiscard]] bool alive(uint32_t index) const;
  // Silence beyond the limit of its phase; 0 while it is within it, suspended or not judged. Says nothing about life.
  [[nodiscard]] uint64_t stale_for_ns(uint32_t index, uint64_t now_ns) const;
  [[nodiscard]] SlotView view(uint32_t index) const;
  [[nodiscard]] std::vector<SlotView> members() const;

 private:
  [[nodiscard]] bool dead(uint32_t index, uint64_t word) const;
  [[nodiscard]] uint32_t with_lock(int index, uint32_t flags) const;

  Slot* slots_;
  Counters* counters_;
  SlotLocks* locks_;
  Liveness liveness_;
  uint32_t self_owner_;
};

}  // namespace esper
