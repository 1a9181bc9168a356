// Bytes of a histogram segment: one stripe a writer. Counters are doubles because a plain `array[i] += 1` in
// JavaScript is then exact up to 2^53 and one aligned 8-byte store, which no reader can see torn.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "histogram_buckets.h"

namespace esper {

inline constexpr uint32_t kTotalsCount = 8;
inline constexpr uint32_t kTotalSum = 0;         // of values recorded, ns
inline constexpr uint32_t kTotalMin = 1;         // lowest value + 1, ns; 0 while there is none
inline constexpr uint32_t kTotalMax = 2;         // highest value, ns
inline constexpr uint32_t kTotalOutOfRange = 3;  // values above kHighestValue: counted, not recorded
inline constexpr uint32_t kTotalInvalid = 4;     // NaN or negative: counted, not recorded

// Single writer. The bits of each double are stored as an atomic word.
struct Stripe {
  std::atomic<uint64_t> owner;  // low half: owner id, 0 = free (its counts stay and are taken over)
  uint8_t reserved[56];
  std::atomic<uint64_t> totals[kTotalsCount];
  std::atomic<uint64_t> counts[kBucketCount];
};

// Between the header and the stripes, so that a reader can tell that its total is not everybody's.
struct HistogramCounters {
  std::atomic<uint64_t> refused_writers;  // opens to record that found every stripe held by a living writer
  uint8_t reserved[56];
};

inline constexpr size_t kHistogramCountersOffset = 256;
inline constexpr size_t kStripesOffset = 4096;
inline constexpr uint32_t kMaxStripes = 64;

constexpr size_t histogram_segment_bytes(uint32_t stripes) { return kStripesOffset + stripes * sizeof(Stripe); }

static_assert(kHistogramCountersOffset + sizeof(HistogramCounters) <= kStripesOffset);
static_assert(sizeof(Stripe) == 128 + kBucketCount * 8 && sizeof(Stripe) % 64 == 0);
static_assert(std::numeric_limits<double>::is_iec559 && sizeof(double) == 8, "JavaScript adds to the same bits");
static_assert(offsetof(Stripe, totals) == 64 && offsetof(Stripe, counts) == 128);

}  // namespace esper
