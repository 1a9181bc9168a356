// [R-B5] Participant slots: who is dead, whoever has its pid now and wherever it ran; who is silent for too long.
#include "slots.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "check.h"
#include "dead_owner.h"

using namespace esper;
using namespace esper::test;

namespace {

std::shared_ptr<Region> shared_region(const std::string& name) {
  RegionOptions options;
  options.name = name;
  Status status;
  auto region = Region::open_shared(options, status);
  CHECK(region != nullptr);
  return region;
}

void unlink_name(const std::string& name) {
  bool removed = false;
  Region::unlink(name, "/dev/shm", removed);
}

struct Child {
  pid_t pid = 0;
  int tells = -1;
};

// Runs `run` in a child, in a pid namespace of its own if asked to; the child then waits to be killed.
Child start(bool own_namespace, const std::function<int()>& run) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t outer = fork();
  if (outer == 0) {
    if (own_namespace && unshare(CLONE_NEWPID) != 0) _exit(9);
    const pid_t inner = own_namespace ? fork() : 0;
    if (inner == 0) {
      const int told = run();
      if (write(ends[1], &told, sizeof told) != sizeof told) _exit(1);
      pause();
    }
    close(ends[1]);
    int status = 0;
    waitpid(inner, &status, 0);
    _exit(0);
  }
  close(ends[1]);
  return {outer, ends[0]};
}

int told_by(const Child& child) {
  int told = -1;
  if (read(child.tells, &told, sizeof told) != sizeof told) return -1;
  return told;
}

// The first process of a pid namespace takes it along; here the outer one is killed, and with it nothing else.
void end_children_of(const Child& child) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/task/%d/children", child.pid, child.pid);
  FILE* file = std::fopen(path, "r");
  int inner = 0;
  if (file != nullptr && std::fscanf(file, "%d", &inner) == 1) kill(inner, SIGKILL);
  else kill(child.pid, SIGKILL);
  if (file != nullptr) std::fclose(file);
  waitpid(child.pid, nullptr, 0);
  close(child.tells);
}

void a_pid_used_again_is_not_its_former_owner() {
  auto region = private_region();
  Flag flag(region);
  const int index = flag.join("trainer", "a");
  CHECK(flag.slots().alive(static_cast<uint32_t>(index)));
  // Same pid, same low 10 bits of the start time: the owner id alone cannot tell.
  Slot& slot = slot_at(*region, index);
  slot.start_ticks.store(slot.start_ticks.load() + 1024);
  CHECK(!flag.slots().alive(static_cast<uint32_t>(index)));
  Slots other(region->base());
  CHECK(other.claim() == index);
}

void a_half_filled_slot_is_judged_by_its_owner_id() {
  auto region = private_region();
  Slots slots(region->base());
  Slot& slot = slot_at(*region, 0);
  slot.owner.store(uint64_t{1} << 32 | self_owner());  // claimed, not filled: pid and start time are nobody's yet
  CHECK(slots.claim() == 1);
  slot.owner.store(uint64_t{2} << 32 | dead_owner());
  CHECK(slots.claim() == 0);
}

// Staged: slot 0 of another namespace's process, for whom a lock would speak.
void stage_foreign(Region& region, uint32_t flags, uint32_t filled) {
  Slot& slot = slot_at(region, 0);
  slot.owner.store(uint64_t{5} << 32 | kForeignOwner);
  slot.filled.store(filled);
  slot.flags.store(flags);
  counters_of(region).slot_high_water.store(1);
}

void a_foreign_owner_is_dead_only_by_its_lock() {
  const std::string name = unique_name("locks");
  auto region = shared_region(name);
  Slots slots(region->base(), &region->locks());
  stage_foreign(*region, kSlotMember, 5);  // never locked: an owner of version 1.0, or without descriptors
  CHECK(slots.alive(0));
  stage_foreign(*region, kSlotMember | kSlotLocked, 4);  // claimed, not filled: the flags are its predecessor's
  CHECK(slots.alive(0));
  {
    auto owner = shared_region(name);
    CHECK(owner->locks().lock(0));
    stage_foreign(*region, kSlotMember | kSlotLocked, 5);
    CHECK(slots.alive(0));
    CHECK(Slots(owner->base(), &owner->locks()).alive(0));  // to the open that holds it the kernel says nothing
    CHECK(slots.claim() == 1);
  }
  CHECK(!slots.alive(0));
  CHECK(Slots(region->base()).alive(0));  // no file, no verdict
  CHECK(slots.claim() == 0 && region->locks().held(0));
  unlink_name(name);
}

void leaving_gives_the_lock_back() {
  const std::string name = unique_name("locks");
  auto region = shared_region(name);
  Flag flag(region);
  const auto index = static_cast<uint32_t>(flag.join("trainer", "a"));
  CHECK(region->locks().held(index));
  CHECK((slot_at(*region, static_cast<int>(index)).flags.load() & kSlotLocked) != 0);
  CHECK(flag.want_wake(true) >= 0);
  CHECK((slot_at(*region, static_cast<int>(index)).flags.load() & kSlotLocked) != 0);  // survives a change of flags
  flag.give_back_slot();
  CHECK(!region->locks().held(index) && shared_region(name)->locks().free_everywhere(index));
  unlink_name(name);
}

void a_death_in_another_pid_namespace_shows() {
  const std::string name = unique_name("namespace");
  auto region = shared_region(name);
  Flag flag(region);
  const Child child = start(true, [&] {
    static auto* inside = new Flag(shared_region(name));
    return inside->join("trainer", "inside");
  });
  const int index = told_by(child);
  if (index < 0) {
    std::printf("skip: no pid namespace may be made here\n");
    end_children_of(child);
    unlink_name(name);
    return;
  }
  const auto slot = static_cast<uint32_t>(index);
  CHECK(static_cast<uint32_t>(slot_at(*region, index).owner.load()) == kForeignOwner);
  CHECK(flag.slots().members().size() == 1 && flag.slots().alive(slot));
  flag.trigger(request(4));
  ClearRequest clear{flag.control().generation, 4, false, false, {}, {}, {}, {}};
  CHECK(flag.clear(clear).outcome == ClearOutcome::kUnseen);
  end_children_of(child);
  while (flag.slots().alive(slot)) usleep(1000);  // the kernel drops the lock; ctest's time-out is the watchdog
  CHECK(flag.clear(clear).outcome == ClearOutcome::kCleared);
  Flag next(shared_region(name));
  CHECK(next.own_slot() == index);
  unlink_name(name);
}

void silence_is_judged_by_the_limit_of_the_phase() {
  auto region = private_region();
  Flag flag(region);
  const auto index = static_cast<uint32_t>(flag.join("trainer", "a"));
  Slot& slot = slot_at(*region, static_cast<int>(index));
  const auto stale = [&](uint64_t after_ns) {
    return flag.slots().stale_for_ns(index, slot.heartbeat_ns.load() + after_ns);
  };
  CHECK(stale(3600000 * kMs) == 0);  // no limit, no judgement
  flag.set_phase(kPhaseTraining, 100);
  CHECK(stale(100 * kMs) == 0 && stale(101 * kMs) == kMs);
  flag.set_phase(kPhaseCheckpointing, 5000);
  CHECK(stale(101 * kMs) == 0 && stale(5001 * kMs) == kMs);
  flag.set_phase(kPhaseTraining | kPhaseSuspended, 0);
  CHECK(stale(3600000 * kMs) == 0);
  const SlotView view = flag.slots().view(index);
  CHECK(view.phase == kPhaseTraining && view.suspended && view.limit_ms == 0);
  flag.set_phase(kPhaseTraining, 100);
  CHECK(flag.slots().stale_for_ns(index, 0) == 0);  // a heartbeat after the look at the clock
  flag.leave();
  CHECK(stale(3600000 * kMs) == 0);
}

void renaming_and_a_wish_for_hints_leave_the_pulse_alone() {
  auto region = private_region();
  Flag flag(region);
  const int index = flag.join("trainer", "a");
  flag.set_phase(kPhaseTraining, 100);
  flag.want_wake(true);
  flag.join("trainer", "b");
  CHECK(slot_at(*region, index).limit_ms.load() == 100 && slot_at(*region, index).phase.load() == kPhaseTraining);
}

void a_slot_is_given_back_without_limit_and_phase() {
  auto region = private_region();
  Flag flag(region);
  const int index = flag.join("trainer", "a");
  flag.set_phase(kPhaseTraining, 100);
  flag.give_back_slot();
  const Slot& slot = slot_at(*region, index);
  CHECK(slot.limit_ms.load() == 0 && slot.phase.load() == kPhaseIdle);
}

// A segment that is open twice over in one process: an end of one must leave the other's locks.
void closed_locks_are_free_and_their_descriptor_is_gone() {
  const std::string name = unique_name("closed");
  auto mine = shared_region(name);
  auto other = shared_region(name);
  Flag flag(mine);
  Flag next(other);
  const auto index = static_cast<uint32_t>(flag.own_slot());
  CHECK(mine->locks().held(index) && !other->locks().free_everywhere(index));
  const int before = dup(0);
  close(before);
  mine->locks().close();
  const int after = dup(0);
  close(after);
  CHECK(after < before && !mine->locks().held(index) && other->locks().free_everywhere(index));
  CHECK(!mine->locks().lock(5) && !mine->locks().free_everywhere(5));  // nothing is known any more
  CHECK(other->locks().held(static_cast<uint32_t>(next.own_slot())));
  unlink_name(name);
}

void a_stopped_process_is_alive_and_silent() {
  const std::string name = unique_name("stopped");
  auto region = shared_region(name);
  Flag flag(region);
  const Child child = start(false, [&] {
    static auto* inside = new Flag(shared_region(name));
    inside->join("trainer", "inside");
    inside->set_phase(kPhaseTraining, 50);
    return inside->own_slot();
  });
  const auto index = static_cast<uint32_t>(told_by(child));
  kill(child.pid, SIGSTOP);
  while (flag.slots().stale_for_ns(index, monotonic_ns()) == 0) usleep(1000);
  const SlotView view = flag.slots().view(index);
  CHECK(view.alive && view.stale_for_ns > 0);
  kill(child.pid, SIGKILL);
  end_children_of(child);
  CHECK(!flag.slots().view(index).alive && flag.slots().view(index).stale_for_ns == 0);  // dead is not stale
  unlink_name(name);
}

}  // namespace

int main() {
  RUN(a_pid_used_again_is_not_its_former_owner);
  RUN(a_half_filled_slot_is_judged_by_its_owner_id);
  RUN(a_foreign_owner_is_dead_only_by_its_lock);
  RUN(leaving_gives_the_lock_back);
  RUN(a_death_in_another_pid_namespace_shows);
  RUN(silence_is_judged_by_the_limit_of_the_phase);
  RUN(renaming_and_a_wish_for_hints_leave_the_pulse_alone);
  RUN(a_slot_is_given_back_without_limit_and_phase);
  RUN(closed_locks_are_free_and_their_descriptor_is_gone);
  RUN(a_stopped_process_is_alive_and_silent);
}
