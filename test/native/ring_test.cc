// [R-F10] The flag as its users see it: levels, records, cursors, clears.
#include "check.h"

using namespace esper;
using namespace esper::test;

namespace {

void a_trigger_is_seen_with_its_record() {
  Flag flag(private_region());
  CHECK(flag.control().level == 0 && flag.control().generation == 0);
  const Raised raised = flag.trigger(request(4, "NaN in the loss"));
  CHECK(raised.generation == 1 && raised.ticket == 0 && !raised.record_less);
  CHECK(flag.control().level == 4);
  const auto history = flag.history();
  CHECK(history.size() == 1);
  CHECK(history[0].reason() == "NaN in the loss" && history[0].generation == 1 && !history[0].published);
  CHECK(history[0].signal_id() == std::string(raised.signal_id, raised.signal_id_size));
  CHECK(raised.monotonic_ns > 0 && raised.monotonic_ns == history[0].payload.monotonic_ns);
  CHECK(raised.wall_ns > 0 && raised.wall_ns == static_cast<uint64_t>(history[0].payload.wall_ns));
}

void a_lower_trigger_does_not_lower() {
  Flag flag(private_region());
  flag.trigger(request(4));
  flag.trigger(request(1));
  CHECK(flag.control().level == 4 && flag.control().generation == 2);
}

void text_is_cut_at_a_code_point() {
  Flag flag(private_region());
  std::string reason(383, 'a');
  reason += "\xc3\xa9";  // two bytes, the limit falls between them
  flag.trigger(request(2, reason));
  const auto history = flag.history();
  CHECK(history[0].reason() == std::string(383, 'a'));
  CHECK(history[0].payload.reason_given_size == 385);
}

void every_cursor_sees_every_record() {
  auto region = private_region();
  Flag flag(region);
  Cursor first(flag.ring(), Cursor::From::kNow);
  flag.trigger(request(2));
  Cursor second(flag.ring(), Cursor::From::kNow);
  Cursor oldest(flag.ring(), Cursor::From::kOldest);
  flag.trigger(request(3));
  CHECK(first.poll(flag.ring(), 256).records.size() == 2);
  CHECK(second.poll(flag.ring(), 256).records.size() == 1);
  CHECK(oldest.poll(flag.ring(), 256).records.size() == 2);
  CHECK(first.poll(flag.ring(), 256).records.empty());
}

void a_cursor_that_was_lapped_tells_how_many_it_lost() {
  Flag flag(private_region());
  Cursor cursor(flag.ring(), Cursor::From::kNow);
  for (uint32_t i = 0; i < kRecordCount + 44; i++) flag.trigger(request(1));
  const Batch batch = cursor.poll(flag.ring(), kRecordCount);
  CHECK(batch.overruns == 44 && batch.records.size() == kRecordCount);
  for (uint32_t i = 0; i < 3 * kRecordCount; i++) flag.trigger(request(1));
  const Batch far = cursor.poll(flag.ring(), kRecordCount);
  CHECK(far.overruns == 2 * kRecordCount && far.records.size() == kRecordCount);
}

void overwritten_unpublished_records_are_counted() {
  Flag flag(private_region());
  for (uint32_t i = 0; i < 10; i++) CHECK(flag.ring().mark_published(flag.trigger(request(3)).ticket));
  for (uint32_t i = 0; i < kRecordCount; i++) flag.trigger(request(3));
  CHECK(counters_of(flag.region()).overwritten_unpublished.load() == 0);
  flag.trigger(request(3));
  CHECK(counters_of(flag.region()).overwritten_unpublished.load() == 1);
}

void a_published_mark_for_a_lapped_ticket_changes_nothing() {
  Flag flag(private_region());
  const uint64_t old = flag.trigger(request(3)).ticket;
  for (uint32_t i = 0; i < kRecordCount; i++) flag.trigger(request(3));
  CHECK(!flag.ring().mark_published(old));
  CHECK(flag.unpublished(0).size() == kRecordCount);
}

ClearRequest seen(const Flag& flag, bool force = false) {
  ClearRequest out;
  out.generation = flag.control().generation;
  out.level = flag.control().level;
  out.force = force;
  return out;
}

void a_clear_names_what_it_cleared() {
  Flag flag(private_region());
  const Raised halt = flag.trigger(request(4));
  flag.trigger(request(1));
  const ClearResult result = flag.clear(seen(flag));
  CHECK(result.outcome == ClearOutcome::kCleared && flag.control().level == 0);
  const auto history = flag.history();
  CHECK(history.back().payload.kind == kKindClear && history.back().payload.cleared_level == 4);
  CHECK(history.back().subject() == std::string(halt.signal_id, halt.signal_id_size));
  CHECK(flag.clear(seen(flag)).outcome == ClearOutcome::kNotSet);
}

void a_trigger_that_came_in_between_wins() {
  Flag flag(private_region());
  flag.trigger(request(2));
  const ClearRequest stale = seen(flag);
  flag.trigger(request(4));
  CHECK(flag.clear(stale).outcome == ClearOutcome::kSuperseded);
  CHECK(flag.control().level == 4);
}

void a_clear_waits_for_live_members_unless_forced() {
  auto region = private_region();
  Flag mine(region);
  Flag other(region);
  CHECK(other.join("trainer", "rank0") >= 0);
  mine.trigger(request(3));
  const ClearResult refused = mine.clear(seen(mine));
  CHECK(refused.outcome == ClearOutcome::kUnseen && refused.waiting_for.size() == 1);
  CHECK(refused.waiting_for[0].name == "rank0" && mine.control().level == 3);
  other.mark_seen(mine.control().generation);
  CHECK(mine.clear(seen(mine)).outcome == ClearOutcome::kCleared);
  mine.trigger(request(3));
  CHECK(mine.clear(seen(mine, true)).outcome == ClearOutcome::kCleared);
  CHECK((mine.history().back().payload.flags & kFlagForced) != 0);
}

void acknowledging_what_has_moved_on_says_so() {
  Flag flag(private_region());
  flag.join("trainer", "rank0");
  flag.trigger(request(2));
  CHECK(flag.acknowledge(1, 2));
  flag.trigger(request(4));
  CHECK(!flag.acknowledge(1, 2));
  CHECK(flag.slots().members()[0].acknowledged_generation == 1);
  CHECK(flag.acknowledge(2, 4));
  CHECK(flag.slots().members()[0].acknowledged_generation == 2);
}

}  // namespace

int main() {
  RUN(a_trigger_is_seen_with_its_record);
  RUN(a_lower_trigger_does_not_lower);
  RUN(text_is_cut_at_a_code_point);
  RUN(every_cursor_sees_every_record);
  RUN(a_cursor_that_was_lapped_tells_how_many_it_lost);
  RUN(overwritten_unpublished_records_are_counted);
  RUN(a_published_mark_for_a_lapped_ticket_changes_nothing);
  RUN(a_clear_names_what_it_cleared);
  RUN(a_trigger_that_came_in_between_wins);
  RUN(a_clear_waits_for_live_members_unless_forced);
  RUN(acknowledging_what_has_moved_on_says_so);
}
