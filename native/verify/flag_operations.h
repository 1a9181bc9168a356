// The operations on a flag whose every instruction is tried.
#pragma once

#include "flag_cases.h"

namespace esper::verify {

inline FlagSteps trigger_steps() {
  FlagSteps steps;
  steps.operate = [](Flag& flag) { flag.trigger(test::request(4, kAskedReason)); };
  steps.check = [](const FlagLook& look, Findings& out) { expect_applied(look, false, 4, kKindTrigger, out); };
  return steps;
}

inline FlagSteps clear_steps() {
  FlagSteps steps;
  steps.operate = [](Flag& flag) { flag.clear(clear_of(flag, true)); };
  steps.check = [](const FlagLook& look, Findings& out) { expect_applied(look, false, 0, kKindClear, out); };
  return steps;
}

// Seen, acknowledged, and cleared because every live participant has seen it.
inline FlagSteps acknowledge_steps() {
  FlagSteps steps;
  steps.prepare = [](Flag& flag) { flag.join("trainer", "child"); };
  steps.operate = [](Flag& flag) {
    const ControlValue now = flag.control();
    flag.mark_seen(now.generation);
    flag.acknowledge(now.generation, now.level);
    flag.clear(clear_of(flag, false));
  };
  steps.check = [](const FlagLook& look, Findings& out) {
    expect_applied(look, false, 0, kKindClear, out);
    const int index = listed(look.flag, "child");
    if (index < 0) return out.expect(false, "the participant is gone");
    const SlotView slot = look.flag.slots().view(static_cast<uint32_t>(index));
    const uint32_t present = look.before.control.generation;
    out.expect(slot.seen_generation == 0 || slot.seen_generation == present, "it has seen what never was");
    out.expect(slot.acknowledged_generation == 0 || slot.seen_generation == present, "acknowledged, but not seen");
    const bool cleared = look.after.control.level == 0;
    out.expect(!cleared || slot.seen_generation == present, "cleared before it was seen");
    out.expect(!look.done || slot.acknowledged_generation == present, "it was not acknowledged");
  };
  return steps;
}

inline FlagSteps join_steps() {
  FlagSteps steps;
  steps.operate = [](Flag& flag) { flag.join("trainer", "child"); };
  steps.check = [](const FlagLook& look, Findings& out) {
    expect_control_kept(look, out);
    const int index = listed(look.flag, "child");
    out.expect(index >= 0 || !look.done, "it joined and is not listed");
    out.expect(!look.dead || index < 0 || !look.flag.slots().alive(static_cast<uint32_t>(index)), "the dead is alive");
    // The dead participant's slot is the one it takes, and once it is dead itself the next one may.
    const int own = look.flag.join("trainer", "child");
    out.expect(!look.dead || own == 1, "the slot of the dead is not taken over");
    look.flag.give_back_slot();
  };
  return steps;
}

inline FlagSteps leave_steps() {
  FlagSteps steps;
  steps.prepare = [](Flag& flag) { flag.join("trainer", "child"); };
  steps.operate = [](Flag& flag) { flag.give_back_slot(); };
  steps.check = [](const FlagLook& look, Findings& out) {
    expect_control_kept(look, out);
    out.expect(!look.done || listed(look.flag, "child") < 0, "it left and is still listed");
    const int own = look.flag.join("trainer", "child");
    out.expect(!(look.dead || look.done) || own == 1, "the slot of the dead is not taken over");
    look.flag.give_back_slot();
  };
  return steps;
}

// From a phase with a limit that it has long passed to one that may take an hour.
inline FlagSteps phase_steps() {
  FlagSteps steps;
  steps.prepare = [](Flag& flag) {
    const int slot = flag.join("trainer", "child");
    flag.set_phase(kPhaseTraining, 60000);
    flag.slots().at(slot).heartbeat_ns.store(1);
  };
  steps.operate = [](Flag& flag) { flag.set_phase(kPhaseCheckpointing, 3600000); };
  steps.check = [](const FlagLook& look, Findings& out) {
    expect_control_kept(look, out);
    const int index = listed(look.flag, "child");
    if (index < 0) return out.expect(false, "the participant is gone");
    const SlotView slot = look.flag.slots().view(static_cast<uint32_t>(index));
    out.expect(slot.heartbeat_ns != 1 || slot.limit_ms == 60000, "a new limit came before its heartbeat");
    out.expect(slot.heartbeat_ns == 1 || slot.stale_for_ns == 0, "a change of phase looks like silence");
    out.expect(!look.dead || slot.stale_for_ns == 0, "the dead are judged");
    out.expect(!look.done || (slot.phase == kPhaseCheckpointing && slot.limit_ms == 3600000), "the phase is another");
  };
  return steps;
}

inline FlagSteps publish_steps() {
  FlagSteps steps;
  steps.operate = [](Flag& flag) { flag.ring().mark_published(flag.ring().next_ticket() - 1); };
  steps.check = [](const FlagLook& look, Findings& out) {
    expect_control_kept(look, out);
    const uint64_t ticket = look.before.next_ticket - 1;
    const bool marked = look.after.records.at(ticket).published;
    out.expect(marked || !look.done, "it was not marked");
    out.expect(look.flag.ring().mark_published(ticket) != marked, "a mark is to be had once");
  };
  return steps;
}

// The slot that the ticket falls on holds a record of the last lap that its writer completed, and died.
inline FlagSteps trigger_over_steps() {
  FlagSteps steps;
  steps.prepare = [](Flag& flag) {
    const uint64_t older = flag.ring().next_ticket() - kRecordCount;
    const StateValue complete{Phase::kComplete, tag_of(older), 0};
    test::record_at(flag.region(), older).state.store(complete.pack());
  };
  steps.operate = [](Flag& flag) { flag.trigger(test::request(4, kAskedReason)); };
  steps.check = [](const FlagLook& look, Findings& out) {
    const uint32_t applied = look.after.control.generation - look.before.control.generation;
    out.expect(applied == 1 || applied == 2, "of two records " + std::to_string(applied) + " were applied");
    out.expect(applied == 2 || !look.done, "it was not applied");
    out.expect((look.after.control.level == 4) == (applied == 2), "the records were applied in the wrong order");
  };
  return steps;
}

// The writer before died between applying its record and marking it: only control says that it is applied.
inline FlagSteps trigger_after_steps() {
  FlagSteps steps = trigger_steps();
  steps.prepare = [](Flag& flag) {
    const uint64_t newest = flag.ring().next_ticket() - 1;
    const StateValue complete{Phase::kComplete, tag_of(newest), 0};
    test::record_at(flag.region(), newest).state.store(complete.pack());
  };
  return steps;
}

// A clear that comes too late: somebody raised the flag since its caller looked.
inline FlagSteps late_clear_steps() {
  FlagSteps steps;
  steps.operate = [](Flag& flag) {
    Request asked = test::request(0, kAskedReason);
    asked.kind = kKindClear;
    asked.cleared_generation = flag.control().generation - 1;
    asked.cleared_level = flag.control().level;
    ApplyOutcome outcome{};
    flag.ring().clear(asked, outcome);
  };
  steps.check = expect_control_kept;
  return steps;
}

// A writer died between completing its record and applying it; the child mends that, and dies in turn.
inline FlagSteps repair_steps() {
  FlagSteps steps;
  steps.opens = true;
  steps.stage = [](Flag& flag) {
    const std::vector<uint8_t> before(flag.region().base(), flag.region().base() + kCountersOffset);
    const uint64_t ticket = flag.ring().raise(test::request(4, kAskedReason)).ticket;
    // Take the last two steps of the trigger back.
    std::memcpy(flag.region().base() + kControlOffset, before.data() + kControlOffset, sizeof(Control));
    const StateValue complete{Phase::kComplete, tag_of(ticket), 0};
    test::record_at(flag.region(), ticket).state.store(complete.pack());
  };
  steps.check = [](const FlagLook& look, Findings& out) { expect_applied(look, true, 4, kKindTrigger, out); };
  return steps;
}

}  // namespace esper::verify
