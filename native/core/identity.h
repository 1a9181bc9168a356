// Who this process is to others on the host, and whether somebody else is still alive.
#pragma once

#include <array>
#include <cstdint>

namespace esper {

struct Identity {
  uint32_t pid = 0;
  uint64_t start_ticks = 0;  // /proc/<pid>/stat field 22; 0 where there is no /proc
  uint32_t uid = 0;
  std::array<uint8_t, 16> boot_id{};
  uint64_t pid_ns = 0;
  uint64_t time_ns = 0;  // 0 on kernels that have no such namespaces
  // All of it could be read. Who cannot say who he is must not take part: a segment he made nobody could attach to,
  // and by an owner id without its start time he would pass for dead.
  bool whole = false;
};

// Of the calling process. Kept once it could be read whole; after a fork the child gets its own.
Identity self_identity();

// 32 bits that name a process inside its pid namespace: pid (22 bits: Linux's largest pid_max) and the low 10 bits of
// its start time. Small enough to sit in the word a writer claims a record with, so claim and owner are one store.
constexpr uint32_t owner_id(uint32_t pid, uint64_t start_ticks) {
  return (pid & 0x3fffffu) | static_cast<uint32_t>(start_ticks & 0x3ffu) << 22;
}

// Owner id of a process whose pid means nothing to the others (another pid namespace). No pid is 0, so it differs from
// every other id, and from 0, which says "free" where a slot or stripe is concerned.
inline constexpr uint32_t kForeignOwner = 0xffc00000u;

// False only when the process is certainly gone (no such pid, a zombie, or the pid now belongs to a later process).
// 0 and kForeignOwner count as alive: taking over from the living would tear a record.
// REQUIRES: the ids are of the caller's own pid namespace; see Liveness.
bool owner_alive(uint32_t owner);

// The same with the whole start time at hand: no pid used again can pass for its former owner.
bool process_alive(uint32_t pid, uint64_t start_ticks);

// Who may be judged, from this process. In another pid namespace than the segment's, nobody: all count as alive.
class Liveness {
 public:
  explicit Liveness(uint64_t segment_pid_ns) : same_(self_identity().pid_ns == segment_pid_ns) {}
  [[nodiscard]] bool alive(uint32_t owner) const { return !same_ || owner_alive(owner); }
  // Whether the pid of that owner means anything here.
  [[nodiscard]] bool knows(uint32_t owner) const { return same_ && owner != kForeignOwner; }
  // Own owner id as this segment knows it.
  [[nodiscard]] uint32_t self() const {
    const Identity me = self_identity();
    return same_ ? owner_id(me.pid, me.start_ticks) : kForeignOwner;
  }

 private:
  bool same_;
};

uint64_t monotonic_ns();
int64_t wall_ns();

// Random bytes for nonces; never fails (falls back to clock, pid and address when the system has none).
void random_bytes(void* out, unsigned size);

}  // namespace esper
