// Who is who among the modelled threads: each is a process of its own to the code under test.
#include "identity.h"
#include "weak_machine.h"

namespace esper {
namespace {

using weak::Machine;
constexpr uint32_t kAuditor = 1000;  // whoever looks after the threads have ended

}  // namespace

Identity self_identity() {
  Identity self;
  self.pid = Machine::get().running() ? Machine::get().self() + 1 : kAuditor;
  self.start_ticks = 7;
  self.pid_ns = 1;
  self.time_ns = 1;
  self.boot_id[0] = 1;
  self.whole = true;
  return self;
}

bool owner_alive(uint32_t owner) {
  const uint32_t pid = owner & 0x3fffffu;
  if (owner == 0 || owner == kForeignOwner || pid == kAuditor) return true;
  if (!Machine::get().dead(pid - 1)) return true;
  if (Machine::get().running()) Machine::get().learn_from(pid - 1);
  return false;
}

bool process_alive(uint32_t pid, uint64_t start_ticks) { return owner_alive(owner_id(pid, start_ticks)); }

uint64_t monotonic_ns() { return Machine::get().clock(); }
int64_t wall_ns() { return 1; }

void random_bytes(void* out, unsigned size) {
  for (unsigned i = 0; i < size; i++) static_cast<uint8_t*>(out)[i] = static_cast<uint8_t>(i + 1);
}

}  // namespace esper
