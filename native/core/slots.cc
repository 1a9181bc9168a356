#include "slots.h"

#include <algorithm>
#include <cstring>

#include "identity.h"

namespace esper {
namespace {

constexpr uint32_t owner_of(uint64_t word) { return static_cast<uint32_t>(word); }
constexpr uint32_t incarnation_of(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
constexpr uint64_t pack(uint32_t owner, uint32_t incarnation) {
  return static_cast<uint64_t>(incarnation) << 32 | owner;
}

void store_words(std::atomic<uint64_t>* out, size_t bytes, std::string_view text) {
  char buffer[kNameBytes] = {};
  std::memcpy(buffer, text.data(), std::min(text.size(), bytes));
  for (size_t i = 0; i < bytes / 8; i++) {
    uint64_t word;
    std::memcpy(&word, buffer + i * 8, 8);
    out[i].store(word, std::memory_order_relaxed);
  }
}

std::string load_words(const std::atomic<uint64_t>* in, size_t bytes, size_t size) {
  char buffer[kNameBytes];
  for (size_t i = 0; i < bytes / 8; i++) {
    const uint64_t word = in[i].load(std::memory_order_relaxed);
    std::memcpy(buffer + i * 8, &word, 8);
  }
  return {buffer, std::min(size, bytes)};
}

}  // namespace

Slots::Slots(uint8_t* base, SlotLocks* locks)
    : slots_(reinterpret_cast<Slot*>(base + kSlotsOffset)),
      counters_(reinterpret_cast<Counters*>(base + kCountersOffset)), locks_(locks),
      liveness_(reinterpret_cast<Header*>(base)->pid_ns_inode), self_owner_(liveness_.self()) {}

uint32_t Slots::high_water() const {
  return std::min(counters_->slot_high_water.load(std::memory_order_acquire), kSlotCount);
}

uint32_t Slots::incarnation(int index) const {
  return incarnation_of(slots_[index].owner.load(std::memory_order_acquire));
}

int Slots::claim() {
  for (uint32_t index = 0; index < kSlotCount; index++) {
    uint64_t word = slots_[index].owner.load(std::memory_order_acquire);
    if (owner_of(word) != 0 && !dead(index, word)) continue;
    if (!slots_[index].owner.compare_exchange_strong(word, pack(self_owner_, incarnation_of(word) + 1),
                                                     std::memory_order_acq_rel, std::memory_order_relaxed)) {
      continue;
    }
    uint32_t mark = counters_->slot_high_water.load(std::memory_order_relaxed);
    while (mark < index + 1 && !counters_->slot_high_water.compare_exchange_weak(
                                   mark, index + 1, std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
    if (locks_ != nullptr) locks_->lock(index);
    return static_cast<int>(index);
  }
  return -1;
}

void Slots::describe(int index, std::string_view role, std::string_view name, uint32_t flags) {
  Slot& slot = slots_[index];
  const Identity self = self_identity();
  slot.pid.store(self.pid, std::memory_order_relaxed);
  slot.start_ticks.store(self.start_ticks, std::memory_order_relaxed);
  const size_t role_size = std::min(role.size(), kRoleBytes);
  const size_t name_size = std::min(name.size(), kNameBytes);
  slot.sizes.store(role_size | name_size << 8, std::memory_order_relaxed);
  store_words(slot.role, kRoleBytes, role.substr(0, role_size));
  store_words(slot.name, kNameBytes, name.substr(0, name_size));
  const uint32_t mine = incarnation(index);
  if (slot.filled.load(std::memory_order_relaxed) != mine) {
    slot.heartbeat_ns.store(monotonic_ns(), std::memory_order_relaxed);
    slot.phase.store(kPhaseIdle, std::memory_order_relaxed);
    slot.limit_ms.store(0, std::memory_order_relaxed);
    slot.seen_generation.store(0, std::memory_order_relaxed);
    slot.acknowledged_generation.store(0, std::memory_order_relaxed);
    slot.acknowledged_ns.store(0, std::memory_order_relaxed);
    slot.seen_ns.store(0, std::memory_order_relaxed);
  }
  slot.flags.store(with_lock(index, flags), std::memory_order_relaxed);
  // PAIRS-WITH(slots.filled): whoever sees this incarnation filled sees the fields above
  slot.filled.store(mine, std::memory_order_release);
}

void Slots::set_flags(int index, uint32_t flags) {
  slots_[index].flags.store(with_lock(index, flags), std::memory_order_release);
}

uint32_t Slots::with_lock(int index, uint32_t flags) const {
  return locks_ != nullptr && locks_->held(static_cast<uint32_t>(index)) ? flags | kSlotLocked : flags;
}

void Slots::leave(int index) {
  Slot& slot = slots_[index];
  uint64_t word = slot.owner.load(std::memory_order_acquire);
  if (owner_of(word) != self_owner_) return;
  slot.flags.store(0, std::memory_order_release);
  // Whoever has the slot next may be of layout 1.0, which knows neither: it would be judged by our limit.
  slot.limit_ms.store(0, std::memory_order_release);
  slot.phase.store(kPhaseIdle, std::memory_order_release);
  if (locks_ != nullptr) locks_->unlock(static_cast<uint32_t>(index));
  slot.owner.compare_exchange_strong(word, pack(0, incarnation_of(word)), std::memory_order_acq_rel,
                                     std::memory_order_relaxed);
}

bool Slots::filled(uint32_t index) const {
  const uint64_t word = slots_[index].owner.load(std::memory_order_acquire);
  // PAIRS-WITH(slots.filled): acquire, so that the fields read next are those of this incarnation
  return owner_of(word) != 0 && slots_[index].filled.load(std::memory_order_acquire) == incarnation_of(word);
}

bool Slots::member(uint32_t index) const {
  return filled(index) && (slots_[index].flags.load(std::memory_order_acquire) & kSlotMember) != 0;
}

bool Slots::alive(uint32_t index) const {
  const uint64_t word = slots_[index].owner.load(std::memory_order_acquire);
  return owner_of(word) != 0 && !dead(index, word);
}

// `word`: the slot's owner word. True only when its owner is certainly gone.
bool Slots::dead(uint32_t index, uint64_t word) const {
  const Slot& slot = slots_[index];
  const uint32_t owner = owner_of(word);
  const bool whole = slot.filled.load(std::memory_order_acquire) == incarnation_of(word);
  if (liveness_.knows(owner)) {
    const uint32_t pid = slot.pid.load(std::memory_order_relaxed);
    const uint64_t start_ticks = slot.start_ticks.load(std::memory_order_relaxed);
    return whole && owner_id(pid, start_ticks) == owner ? !process_alive(pid, start_ticks) : !liveness_.alive(owner);
  }
  // Before `filled` the flags may be of an earlier owner, whose lock is free of course.
  if (!whole || (slot.flags.load(std::memory_order_acquire) & kSlotLocked) == 0) return false;
  return locks_ != nullptr && locks_->free_everywhere(index);
}

uint64_t Slots::stale_for_ns(uint32_t index, uint64_t now_ns) const {
  const Slot& slot = slots_[index];
  // PAIRS-WITH(slots.pulse): the limit first, so that the heartbeat is at least the one that came with it
  const uint64_t limit_ns = uint64_t{slot.limit_ms.load(std::memory_order_acquire)} * 1000000u;
  const uint64_t heartbeat_ns = slot.heartbeat_ns.load(std::memory_order_acquire);
  if (limit_ns == 0 || now_ns <= heartbeat_ns || now_ns - heartbeat_ns <= limit_ns) return 0;
  return now_ns - heartbeat_ns - limit_ns;
}

void Slots::beat(int index) { slots_[index].heartbeat_ns.store(monotonic_ns(), std::memory_order_release); }

void Slots::set_phase(int index, uint32_t phase, uint32_t limit_ms) {
  Slot& slot = slots_[index];
  beat(index);
  slot.phase.store(phase, std::memory_order_release);
  // PAIRS-WITH(slots.pulse): last
  slot.limit_ms.store(limit_ms, std::memory_order_release);
}

SlotView Slots::view(uint32_t index) const {
  const Slot& slot = slots_[index];
  const uint64_t sizes = slot.sizes.load(std::memory_order_relaxed);
  SlotView out;
  out.index = index;
  out.pid = slot.pid.load(std::memory_order_relaxed);
  out.start_ticks = slot.start_ticks.load(std::memory_order_relaxed);
  out.role = load_words(slot.role, kRoleBytes, sizes & 0xff);
  out.name = load_words(slot.name, kNameBytes, sizes >> 8 & 0xff);
  out.alive = alive(index);
  out.heartbeat_ns = slot.heartbeat_ns.load(std::memory_order_relaxed);
  const uint32_t phase = slot.phase.load(std::memory_order_relaxed);
  out.phase = phase & kPhaseMask;
  out.suspended = (phase & kPhaseSuspended) != 0;
  out.limit_ms = slot.limit_ms.load(std::memory_order_relaxed);
  out.stale_for_ns = out.alive ? stale_for_ns(index, monotonic_ns()) : 0;
  out.flags = slot.flags.load(std::memory_order_acquire);
  out.seen_generation = slot.seen_generation.load(std::memory_order_acquire);
  out.acknowledged_generation = slot.acknowledged_generation.load(std::memory_order_acquire);
  return out;
}

std::vector<SlotView> Slots::members() const {
  std::vector<SlotView> out;
  for (uint32_t index = 0; index < high_water(); index++) {
    if (!member(index)) continue;
    SlotView view = this->view(index);
    if ((view.flags & kSlotMember) != 0) out.push_back(std::move(view));
  }
  return out;
}

}  // namespace esper
