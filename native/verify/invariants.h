// What must hold of a flag segment whoever died where, as checks that say what they found. They read and write
// through the core, as any process does that opens the segment.
//
// REQUIRES: nobody writes meanwhile. check_usable and check_a_lap write themselves: give them a copy, or a segment
// that is not needed afterwards.
#pragma once

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cursor.h"
#include "flag.h"

namespace esper::verify {

class Findings {
 public:
  void expect(bool holds, const std::string& otherwise) {
    if (!holds) texts_.push_back(otherwise);
  }
  [[nodiscard]] const std::vector<std::string>& texts() const { return texts_; }
  [[nodiscard]] bool none() const { return texts_.empty(); }

 private:
  std::vector<std::string> texts_;
};

struct RecordFact {
  uint32_t generation = 0;
  uint8_t kind = 0;
  uint8_t level = 0;
  bool published = false;
  std::string id;
  std::string reason;
};

// What a reader learns of the whole segment at one instant.
struct FlagFacts {
  ControlValue control{};
  uint64_t next_ticket = 0;
  std::map<uint64_t, RecordFact> records;
  uint32_t holes = 0;
  uint32_t pending = 0;
  uint32_t held = 0;  // of the pending: claimed by a writer that counts as alive
  uint32_t corrupt = 0;
};

inline StateValue state_of(const uint8_t* base, uint64_t ticket) {
  const auto* records = reinterpret_cast<const Record*>(base + kRecordsOffset);
  return StateValue::unpack(records[ticket % kRecordCount].state.load(std::memory_order_acquire));
}

inline FlagFacts observe(Flag& flag) {
  FlagFacts facts;
  facts.control = flag.control();
  facts.next_ticket = flag.ring().next_ticket();
  const uint64_t oldest = facts.next_ticket > kRecordCount ? facts.next_ticket - kRecordCount : 0;
  RecordView view;
  for (uint64_t ticket = oldest; ticket < facts.next_ticket; ticket++) {
    const ReadOutcome outcome = flag.ring().read(ticket, view);
    facts.holes += outcome == ReadOutcome::kHole;
    facts.pending += outcome == ReadOutcome::kPending;
    const StateValue state = state_of(flag.region().base(), ticket);
    facts.held += outcome == ReadOutcome::kPending && state.phase == Phase::kClaimed && state.tag == tag_of(ticket);
    facts.corrupt += outcome == ReadOutcome::kCorrupt;
    if (outcome != ReadOutcome::kRecord) continue;
    facts.records[ticket] = {view.generation, view.payload.kind, view.payload.level, view.published,
                             view.signal_id(), view.reason()};
  }
  return facts;
}

// The level that the applied records give: the highest trigger since the last clear.
// REQUIRES: the record that holds the level is still in the ring, and none was raised without a record.
inline uint32_t explained_level(const FlagFacts& facts) {
  uint32_t cleared = 0;
  for (const auto& [ticket, record] : facts.records) {
    if (record.kind == kKindClear && record.generation > cleared) cleared = record.generation;
  }
  uint32_t level = 0;
  for (const auto& [ticket, record] : facts.records) {
    if (record.kind == kKindTrigger && record.generation > cleared && record.level > level) level = record.level;
  }
  return level;
}

// Nobody sees a level before the record that explains it: the one that control names is whole, or its slot has passed
// on to a later ticket. For a ring that nothing has swept.
inline void check_named(const Ring& ring, Findings& findings) {
  const ControlValue control = ring.control();
  if (control.generation == 0) return;
  const uint64_t next = ring.next_ticket();
  const uint64_t ticket = next - ((next - control.tag) & kTagMask);
  RecordView view;
  const ReadOutcome outcome = ring.read(ticket, view);
  findings.expect(outcome == ReadOutcome::kRecord || outcome == ReadOutcome::kOverwritten,
                  "control names record " + std::to_string(ticket) + ", which is not whole");
  if (outcome != ReadOutcome::kRecord || view.payload.kind != kKindTrigger) return;
  findings.expect(view.payload.level <= control.level, "control is below the record that it names");
}

// No torn record, none applied twice or not at all, none that control does not know of, and the level is theirs.
inline void check_records(const FlagFacts& facts, Findings& findings) {
  findings.expect(facts.corrupt == 0, std::to_string(facts.corrupt) + " records are torn");
  std::set<uint32_t> generations;
  for (const auto& [ticket, record] : facts.records) {
    const std::string name = "record " + std::to_string(ticket);
    findings.expect(record.generation != 0, name + " is complete and a sweep did not apply it");
    findings.expect(generations.insert(record.generation).second, name + " has a generation that another has");
    findings.expect(generation_reached(facts.control.generation, record.generation), name + " is ahead of control");
    findings.expect(record.kind == kKindTrigger || record.kind == kKindClear, name + " is of no known kind");
  }
  const uint32_t explained = explained_level(facts);
  findings.expect(facts.control.level == explained, "the level is " + std::to_string(facts.control.level) +
                                                        ", the records say " + std::to_string(explained));
}

// What was there before is there still, unless its slot was taken by a later ticket.
inline void check_kept(const FlagFacts& before, const FlagFacts& after, Findings& findings) {
  findings.expect(generation_reached(after.control.generation, before.control.generation), "the generation went back");
  for (const auto& [ticket, record] : before.records) {
    if (ticket + kRecordCount < after.next_ticket) continue;
    const auto found = after.records.find(ticket);
    const bool same = found != after.records.end() && found->second.id == record.id &&
                      found->second.generation == record.generation && found->second.level == record.level;
    findings.expect(same, "record " + std::to_string(ticket) + " was lost or changed");
  }
}

// A second sweep, by whomever, finds nothing to do.
inline void check_settled(const std::shared_ptr<Region>& region, Findings& findings) {
  const std::vector<uint8_t> once(region->base(), region->base() + region->size());
  Flag again(region);
  findings.expect(!again.sweep(), "a second sweep applied something");
  findings.expect(std::memcmp(once.data(), region->base(), once.size()) == 0, "a second sweep changed the segment");
}

// A consumer that starts at the oldest record is handed what history holds, each once.
inline void check_cursor(Flag& flag, const FlagFacts& facts, Findings& findings) {
  Cursor cursor(flag.ring(), Cursor::From::kOldest);
  std::set<uint64_t> seen;
  for (;;) {
    const Batch batch = cursor.poll(flag.ring(), 64);
    for (const RecordView& record : batch.records) {
      findings.expect(seen.insert(record.payload.ticket).second, "a cursor hands a record out twice");
    }
    if (batch.records.size() < 64) break;
  }
  findings.expect(seen.size() == facts.records.size(), "a cursor hands out " + std::to_string(seen.size()) + " of " +
                                                           std::to_string(facts.records.size()) + " records");
}

// Lets every slot of this process say that it has seen the present generation.
inline void see_for_this_process(Flag& flag) {
  const uint32_t self = owner_id(self_identity().pid, self_identity().start_ticks);
  for (uint32_t index = 0; index < flag.slots().high_water(); index++) {
    Slot& slot = flag.slots().at(static_cast<int>(index));
    if (static_cast<uint32_t>(slot.owner.load()) == self) slot.seen_generation.store(flag.control().generation);
  }
}

// Others go on: a trigger is applied, told and found, and a clear that need not wait for the dead lowers the level.
inline void check_usable(const std::shared_ptr<Region>& region, bool dead_only, Findings& findings) {
  Flag flag(region);
  Cursor cursor(flag.ring(), Cursor::From::kNow);
  const uint32_t generation = flag.control().generation;
  Request request;
  request.level = 4;
  request.reason = "somebody else's trigger";
  const Raised raised = flag.trigger(request);
  const std::string id(raised.signal_id, raised.signal_id_size);
  RecordView found;
  findings.expect(!raised.record_less && flag.control().level == 4, "another writer's trigger did not raise the level");
  findings.expect(flag.control().generation == generation + 1, "another writer's trigger was not applied once");
  const bool there = flag.find(id, found) && found.generation == raised.generation;
  findings.expect(there, "another writer's record is not there");
  bool told = false;
  const Batch batch = cursor.poll(flag.ring(), kRecordCount);
  for (const RecordView& record : batch.records) told = told || record.signal_id() == id;
  findings.expect(told, "a cursor did not hand out another writer's record");

  see_for_this_process(flag);
  ClearRequest clear;
  clear.generation = flag.control().generation;
  clear.level = 4;
  ClearResult result = flag.clear(clear);
  if (dead_only || result.outcome != ClearOutcome::kUnseen) {
    findings.expect(result.outcome == ClearOutcome::kCleared, "a clear did not lower the level");
  }
  clear.force = true;
  if (result.outcome == ClearOutcome::kUnseen) result = flag.clear(clear);
  findings.expect(result.outcome == ClearOutcome::kCleared && flag.control().level == 0, "nothing clears the flag");
  Flag fresh(region);
  findings.expect(!fresh.sweep() && fresh.control().level == 0, "the level came back after a clear");
}

// Every slot of the ring can be used again but those of the living.
inline void check_a_lap(const std::shared_ptr<Region>& region, uint32_t held, Findings& findings) {
  Flag flag(region);
  Request request;
  request.level = 1;
  for (uint32_t i = 0; i < kRecordCount; i++) {
    findings.expect(!flag.ring().raise(request).record_less, "the ring is full");
  }
  findings.expect(flag.history().size() + held >= kRecordCount, "a slot of the ring was lost for good");
}

// Everything listed as a participant is whole.
inline void check_members(Flag& flag, const std::set<std::string>& names, Findings& findings) {
  for (const SlotView& member : flag.slots().members()) {
    findings.expect(names.count(member.role + "/" + member.name) == 1 && member.pid != 0 && member.start_ticks != 0,
                    "participant " + std::to_string(member.index) + " is listed half-filled as '" + member.role + "/" +
                        member.name + "'");
    findings.expect(generation_reached(flag.control().generation, member.seen_generation) &&
                        generation_reached(flag.control().generation, member.acknowledged_generation),
                    "participant " + std::to_string(member.index) + " has seen a generation that is not there yet");
  }
}

}  // namespace esper::verify
