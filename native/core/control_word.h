// Arithmetic of the packed words, apart from any atomic: control, record state, published mark.
#pragma once

#include <cstdint>

namespace esper {

inline constexpr uint32_t kTagMask = 0xffffff;

// Low 24 bits of a ticket, as packed words carry it. Two tickets are told apart while fewer than 2^23 lie between
// them: a process would have to sleep through eight million emergencies to be fooled.
constexpr uint32_t tag_of(uint64_t ticket) { return static_cast<uint32_t>(ticket) & kTagMask; }

// True when `tag` belongs to a later ticket than `than`.
constexpr bool tag_newer(uint32_t tag, uint32_t than) {
  const uint32_t distance = (tag - than) & kTagMask;
  return distance != 0 && distance < (1u << 23);
}

// True when generation `a` is `b` or later, modulo 2^32.
constexpr bool generation_reached(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) >= 0; }

struct ControlValue {
  uint32_t generation;
  uint32_t level;
  uint32_t tag;

  static constexpr ControlValue unpack(uint64_t word) {
    const auto high = static_cast<uint32_t>(word >> 32);
    return {static_cast<uint32_t>(word), high & 7u, high >> 8};
  }
  [[nodiscard]] constexpr uint64_t pack() const {
    return static_cast<uint64_t>((tag & kTagMask) << 8 | (level & 7u)) << 32 | generation;
  }
};

// A fresh segment names a ticket that comes last, so that ticket 0 does not look applied.
inline constexpr ControlValue kInitialControl = {0, 0, kTagMask};

enum class Phase : uint32_t { kEmpty = 0, kClaimed = 1, kComplete = 2, kApplied = 3, kVoid = 4 };

struct StateValue {
  Phase phase;
  uint32_t tag;
  uint32_t extra;  // claimed: owner id; applied: generation

  static constexpr StateValue unpack(uint64_t word) {
    return {static_cast<Phase>(word & 0xff), static_cast<uint32_t>(word >> 8) & kTagMask,
            static_cast<uint32_t>(word >> 32)};
  }
  [[nodiscard]] constexpr uint64_t pack() const {
    return static_cast<uint64_t>(extra) << 32 | static_cast<uint64_t>(tag & kTagMask) << 8 |
           static_cast<uint64_t>(phase);
  }
};

inline constexpr uint32_t kPending = 0;
inline constexpr uint32_t kPublished = 1;

constexpr uint64_t pack_published(uint32_t status, uint32_t tag, uint32_t pid) {
  return static_cast<uint64_t>(pid) << 32 | static_cast<uint64_t>(tag & kTagMask) << 8 | status;
}
constexpr uint32_t published_status(uint64_t word) { return static_cast<uint32_t>(word & 0xff); }
constexpr uint32_t published_tag(uint64_t word) { return static_cast<uint32_t>(word >> 8) & kTagMask; }

static_assert(ControlValue::unpack(ControlValue{7, 4, 0xabcdef}.pack()).tag == 0xabcdef);
static_assert(ControlValue::unpack(ControlValue{7, 4, 0xabcdef}.pack()).level == 4);
static_assert(StateValue::unpack(StateValue{Phase::kApplied, 5, 9}.pack()).extra == 9);
static_assert(tag_newer(1, kTagMask) && !tag_newer(kTagMask, 1) && !tag_newer(3, 3));
static_assert(generation_reached(0, 0xffffffff) && !generation_reached(0xffffffff, 0));

}  // namespace esper
