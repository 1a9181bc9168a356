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
  uint64_t net_ns = 0;
  uint64_t time_ns = 0;
};

// Of the calling process. Read once a pid: after a fork the child gets its own.
Identity self_identity();

// 32 bits that name a process inside its pid namespace: pid (22 bits: Linux's largest pid_max) and the low 10 bits of
// its start time. Small enough to sit in the word a writer claims a record with, so claim and owner are one store.
constexpr uint32_t owner_id(uint32_t pid, uint64_t start_ticks) {
  return (pid & 0x3fffffu) | static_cast<uint32_t>(start_ticks & 0x3ffu) << 22;
}

// False only when the process is certainly gone (no such pid, a zombie, or the pid now belongs to a later process).
// An owner of 0 (another pid namespace) counts as alive: taking over from the living would tear a record.
bool owner_alive(uint32_t owner);

uint64_t monotonic_ns();
int64_t wall_ns();

// Random bytes for nonces; never fails (falls back to clock, pid and address when the system has none).
void random_bytes(void* out, unsigned size);

}  // namespace esper
