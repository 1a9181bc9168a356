#include "flag.h"

#include "identity.h"

namespace esper {
Flag::Flag(std::shared_ptr<Region> region)
    : region_(std::move(region)), ring_(region_->base()), slots_(region_->base(), &region_->locks()) {
  sweep();
}

Flag::~Flag() { give_back_slot(); }

void Flag::give_back_slot() {
  if (slot_ >= 0) slots_.leave(slot_);
  slot_ = -1;
  slot_flags_ = 0;
}

Raised Flag::trigger(const Request& request) {
  Raised raised = ring_.raise(request);
  raised.woke = wake();
  return raised;
}

bool Flag::sweep() {
  uint64_t settled = settled_.load(std::memory_order_relaxed);
  const bool changed = ring_.sweep(settled);
  settled_.store(settled, std::memory_order_relaxed);
  if (changed) wake();
  return changed;
}

std::vector<RecordView> Flag::history() {
  sweep();
  std::vector<RecordView> out;
  const uint64_t next = ring_.next_ticket();
  for (uint64_t ticket = next > kRecordCount ? next - kRecordCount : 0; ticket < next; ticket++) {
    RecordView view;
    if (ring_.read(ticket, view) == ReadOutcome::kRecord) out.push_back(view);
  }
  return out;
}

std::vector<RecordView> Flag::unpublished(uint64_t min_age_ns) {
  const uint64_t now = monotonic_ns();
  std::vector<RecordView> out;
  for (RecordView& view : history()) {
    if (view.published || (view.payload.flags & kFlagRemote) != 0) continue;
    if (view.payload.monotonic_ns + min_age_ns <= now) out.push_back(view);
  }
  return out;
}

bool Flag::find(std::string_view signal_id, RecordView& out) {
  const uint64_t next = ring_.next_ticket();
  const uint64_t oldest = next > kRecordCount ? next - kRecordCount : 0;
  for (uint64_t ticket = next; ticket-- > oldest;) {
    if (ring_.read(ticket, out) != ReadOutcome::kRecord) continue;
    if (std::string_view(out.payload.signal_id, out.payload.signal_id_size) == signal_id) return true;
  }
  return false;
}

// The emergency that holds the level: the newest trigger of that level. A lesser one may have come after it.
std::string Flag::cleared_signal(uint32_t level) {
  const uint64_t next = ring_.next_ticket();
  const uint64_t oldest = next > kRecordCount ? next - kRecordCount : 0;
  RecordView view;
  for (uint64_t ticket = next; ticket-- > oldest;) {
    if (ring_.read(ticket, view) != ReadOutcome::kRecord || view.generation == 0) continue;
    if (view.payload.kind == kKindClear) break;
    if (view.payload.level == level) return view.signal_id();
  }
  return {};
}

ClearResult Flag::clear(const ClearRequest& asked) {
  ClearResult result;
  sweep();
  const ControlValue now = control();
  if (now.level == 0) return result;
  result.outcome = ClearOutcome::kSuperseded;
  if (now.generation != asked.generation || now.level != asked.level) return result;
  mark_seen(asked.generation);
  if (!asked.force) {
    for (SlotView& member : slots_.members()) {
      if (member.alive && !generation_reached(member.seen_generation, asked.generation)) {
        result.waiting_for.push_back(std::move(member));
      }
    }
    if (!result.waiting_for.empty()) {
      result.outcome = ClearOutcome::kUnseen;
      return result;
    }
  }
  const std::string subject = cleared_signal(asked.level);
  Request request;
  request.kind = kKindClear;
  request.flags = static_cast<uint8_t>((asked.force ? kFlagForced : 0) | (asked.remote ? kFlagRemote : 0));
  request.published = asked.remote;
  request.cleared_generation = asked.generation;
  request.cleared_level = asked.level;
  request.signal_id = asked.signal_id;
  request.subject = subject;
  request.origin = asked.origin;
  request.run_id = asked.run_id;
  request.reason = asked.reason;
  ApplyOutcome outcome{};
  const Raised raised = ring_.clear(request, outcome);
  if (outcome == ApplyOutcome::kAppliedHere || outcome == ApplyOutcome::kAppliedAlready) {
    result.outcome = ClearOutcome::kCleared;
    result.signal_id.assign(raised.signal_id, raised.signal_id_size);
  }
  wake();
  return result;
}

bool Flag::acknowledge(uint32_t generation, uint32_t level) {
  const ControlValue now = control();
  const int index = own_slot();
  if (index >= 0) {
    Slot& slot = slots_.at(index);
    if (generation_reached(generation, slot.acknowledged_generation.load(std::memory_order_relaxed))) {
      slot.acknowledged_ns.store(monotonic_ns(), std::memory_order_relaxed);
      slot.acknowledged_generation.store(generation, std::memory_order_release);
    }
    mark_seen(generation);
  }
  return now.generation == generation && now.level == level;
}

void Flag::mark_seen(uint32_t generation) {
  if (slot_ < 0) return;
  Slot& slot = slots_.at(slot_);
  if (!generation_reached(generation, slot.seen_generation.load(std::memory_order_relaxed))) return;
  slot.seen_ns.store(monotonic_ns(), std::memory_order_relaxed);
  slot.seen_generation.store(generation, std::memory_order_release);
}

int Flag::own_slot() {
  if (slot_ >= 0) return slot_;
  slot_ = slots_.claim();
  if (slot_ >= 0) describe_slot();
  return slot_;
}

void Flag::describe_slot() { slots_.describe(slot_, role_, name_, slot_flags_); }

int Flag::join(std::string_view role, std::string_view name) {
  role_ = cut_utf8(role, kRoleBytes);
  name_ = cut_utf8(name, kNameBytes);
  if (own_slot() < 0) return -1;
  slot_flags_ |= kSlotMember;
  describe_slot();
  heartbeat();
  return slot_;
}

void Flag::leave() {
  if (slot_ < 0) return;
  slot_flags_ &= ~kSlotMember;
  slots_.set_flags(slot_, slot_flags_);
  slots_.set_phase(slot_, kPhaseIdle, 0);
}

void Flag::heartbeat() {
  if (slot_ >= 0) slots_.beat(slot_);
}

void Flag::set_phase(uint32_t phase, uint32_t limit_ms) {
  if (slot_ >= 0) slots_.set_phase(slot_, phase, limit_ms);
}

uint8_t* Flag::pulse() const {
  return slot_ < 0 ? nullptr : reinterpret_cast<uint8_t*>(&slots_.at(slot_)) + kPulseOffset;
}

int Flag::want_wake(bool wanted) {
  if (wanted && own_slot() < 0) return -1;
  if (wanted) unlink_dead_queues(*region_->header(), slots_);
  if (slot_ < 0) return -1;
  slot_flags_ = wanted ? slot_flags_ | kSlotWake : slot_flags_ & ~kSlotWake;
  slots_.set_flags(slot_, slot_flags_);
  return slot_;
}

}  // namespace esper
