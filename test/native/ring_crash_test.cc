// [R-B7] Every row of the crash tables in ring.h and slots.h, staged by hand: the bytes that a death right after each
// step leaves, and what the next process makes of them.
#include <cstring>

#include "check.h"
#include "dead_owner.h"

using namespace esper;
using namespace esper::test;

namespace {

// Does steps 1 to `steps` of a trigger as `owner` and stops there, as if killed.
uint64_t stage(Flag& flag, int steps, uint8_t level, uint32_t owner) {
  Region& region = flag.region();
  const uint64_t ticket = counters_of(region).next_ticket.fetch_add(1);
  if (steps == 1) return ticket;
  Record& record = record_at(region, ticket);
  record.state.store(StateValue{Phase::kClaimed, tag_of(ticket), owner}.pack());
  if (steps == 2) return ticket;
  Payload payload;
  const Request asked = request(level, "staged");
  encode_request(asked, payload);
  seal_payload(asked, region.header()->nonce, ticket, payload);
  record.published.store(pack_published(kPending, tag_of(ticket), 0));
  const size_t words = steps == 3 ? kPayloadWords / 2 : kPayloadWords;
  for (size_t i = 0; i < words; i++) {
    uint64_t word;
    std::memcpy(&word, reinterpret_cast<const char*>(&payload) + i * 8, 8);
    record.words[i].store(word);
  }
  if (steps == 3) return ticket;
  record.state.store(StateValue{Phase::kComplete, tag_of(ticket), 0}.pack());
  if (steps == 4) return ticket;
  ControlValue next = flag.control();
  next.generation++;
  if (next.level < level) next.level = level;
  next.tag = tag_of(ticket);
  control_of(region).word.store(next.pack());
  return ticket;
}

void step_1_a_ticket_nobody_claims_hides_nothing() {
  Flag flag(private_region());
  Cursor cursor(flag.ring(), Cursor::From::kNow);
  stage(flag, 1, 4, 0);
  flag.trigger(request(3, "after"));
  const Batch batch = cursor.poll(flag.ring(), 256);
  CHECK(batch.records.size() == 1 && batch.records[0].reason() == "after");
  CHECK(flag.control().level == 3);
  for (uint32_t i = 0; i < kRecordCount; i++) flag.trigger(request(1));
  CHECK(flag.history().size() == kRecordCount);
}

void step_2_a_claim_of_the_dead_is_a_hole() {
  Flag flag(private_region());
  Cursor cursor(flag.ring(), Cursor::From::kNow);
  stage(flag, 2, 4, dead_owner());
  flag.trigger(request(2, "after"));
  const Batch batch = cursor.poll(flag.ring(), 256);
  CHECK(batch.records.size() == 1 && batch.holes == 1);
  CHECK(flag.control().level == 2);
}

void step_2_a_claim_of_the_living_is_waited_for_and_not_overwritten() {
  Flag flag(private_region());
  Cursor cursor(flag.ring(), Cursor::From::kNow);
  const uint64_t held = stage(flag, 2, 4, self_owner());
  flag.trigger(request(2, "after"));
  const Batch batch = cursor.poll(flag.ring(), 256);
  CHECK(batch.records.size() == 1 && batch.holes == 0);
  for (uint32_t i = 0; i < 2 * kRecordCount; i++) flag.trigger(request(1));
  const StateValue state = StateValue::unpack(record_at(flag.region(), held).state.load());
  CHECK(state.phase == Phase::kClaimed && state.tag == tag_of(held));
}

void step_3_a_half_filled_record_of_the_dead_is_never_handed_out() {
  Flag flag(private_region());
  Cursor cursor(flag.ring(), Cursor::From::kNow);
  stage(flag, 3, 4, dead_owner());
  const Batch batch = cursor.poll(flag.ring(), 256);
  CHECK(batch.records.empty() && batch.holes == 1);
  for (uint32_t i = 0; i < kRecordCount; i++) flag.trigger(request(1));
  CHECK(flag.history().size() == kRecordCount);
}

void step_4_a_complete_record_is_applied_by_a_sweep() {
  Flag flag(private_region());
  stage(flag, 4, 4, 0);
  CHECK(flag.control().level == 0);
  CHECK(flag.sweep());
  CHECK(flag.control().level == 4 && flag.control().generation == 1);
  CHECK(counters_of(flag.region()).repairs.load() == 1);
  CHECK(!flag.sweep());
}

void step_4_by_a_cursor() {
  Flag flag(private_region());
  Cursor cursor(flag.ring(), Cursor::From::kNow);
  stage(flag, 4, 4, 0);
  const Batch batch = cursor.poll(flag.ring(), 256);
  CHECK(batch.records.size() == 1 && batch.records[0].generation == 1 && flag.control().level == 4);
}

void step_4_by_an_attach() {
  auto region = private_region();
  {
    Flag flag(region);
    stage(flag, 4, 4, 0);
  }
  Flag next(region);
  CHECK(next.control().level == 4);
}

void step_4_by_the_trigger_that_needs_its_slot() {
  Flag flag(private_region());
  stage(flag, 4, 4, 0);
  for (uint32_t i = 0; i < kRecordCount; i++) flag.ring().raise(request(1));
  CHECK(flag.control().level == 4);
}

void step_4_a_lap_behind_a_ticket_that_nobody_claimed() {
  Flag flag(private_region());
  stage(flag, 4, 4, 0);
  counters_of(flag.region()).next_ticket.store(kRecordCount);
  stage(flag, 1, 1, 0);  // takes the slot's next ticket and dies
  CHECK(flag.sweep() && flag.control().level == 4);
}

void step_4_with_the_owner_left_in_the_state_is_applied_once() {
  Flag flag(private_region());
  const uint64_t ticket = stage(flag, 4, 4, 0);
  record_at(flag.region(), ticket).state.store(StateValue{Phase::kComplete, tag_of(ticket), self_owner()}.pack());
  CHECK(flag.sweep() && flag.control().generation == 1);
  flag.trigger(request(1));
  flag.sweep();
  CHECK(flag.control().generation == 2);
}

void step_5_an_applied_record_is_not_applied_twice() {
  Flag flag(private_region());
  const uint64_t ticket = stage(flag, 5, 4, 0);
  flag.sweep();
  CHECK(flag.control().generation == 1);
  const StateValue state = StateValue::unpack(record_at(flag.region(), ticket).state.load());
  CHECK(state.phase == Phase::kApplied && state.extra == 1);
}

void step_5_is_marked_before_control_moves_on_so_a_clear_stays_cleared() {
  Flag flag(private_region());
  stage(flag, 5, 4, 0);
  ClearRequest clear;
  clear.generation = 1;
  clear.level = 4;
  clear.force = true;
  CHECK(flag.clear(clear).outcome == ClearOutcome::kCleared);
  flag.sweep();
  CHECK(flag.control().level == 0 && flag.control().generation == 2);
}

void a_clear_completed_by_others_obeys_its_condition() {
  Flag flag(private_region());
  flag.trigger(request(3));
  Region& region = flag.region();
  const uint64_t ticket = counters_of(region).next_ticket.fetch_add(1);
  Request asked = request(0, "died before its control CAS");
  asked.kind = kKindClear;
  asked.cleared_generation = 1;
  asked.cleared_level = 3;
  Payload payload;
  encode_request(asked, payload);
  seal_payload(asked, region.header()->nonce, ticket, payload);
  Record& record = record_at(region, ticket);
  for (size_t i = 0; i < kPayloadWords; i++) {
    uint64_t word;
    std::memcpy(&word, reinterpret_cast<const char*>(&payload) + i * 8, 8);
    record.words[i].store(word);
  }
  record.state.store(StateValue{Phase::kComplete, tag_of(ticket), 0}.pack());
  flag.ring().raise(request(4));  // raced the clear
  flag.sweep();
  CHECK(flag.control().level == 4);
  CHECK(StateValue::unpack(record.state.load()).phase == Phase::kVoid);
}

void a_corrupt_record_is_told_and_not_handed_out() {
  Flag flag(private_region());
  Cursor cursor(flag.ring(), Cursor::From::kNow);
  const uint64_t ticket = flag.trigger(request(3)).ticket;
  record_at(flag.region(), ticket).words[20].fetch_xor(1);
  const Batch batch = cursor.poll(flag.ring(), 256);
  CHECK(batch.records.empty() && batch.holes == 1 && flag.control().level == 3);
}

void a_ring_held_by_stopped_writers_still_raises_the_level() {
  Flag flag(private_region());
  for (uint32_t i = 0; i < kRecordCount; i++) stage(flag, 2, 1, self_owner());
  const Raised raised = flag.trigger(request(4));
  CHECK(raised.record_less && raised.signal_id_size > 0);
  CHECK(flag.control().level == 4 && flag.control().generation == 1);
  ClearRequest clear;
  clear.generation = 1;
  clear.level = 4;
  clear.force = true;
  CHECK(flag.clear(clear).outcome == ClearOutcome::kCleared && flag.control().level == 0);
}

void owners_of_another_pid_namespace_are_not_judged() {
  Flag flag(private_region());
  flag.region().header()->pid_ns_inode ^= 1;
  Flag foreign(flag.share_region());
  const uint64_t ticket = stage(flag, 2, 4, dead_owner());
  RecordView view;
  CHECK(foreign.ring().read(ticket, view) == ReadOutcome::kPending);
  CHECK(foreign.join("trainer", "guest") == 0);
  CHECK(flag.slots().alive(0));
}

void tickets_wrap_their_tag() {
  Flag flag(private_region());
  counters_of(flag.region()).next_ticket.store((1u << 24) - 2);
  for (int i = 0; i < 4; i++) flag.trigger(request(static_cast<uint8_t>(1 + i % 2), "wrap"));
  CHECK(flag.control().generation == 4 && flag.history().size() == 4);
}

void a_slot_of_the_dead_is_taken_over() {
  Flag flag(private_region());
  auto* slots = reinterpret_cast<Slot*>(flag.region().base() + kSlotsOffset);
  slots[0].owner.store(uint64_t{1} << 32 | dead_owner());
  counters_of(flag.region()).slot_high_water.store(1);
  CHECK(flag.slots().members().empty());
  slots[0].filled.store(1);
  slots[0].flags.store(kSlotMember);
  CHECK(flag.slots().members().size() == 1 && !flag.slots().members()[0].alive);
  flag.trigger(request(2));
  ClearRequest clear;
  clear.generation = 1;
  clear.level = 2;
  CHECK(flag.clear(clear).outcome == ClearOutcome::kCleared);
  CHECK(flag.join("trainer", "next") == 0);
  CHECK(flag.slots().incarnation(0) == 2 && flag.slots().members()[0].name == "next");
}

}  // namespace

int main() {
  RUN(step_1_a_ticket_nobody_claims_hides_nothing);
  RUN(step_2_a_claim_of_the_dead_is_a_hole);
  RUN(step_2_a_claim_of_the_living_is_waited_for_and_not_overwritten);
  RUN(step_3_a_half_filled_record_of_the_dead_is_never_handed_out);
  RUN(step_4_a_complete_record_is_applied_by_a_sweep);
  RUN(step_4_by_a_cursor);
  RUN(step_4_by_an_attach);
  RUN(step_4_by_the_trigger_that_needs_its_slot);
  RUN(step_4_a_lap_behind_a_ticket_that_nobody_claimed);
  RUN(step_4_with_the_owner_left_in_the_state_is_applied_once);
  RUN(step_5_an_applied_record_is_not_applied_twice);
  RUN(step_5_is_marked_before_control_moves_on_so_a_clear_stays_cleared);
  RUN(a_clear_completed_by_others_obeys_its_condition);
  RUN(a_corrupt_record_is_told_and_not_handed_out);
  RUN(a_ring_held_by_stopped_writers_still_raises_the_level);
  RUN(owners_of_another_pid_namespace_are_not_judged);
  RUN(tickets_wrap_their_tag);
  RUN(a_slot_of_the_dead_is_taken_over);
}
