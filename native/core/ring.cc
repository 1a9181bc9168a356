#include "ring.h"

#include <cstring>

#include "identity.h"

namespace esper {
namespace {

// The ticket below `near` that has this tag.
uint64_t full_ticket(uint64_t near, uint32_t tag) { return near - ((near - tag) & kTagMask); }

// 0 is kept for "never raised".
uint32_t next_generation(uint32_t generation) { return generation == UINT32_MAX ? 1 : generation + 1; }

uint64_t word_of(const Payload& payload, size_t index) {
  uint64_t word;
  std::memcpy(&word, reinterpret_cast<const char*>(&payload) + index * 8, 8);
  return word;
}

void describe(const Payload& payload, Raised& out) {
  out.monotonic_ns = payload.monotonic_ns;
  out.wall_ns = payload.wall_ns;
  out.signal_id_size = payload.signal_id_size;
  std::memcpy(out.signal_id, payload.signal_id, sizeof out.signal_id);
}

}  // namespace

Ring::Ring(uint8_t* base)
    : header_(reinterpret_cast<Header*>(base)), control_(reinterpret_cast<Control*>(base + kControlOffset)),
      counters_(reinterpret_cast<Counters*>(base + kCountersOffset)),
      records_(reinterpret_cast<Record*>(base + kRecordsOffset)), liveness_(header_->pid_ns_inode),
      self_owner_(liveness_.self()) {}

ControlValue Ring::control() const {
  // PAIRS-WITH(ring.control): what the record that control names says is visible to whoever acts on the level
  return ControlValue::unpack(control_->word.load(std::memory_order_acquire));
}

const std::atomic<uint32_t>* Ring::generation_word() const {
  return reinterpret_cast<const std::atomic<uint32_t>*>(&control_->word);
}

uint64_t Ring::next_ticket() const { return counters_->next_ticket.load(std::memory_order_acquire); }

std::optional<uint64_t> Ring::claim() {
  for (uint32_t attempt = 0; attempt < kRecordCount; attempt++) {
    const uint64_t ticket = counters_->next_ticket.fetch_add(1, std::memory_order_acq_rel);
    if (try_claim(ticket)) return ticket;
  }
  return std::nullopt;
}

bool Ring::try_claim(uint64_t ticket) {
  Record& record = slot(ticket);
  uint64_t word = record.state.load(std::memory_order_acquire);
  // Every failed CAS below means that this slot moved on; its possible moves for one tag are four.
  for (int moves = 0; moves < 8; moves++) {
    const StateValue state = StateValue::unpack(word);
    if (state.phase != Phase::kEmpty && !tag_newer(tag_of(ticket), state.tag)) return false;
    if (state.phase == Phase::kClaimed && liveness_.alive(state.extra)) return false;
    if (state.phase == Phase::kComplete) {
      repair(full_ticket(ticket, state.tag));
      word = record.state.load(std::memory_order_acquire);
      continue;
    }
    const uint64_t published = record.published.load(std::memory_order_acquire);
    const StateValue claimed{Phase::kClaimed, tag_of(ticket), self_owner_};
    // PAIRS-WITH(ring.claim): a reader that loads a payload word of this claim must see this state afterwards
    if (!record.state.compare_exchange_strong(word, claimed.pack(), std::memory_order_acq_rel,
                                              std::memory_order_acquire)) {
      continue;
    }
    if (state.phase == Phase::kApplied && published_tag(published) == state.tag &&
        published_status(published) == kPending) {
      counters_->overwritten_unpublished.fetch_add(1, std::memory_order_relaxed);
    }
    return true;
  }
  return false;
}

void Ring::fill(uint64_t ticket, const Payload& payload, bool published) {
  Record& record = slot(ticket);
  record.published.store(pack_published(published ? kPublished : kPending, tag_of(ticket), payload.pid),
                         std::memory_order_release);
  for (size_t i = 0; i < kPayloadWords; i++) record.words[i].store(word_of(payload, i), std::memory_order_release);
}

Raised Ring::write(const Request& request, ApplyOutcome& outcome) {
  Payload payload;
  encode_request(request, payload);
  for (uint32_t attempt = 0; attempt < 4; attempt++) {
    const std::optional<uint64_t> ticket = claim();
    if (!ticket) break;
    seal_payload(request, header_->nonce, *ticket, payload);
    fill(*ticket, payload, request.published);
    uint64_t mine = StateValue{Phase::kClaimed, tag_of(*ticket), self_owner_}.pack();
    const uint64_t complete = StateValue{Phase::kComplete, tag_of(*ticket), 0}.pack();
    // PAIRS-WITH(ring.complete): whoever sees the record complete sees all of its payload
    if (!slot(*ticket).state.compare_exchange_strong(mine, complete, std::memory_order_acq_rel,
                                                     std::memory_order_acquire)) {
      continue;
    }
    Raised raised;
    raised.ticket = *ticket;
    describe(payload, raised);
    outcome = apply(*ticket, raised.generation);
    return raised;
  }
  Raised raised;
  raised.record_less = true;
  raised.ticket = counters_->next_ticket.fetch_add(1, std::memory_order_acq_rel);
  seal_payload(request, header_->nonce, raised.ticket, payload);
  describe(payload, raised);
  outcome = ApplyOutcome::kGone;
  return raised;
}

Raised Ring::raise(const Request& request) {
  ApplyOutcome outcome{};
  Raised raised = write(request, outcome);
  if (!raised.record_less) return raised;
  uint64_t word = control_->word.load(std::memory_order_acquire);
  ControlValue next{};
  do {
    next = ControlValue::unpack(word);
    mark(next);
    next.generation = next_generation(next.generation);
    if (next.level < request.level) next.level = request.level;
  } while (!control_->word.compare_exchange_weak(word, next.pack(), std::memory_order_acq_rel,
                                                 std::memory_order_acquire));
  raised.generation = next.generation;
  return raised;
}

Raised Ring::clear(const Request& request, ApplyOutcome& outcome) {
  Raised raised = write(request, outcome);
  if (!raised.record_less) return raised;
  uint64_t word = control_->word.load(std::memory_order_acquire);
  ControlValue next = ControlValue::unpack(word);
  outcome = ApplyOutcome::kVoid;
  if (next.generation != request.cleared_generation || next.level != request.cleared_level) return raised;
  mark(next);
  next.generation = next_generation(next.generation);
  next.level = 0;
  if (control_->word.compare_exchange_strong(word, next.pack(), std::memory_order_acq_rel, std::memory_order_relaxed)) {
    outcome = ApplyOutcome::kAppliedHere;
    raised.generation = next.generation;
  }
  return raised;
}

void Ring::mark(ControlValue named) {
  if (named.generation == 0) return;
  Record& record = records_[named.tag % kRecordCount];
  uint64_t word = record.state.load(std::memory_order_acquire);
  const StateValue state = StateValue::unpack(word);
  if (state.phase != Phase::kComplete || state.tag != named.tag) return;
  const uint64_t applied = StateValue{Phase::kApplied, named.tag, named.generation}.pack();
  // PAIRS-WITH(ring.applied): marked before control is replaced, so that nobody applies this record a second time
  record.state.compare_exchange_strong(word, applied, std::memory_order_acq_rel, std::memory_order_relaxed);
}

ApplyOutcome Ring::apply(uint64_t ticket, uint32_t& generation) {
  const uint32_t tag = tag_of(ticket);
  Record& record = slot(ticket);
  for (;;) {  // lock-free: a round is repeated only when another process changed control
    uint64_t word = control_->word.load(std::memory_order_acquire);
    const ControlValue now = ControlValue::unpack(word);
    if (now.generation != 0 && now.tag == tag) {
      generation = now.generation;
      mark(now);
      return ApplyOutcome::kAppliedAlready;
    }
    // PAIRS-WITH(ring.applied): loaded after control; had it been applied before, it would be marked by now
    uint64_t complete = record.state.load(std::memory_order_acquire);
    const StateValue state = StateValue::unpack(complete);
    if (state.tag != tag) return ApplyOutcome::kGone;
    if (state.phase == Phase::kApplied) {
      generation = state.extra;
      return ApplyOutcome::kAppliedAlready;
    }
    if (state.phase != Phase::kComplete) return ApplyOutcome::kVoid;

    const uint64_t kinds = record.words[1].load(std::memory_order_acquire);
    const auto kind = static_cast<uint8_t>(kinds);
    const uint32_t level = static_cast<uint8_t>(kinds >> 8) & 7u;
    ControlValue next{next_generation(now.generation), now.level > level ? now.level : level, tag};
    if (kind == kKindClear) {
      const uint64_t cleared = record.words[offsetof(Payload, cleared_generation) / 8].load(std::memory_order_acquire);
      const ControlValue seen{static_cast<uint32_t>(cleared), static_cast<uint32_t>(cleared >> 32), 0};
      if (now.generation != seen.generation || now.level != seen.level) {
        record.state.compare_exchange_strong(complete, StateValue{Phase::kVoid, tag, 0}.pack(),
                                             std::memory_order_acq_rel, std::memory_order_relaxed);
        continue;  // the state now says void, or applied by somebody who saw control in time
      }
      next.level = 0;
    }
    mark(now);
    // PAIRS-WITH(ring.control): release, so that the level is never visible before the record that explains it
    if (control_->word.compare_exchange_strong(word, next.pack(), std::memory_order_acq_rel,
                                               std::memory_order_relaxed)) {
      generation = next.generation;
      mark(next);
      return ApplyOutcome::kAppliedHere;
    }
  }
}

bool Ring::repair(uint64_t ticket) {
  uint32_t generation = 0;
  if (apply(ticket, generation) != ApplyOutcome::kAppliedHere) return false;
  counters_->repairs.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool Ring::sweep(uint64_t& settled) {
  const uint64_t next = next_ticket();
  if (settled >= next) return false;
  bool changed = false;
  bool gapless = true;
  uint64_t ticket = next - settled > kRecordCount ? next - kRecordCount : settled;
  for (; ticket < next; ticket++) {
    bool dead = false;
    const StateValue state = look(ticket, dead);
    bool done = state.phase != Phase::kEmpty && tag_newer(state.tag, tag_of(ticket));
    if (state.phase != Phase::kEmpty && state.tag == tag_of(ticket)) {
      if (state.phase == Phase::kComplete) changed = repair(ticket) || changed;
      done = state.phase != Phase::kClaimed || dead;
    } else if (!done && state.phase == Phase::kComplete) {
      changed = repair(full_ticket(ticket, state.tag)) || changed;
    }
    gapless = gapless && done;
    if (gapless) settled = ticket + 1;
  }
  return changed;
}

// The state of the ticket's slot, and whether the ticket's writer died inside it. It may complete its record and die
// between the look at the state and the one at its process: only a claim that still stands after the death is a hole.
StateValue Ring::look(uint64_t ticket, bool& dead) const {
  // PAIRS-WITH(ring.complete): acquire, so that the payload copied after it is the one that was completed
  const uint64_t word = slot(ticket).state.load(std::memory_order_acquire);
  const StateValue state = StateValue::unpack(word);
  dead = false;
  if (state.phase != Phase::kClaimed || state.tag != tag_of(ticket) || liveness_.alive(state.extra)) return state;
  const uint64_t after = slot(ticket).state.load(std::memory_order_acquire);
  dead = after == word;
  return StateValue::unpack(after);
}

ReadOutcome Ring::read(uint64_t ticket, RecordView& out) const {
  const Record& record = slot(ticket);
  bool dead = false;
  const StateValue before = look(ticket, dead);
  if (before.phase == Phase::kEmpty) return ReadOutcome::kPending;
  if (before.tag != tag_of(ticket)) {
    return tag_newer(before.tag, tag_of(ticket)) ? ReadOutcome::kOverwritten : ReadOutcome::kPending;
  }
  if (before.phase == Phase::kClaimed) return dead ? ReadOutcome::kHole : ReadOutcome::kPending;
  if (before.phase == Phase::kVoid) return ReadOutcome::kVoid;
  auto* bytes = reinterpret_cast<char*>(&out.payload);
  for (size_t i = 0; i < kPayloadWords; i++) {
    // PAIRS-WITH(ring.claim): acquire, so that the second look at the state below cannot come before the copy
    const uint64_t word = record.words[i].load(std::memory_order_acquire);
    std::memcpy(bytes + i * 8, &word, 8);
  }
  const uint64_t published = record.published.load(std::memory_order_acquire);
  const StateValue after = StateValue::unpack(record.state.load(std::memory_order_acquire));
  if (after.tag != tag_of(ticket)) return ReadOutcome::kOverwritten;
  if (after.phase == Phase::kVoid) return ReadOutcome::kVoid;
  if (!payload_intact(out.payload)) return ReadOutcome::kCorrupt;
  if (out.payload.ticket != ticket) return ReadOutcome::kOverwritten;
  out.generation = after.phase == Phase::kApplied ? after.extra : 0;
  out.published = published_tag(published) == tag_of(ticket) && published_status(published) == kPublished;
  return ReadOutcome::kRecord;
}

bool Ring::settled(uint64_t ticket) const {
  bool dead = false;
  const StateValue state = look(ticket, dead);
  if (state.phase == Phase::kEmpty) return false;
  if (state.tag != tag_of(ticket)) return tag_newer(state.tag, tag_of(ticket));
  if (state.phase == Phase::kClaimed) return dead;
  return state.phase != Phase::kVoid;
}

bool Ring::mark_published(uint64_t ticket) {
  Record& record = slot(ticket);
  uint64_t word = record.published.load(std::memory_order_acquire);
  if (published_tag(word) != tag_of(ticket) || published_status(word) != kPending) return false;
  const uint64_t marked = pack_published(kPublished, tag_of(ticket), self_identity().pid);
  return record.published.compare_exchange_strong(word, marked, std::memory_order_acq_rel, std::memory_order_relaxed);
}

}  // namespace esper
