// [R-B7] Every row of the crash table in slots.h, staged by hand.
#include "check.h"
#include "dead_owner.h"
#include "slot_locks.h"

using namespace esper;
using namespace esper::test;

namespace {

uint64_t owner_word(uint32_t owner, uint32_t incarnation) { return uint64_t{incarnation} << 32 | owner; }

// A participant whose process is gone: everything it wrote while it lived, and then what `stage` makes of it.
std::shared_ptr<Region> region_with_a_dead_one(void (*stage)(Slot&)) {
  auto region = private_region();
  Flag flag(region);
  CHECK(flag.join("trainer", "late") == 0);
  flag.set_phase(kPhaseTraining, 1);
  Slot& slot = slot_at(*region, 0);
  slot.owner.store(owner_word(dead_owner(), 1));
  if (stage != nullptr) stage(slot);
  return region;
}

void cleared_without_the_dead(Flag& flag) {
  flag.trigger(request(2));
  ClearRequest clear;
  clear.generation = flag.control().generation;
  clear.level = 2;
  CHECK(flag.clear(clear).outcome == ClearOutcome::kCleared);
}

void taken_over(Flag& flag) {
  const uint32_t before = flag.slots().incarnation(0);
  CHECK(flag.join("trainer", "next") == 0);
  CHECK(flag.slots().incarnation(0) == before + 1);
  const std::vector<SlotView> members = flag.slots().members();
  CHECK(members.size() == 1 && members[0].name == "next" && members[0].alive);
}

void died_after_the_claim_before_filled() {
  Flag flag(region_with_a_dead_one([](Slot& slot) {
    slot.owner.store(owner_word(static_cast<uint32_t>(slot.owner.load()), 2));  // filled still says 1
  }));
  CHECK(!flag.slots().filled(0) && flag.slots().members().empty());
  cleared_without_the_dead(flag);
  taken_over(flag);
}

void died_while_filled() {
  Flag flag(region_with_a_dead_one(nullptr));
  const std::vector<SlotView> members = flag.slots().members();
  CHECK(members.size() == 1 && members[0].name == "late" && !members[0].alive);
  cleared_without_the_dead(flag);
  taken_over(flag);
}

void died_between_flags_0_and_owner_0() {
  Flag flag(region_with_a_dead_one([](Slot& slot) { slot.flags.store(0); }));
  CHECK(flag.slots().members().empty() && !flag.slots().alive(0));
  cleared_without_the_dead(flag);
  taken_over(flag);
}

// Seen from another pid namespace: the segment's is not ours, and the owner is one that nobody here can judge.
struct Elsewhere {
  explicit Elsewhere(const char* what) {
    options.name = unique_name(what);
    options.attach_timeout_ms = 100;
    Status status;
    region = Region::open_shared(options, status);
    CHECK(region != nullptr);
    Flag flag(region);
    CHECK(flag.join("trainer", "guest") == 0);
    guest = slot_at(*region, 0).flags.load();
    // Not given back, as if killed: the lock below is all that is left of it.
    slot_at(*region, 0).owner.store(owner_word(kForeignOwner, 1));
    region->header()->pid_ns_inode ^= 1;
    region->header()->crc32c = header_crc(*region->header());
  }
  ~Elsewhere() {
    bool removed = false;
    CHECK(Region::unlink(options.name, "/dev/shm", removed).ok() && removed);
  }
  std::shared_ptr<Region> open() const {
    Status status;
    auto again = Region::open_shared(options, status);
    CHECK(again != nullptr);
    return again;
  }
  RegionOptions options;
  std::shared_ptr<Region> region;
  uint32_t guest = 0;
};

void lives_in_another_pid_namespace() {
  Elsewhere elsewhere("elsewhere");
  CHECK((elsewhere.guest & kSlotLocked) != 0);
  Flag flag(elsewhere.open());
  CHECK(flag.slots().alive(0) && flag.join("trainer", "next") == 1);
}

void died_in_another_pid_namespace() {
  Elsewhere elsewhere("elsewhere");
  elsewhere.region.reset();  // its last descriptor, and with it the lock
  Flag flag(elsewhere.open());
  CHECK(flag.slots().members().size() == 1 && !flag.slots().alive(0));
  cleared_without_the_dead(flag);
  taken_over(flag);
}

void died_in_another_pid_namespace_before_filled() {
  Elsewhere elsewhere("elsewhere");
  elsewhere.region.reset();
  Flag flag(elsewhere.open());
  slot_at(flag.region(), 0).filled.store(0);
  CHECK(flag.slots().alive(0) && flag.slots().members().empty());
  cleared_without_the_dead(flag);  // it is no member yet, so nobody waits for it
  CHECK(flag.join("trainer", "next") == 1);
}

void died_in_another_pid_namespace_without_a_lock() {
  Elsewhere elsewhere("elsewhere");
  elsewhere.region.reset();
  Flag flag(elsewhere.open());
  slot_at(flag.region(), 0).flags.store(kSlotMember);
  CHECK(flag.slots().alive(0) && flag.join("trainer", "next") == 1);
}

void died_between_unlock_and_owner_0() {
  const std::string name = unique_name("unlock");
  RegionOptions options;
  options.name = name;
  Status status;
  auto region = Region::open_shared(options, status);
  CHECK(region != nullptr);
  {
    Flag flag(region);
    CHECK(flag.join("trainer", "late") == 0);
    slot_at(*region, 0).flags.store(0);
    region->locks().unlock(0);
    slot_at(*region, 0).owner.store(owner_word(dead_owner(), 1));
  }
  Flag flag(region);
  CHECK(!flag.slots().alive(0) && flag.slots().members().empty());
  taken_over(flag);
  bool removed = false;
  CHECK(Region::unlink(name, "/dev/shm", removed).ok() && removed);
}

void died_between_heartbeat_phase_and_limit() {
  for (const bool phase_too : {false, true}) {
    auto region = region_with_a_dead_one(nullptr);
    Slot& slot = slot_at(*region, 0);
    slot.heartbeat_ns.store(1);
    if (phase_too) slot.phase.store(kPhaseCheckpointing);
    slot.limit_ms.store(1);  // of the phase before
    Flag flag(region);
    const std::vector<SlotView> members = flag.slots().members();
    CHECK(members.size() == 1 && !members[0].alive && members[0].stale_for_ns == 0);
    taken_over(flag);
    CHECK(slot.limit_ms.load() == 0 && slot.phase.load() == kPhaseIdle);
  }
}

}  // namespace

int main() {
  RUN(died_after_the_claim_before_filled);
  RUN(died_while_filled);
  RUN(died_between_flags_0_and_owner_0);
  RUN(lives_in_another_pid_namespace);
  RUN(died_in_another_pid_namespace);
  RUN(died_in_another_pid_namespace_before_filled);
  RUN(died_in_another_pid_namespace_without_a_lock);
  RUN(died_between_unlock_and_owner_0);
  RUN(died_between_heartbeat_phase_and_limit);
}
