// Participant slots: who is attached, who must see a generation, and how to wake them.
//
// Who may call: claim/leave and the owner's setters from the owning process; everything else from any.
// Protocol: claim = CAS owner from free (or from a dead owner) to (me, incarnation + 1); fill; filled = incarnation
// (release). Release = flags 0, then CAS owner back to (0, incarnation).
//
// Crash table
//   died after the claim, before `filled`   owner is dead and filled != incarnation: listed by nobody, taken over
//   died while filled                       owner is dead: not counted as live, not woken, taken over
//   died between flags 0 and owner 0        the same
//   died in another pid namespace           nobody here can tell: the slot stays taken until the segment goes
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "identity.h"
#include "shm_layout.h"

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
  uint32_t flags = 0;
  uint32_t seen_generation = 0;
  uint32_t acknowledged_generation = 0;
};

class Slots {
 public:
  explicit Slots(uint8_t* base);

  // Index of a slot that is now the caller's, -1 when all are held by the living.
  int claim();
  void describe(int index, std::string_view role, std::string_view name, uint32_t flags);
  void set_flags(int index, uint32_t flags);
  void leave(int index);

  [[nodiscard]] Slot& at(int index) const { return slots_[index]; }
  [[nodiscard]] uint32_t incarnation(int index) const;
  // Slots in use so far; a scan ends here.
  [[nodiscard]] uint32_t high_water() const;
  // False for free, half-filled or released slots.
  [[nodiscard]] bool filled(uint32_t index) const;
  [[nodiscard]] bool alive(uint32_t index) const;
  [[nodiscard]] SlotView view(uint32_t index) const;
  [[nodiscard]] std::vector<SlotView> members() const;

 private:
  Slot* slots_;
  Counters* counters_;
  Liveness liveness_;
  uint32_t self_owner_;
};

}  // namespace esper
