#include "weak_world.h"

#include <cstring>

namespace esper::weak {
namespace {

constexpr uint64_t kLater = 1000000000;

alignas(64) uint8_t memory[kFlagSegmentBytes];

std::string reason_for(uint64_t step, uint32_t level) {
  return std::string(8 + step % 17, static_cast<char>('a' + (step * 5 + level) % 26));
}

Counters& counters() { return *reinterpret_cast<Counters*>(memory + kCountersOffset); }

std::string text(uint64_t value) { return std::to_string(value); }

}  // namespace

World::World(uint64_t seed) : random_{seed}, seed_(seed) {
  std::memset(memory, 0, sizeof memory);
  initialise_segment(memory, SegmentKind::kEmergency, 0);
  Machine::get().set_memory(memory, sizeof memory);
}

void World::wrong(const std::string& what) {
  if (wrong_.empty()) wrong_ = what;
}

uint64_t World::tickets_now() {
  const void* at = &counters().next_ticket;
  uint64_t value = 0;
  if (Machine::get().running()) return Machine::get().latest(at, 8);
  std::memcpy(&value, at, 8);
  return value;
}

// What no reader may ever be given: bytes of two records, or another record than it asked for.
void World::check_record(uint64_t ticket, ReadOutcome outcome, const RecordView& view) {
  if (outcome == ReadOutcome::kCorrupt) wrong("ticket " + text(ticket) + " was read torn: its checksum is wrong");
  if (outcome == ReadOutcome::kOverwritten && tickets_now() <= ticket + kRecordCount) {
    wrong("ticket " + text(ticket) + " is said to be overwritten, and nobody took its slot");
  }
  if (outcome != ReadOutcome::kRecord) return;
  const Payload& payload = view.payload;
  const bool clear = payload.kind == kKindClear;
  if (payload.ticket != ticket || (!clear && view.reason() != reason_for(payload.step, payload.level))) {
    wrong("ticket " + text(ticket) + " was handed out torn");
  }
}

void World::writer(uint32_t operations) {
  Ring ring(memory);
  for (uint32_t i = 0; i < operations; i++) {
    Request request;
    request.level = static_cast<uint8_t>(1 + Machine::get().random().below(4));
    request.step = Machine::get().self() * 16 + i;
    const std::string reason = reason_for(request.step, request.level);
    request.reason = reason;
    const Raised raised = ring.raise(request);
    if (raised.record_less) record_less_++;
    else returned_.push_back({raised.ticket, raised.generation, request.level});
    const ControlValue now = ring.control();
    if (raised.generation != 0 && !generation_reached(now.generation, raised.generation)) {
      wrong("generation " + text(raised.generation) + " is not visible to whoever raised it");
    }
  }
}

void World::clearer() {
  Ring ring(memory);
  for (int i = 0; i < 4; i++) {
    const ControlValue seen = ring.control();
    if (seen.level == 0) continue;
    Request request;
    request.kind = kKindClear;
    request.cleared_generation = seen.generation;
    request.cleared_level = seen.level;
    ApplyOutcome outcome{};
    ring.clear(request, outcome);
    return;
  }
}

// Whoever acts on the level finds the record that explains it.
void World::observer() {
  Ring ring(memory);
  for (int i = 0; i < 3; i++) {
    const ControlValue seen = ring.control();
    if (seen.generation == 0) continue;
    RecordView view;
    const ReadOutcome outcome = ring.read(seen.tag, view);
    check_record(seen.tag, outcome, view);
    if (outcome == ReadOutcome::kOverwritten) continue;
    if (outcome != ReadOutcome::kRecord) {
      wrong("control names ticket " + text(seen.tag) + ", and its record cannot be read");
    } else if (view.generation > seen.generation ||
               (view.payload.kind == kKindTrigger && view.payload.level > seen.level)) {
      wrong("control has level " + text(seen.level) + ", its record says " + text(view.payload.level));
    }
  }
}

void World::lookup() {
  Ring ring(memory);
  for (int i = 0; i < 6; i++) {
    const uint64_t next = ring.next_ticket();
    if (next == 0) continue;
    const uint64_t ticket = next - 1 - Machine::get().random().below(static_cast<uint32_t>(next));
    RecordView view;
    const ReadOutcome outcome = ring.read(ticket, view);
    check_record(ticket, outcome, view);
  }
}

void World::take(const Batch& batch, uint32_t reader) {
  Consumer& mine = consumers_[reader];
  for (const RecordView& view : batch.records) {
    check_record(view.payload.ticket, ReadOutcome::kRecord, view);
    if (!mine.told.insert(view.payload.ticket).second) wrong("ticket " + text(view.payload.ticket) + " was told twice");
    if (view.generation == 0) wrong("ticket " + text(view.payload.ticket) + " was told before it was applied");
  }
  mine.overruns += batch.overruns;
  mine.holes += batch.holes;
  if (mine.holes > kills_) wrong("a cursor met " + text(mine.holes) + " holes of " + text(kills_) + " dead writers");
}

void World::poller(uint32_t rounds) {
  const auto index = static_cast<uint32_t>(consumers_.size());
  Ring ring(memory);
  consumers_.push_back({});
  consumers_[index].thread = Machine::get().self();
  consumers_[index].cursor = std::make_unique<Cursor>(ring, Cursor::From::kOldest);
  const uint64_t next = ring.next_ticket();
  consumers_[index].first = next > kRecordCount ? next - kRecordCount : 0;
  if (consumers_[index].cursor->ready(ring) && ring.next_ticket() == 0) wrong("a cursor is ready on an empty ring");
  for (uint32_t i = 0; i < rounds; i++) {
    Cursor cursor = *consumers_[index].cursor;
    const Batch batch = cursor.poll(ring, 16);
    // At once, as far as a death is concerned: between them nothing of the segment is touched.
    *consumers_[index].cursor = cursor;
    take(batch, index);
  }
}

void World::sweeper() {
  const auto index = static_cast<uint32_t>(sweepers_.size());
  sweepers_.push_back({Machine::get().self(), 0});
  Ring ring(memory);
  for (int i = 0; i < 3; i++) ring.sweep(sweepers_[index].settled);
}

void World::participant() {
  Slots slots(memory);
  const std::string role = "role-of-" + text(self_identity().pid) + "-with-a-long-name";
  const int index = slots.claim();
  if (index < 0) return wrong("no slot is free");
  slots.describe(index, role, role + role, kSlotMember);
  Machine::get().set_clock(kLater);
  slots.set_phase(index, kPhaseTraining, 1);
}

void World::slot_observer() {
  Slots slots(memory);
  for (uint32_t i = 0; i < 8; i++) {
    const uint32_t index = i % 2;
    if (!slots.filled(index)) continue;
    const SlotView view = slots.view(index);
    const std::string role = "role-of-" + text(view.pid) + "-with-a-long-name";
    if (view.role != role || view.name != role + role || view.flags != kSlotMember) {
      wrong("slot " + text(index) + " is said to be filled and is not");
    }
    if (slots.stale_for_ns(index, kLater + 1) != 0) wrong("a change of phase looked like silence");
  }
}

void World::build_slots() {
  threads_ = {[this] { participant(); }, [this] { participant(); }, [this] { slot_observer(); },
              [this] { slot_observer(); }};
}

void World::build_ring() {
  const bool laps = random_.below(2) == 0;
  const uint32_t writers = laps ? 3 : 2;
  for (uint32_t i = 0; i < writers; i++) {
    const uint32_t operations = laps ? 2 + random_.below(2) : 1;
    threads_.push_back([this, operations] { writer(operations); });
  }
  if (random_.below(2) == 0) threads_.push_back([this] { clearer(); });
  switch (random_.below(4)) {
    case 0: threads_.push_back([this] { observer(); }); break;
    case 1: threads_.push_back([this] { lookup(); }); break;
    case 2: threads_.push_back([this] { poller(3); }); break;
    default: threads_.push_back([this] { sweeper(); }); break;
  }
  if (random_.below(2) == 0) threads_.push_back([this] { sweeper(); });
  else threads_.push_back([this] { observer(); });
  kills_ = random_.below(3);
}

const std::string& World::run() {
  const bool slots = random_.below(8) == 0;
  if (slots) build_slots();
  else build_ring();
  consumers_.reserve(threads_.size());
  sweepers_.reserve(threads_.size());
  Machine::get().run(seed_, std::move(threads_), kills_);
  if (!slots && wrong_.empty()) audit_ring();
  return wrong_;
}

// Nobody runs any more. Whatever was left undone, the next who comes completes; then everything must add up.
void World::audit_ring() {
  Ring ring(memory);
  audit_sweepers(ring);
  uint64_t settled = 0;
  ring.sweep(settled);
  const ControlValue control = ring.control();
  const uint64_t next = ring.next_ticket();
  std::map<uint32_t, RecordView> applied;
  std::set<uint64_t> tickets;
  for (uint64_t ticket = next > kRecordCount ? next - kRecordCount : 0; ticket < next; ticket++) {
    RecordView view;
    const ReadOutcome outcome = ring.read(ticket, view);
    check_record(ticket, outcome, view);
    if (outcome == ReadOutcome::kPending && settled > ticket) wrong("ticket " + text(ticket) + " is settled too early");
    if (outcome != ReadOutcome::kRecord) continue;
    tickets.insert(ticket);
    if (view.generation == 0 || !applied.emplace(view.generation, view).second) {
      wrong("ticket " + text(ticket) + " has generation " + text(view.generation) + ", as another or none has");
    }
  }
  if (control.generation < returned_.size()) wrong("fewer generations than triggers that returned");
  uint32_t level = 0;
  uint32_t previous = 0;
  bool exact = next <= kRecordCount && record_less_ == 0;
  if (exact && applied.size() != control.generation) {
    wrong("generation " + text(control.generation) + ", " + text(applied.size()) + " records: applied twice, or lost");
  }
  for (const auto& [generation, view] : applied) {
    if (generation != previous + 1) level = 0;
    if (view.payload.kind == kKindClear && view.payload.cleared_generation + 1 != generation) {
      wrong("a clear of generation " + text(view.payload.cleared_generation) + " became " + text(generation));
    }
    level = view.payload.kind == kKindClear ? 0 : std::max<uint32_t>(level, view.payload.level);
    previous = generation;
  }
  if (previous == control.generation && (exact ? control.level != level : control.level < level)) {
    wrong("the level is " + text(control.level) + ", the records say " + text(level));
  }
  for (const Returned& raised : returned_) {
    if (next <= kRecordCount && !tickets.contains(raised.ticket)) wrong("a trigger that returned has no record");
    if (raised.generation > control.generation) wrong("a trigger that returned was undone");
  }
  audit_cursors(ring);
}

// A watcher that goes on from where it was misses nothing that a newcomer would find.
void World::audit_sweepers(Ring& ring) {
  for (Sweeper& sweeper : sweepers_) {
    if (Machine::get().dead(sweeper.thread)) continue;
    ring.sweep(sweeper.settled);
    uint64_t fresh = 0;
    if (ring.sweep(fresh)) wrong("a watcher settled a record that was not applied");
    return;
  }
}

void World::audit_cursors(Ring& ring) {
  for (uint32_t index = 0; index < consumers_.size(); index++) {
    Consumer& mine = consumers_[index];
    if (mine.cursor == nullptr || Machine::get().dead(mine.thread)) continue;
    take(mine.cursor->poll(ring, 64), index);
    uint64_t missing = 0;
    for (const Returned& raised : returned_) {
      if (raised.ticket >= mine.first && !mine.told.contains(raised.ticket)) missing++;
    }
    if (missing > mine.overruns) {
      wrong("a cursor was not told " + text(missing) + " records, and counts " + text(mine.overruns) + " overwritten");
    }
  }
}

}  // namespace esper::weak
