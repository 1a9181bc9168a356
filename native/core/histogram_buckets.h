// Bucket arithmetic of the latency histogram, apart from any memory: pure, constexpr, tested at every edge.
//
// Values are nanoseconds. Below 256 a bucket holds one integer; from 256 on every octave has 128 buckets, so a
// bucket is at most 1/128 of its lower edge wide and its middle is within 1/256 (0.39 %) of every value in it.
// The same index falls out of the bits of a double, which is how JavaScript records without a native call:
// exponent and top 7 mantissa bits are adjacent, so (high word >> 13) counts buckets directly.
#pragma once

#include <bit>
#include <cstdint>

namespace esper {

inline constexpr uint32_t kLinearBuckets = 256;
inline constexpr uint32_t kSubBucketBits = 7;
inline constexpr uint32_t kSubBuckets = 1u << kSubBucketBits;
inline constexpr uint32_t kValueBits = 42;  // up to 2^42 - 1 ns, about 73 minutes
inline constexpr uint32_t kBucketCount = kLinearBuckets + (kValueBits - 8) * kSubBuckets;
inline constexpr uint64_t kHighestValue = (uint64_t{1} << kValueBits) - 1;

// REQUIRES: value <= kHighestValue.
constexpr uint32_t bucket_index(uint64_t value) {
  if (value < kLinearBuckets) return static_cast<uint32_t>(value);
  const auto exponent = static_cast<uint32_t>(std::bit_width(value)) - 1;
  const auto sub = static_cast<uint32_t>(value >> (exponent - kSubBucketBits)) & (kSubBuckets - 1);
  return kLinearBuckets + (exponent - 8) * kSubBuckets + sub;
}

// Lowest value of a bucket. REQUIRES: index <= kBucketCount (kBucketCount gives the first value out of range).
constexpr uint64_t bucket_low(uint32_t index) {
  if (index < kLinearBuckets) return index;
  const uint32_t exponent = 8 + (index - kLinearBuckets) / kSubBuckets;
  const uint64_t sub = (index - kLinearBuckets) % kSubBuckets;
  return (kSubBuckets + sub) << (exponent - kSubBucketBits);
}

static_assert(bucket_index(255) == 255 && bucket_index(256) == 256 && bucket_index(257) == 256);
static_assert(bucket_index(kHighestValue) == kBucketCount - 1 && bucket_low(kBucketCount) == kHighestValue + 1);
static_assert(bucket_index(bucket_low(1000)) == 1000 && bucket_index(bucket_low(1001) - 1) == 1000);

}  // namespace esper
