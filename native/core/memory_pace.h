// When memory is looked at, and from where on it is critical: plain arithmetic.
#pragma once

#include <cstdint>

namespace esper {

// What nothing is expected to fill memory faster than: 4 GiB/s. Page faults bound one thread; docs/memory-monitor.md has
// what was measured.
inline constexpr uint64_t kAssumedRate = uint64_t{1} << 32;
inline constexpr uint64_t kFloorNs = 1000000;

struct SamplerSettings {
  uint64_t interval_ns = 0;
  uint64_t near_ns = 0;
  uint64_t dwell_ns = 0;
  double critical = 1;  // of a limit
  double margin = 0;
};

// How much of a limit is used; 0 without one.
double share(uint64_t usage, uint64_t limit);

// Bytes below `part` of the limit; 0 above it.
uint64_t headroom_below(double part, uint64_t usage, uint64_t limit);

// Bytes a second; 0 when it shrank.
uint64_t growth(uint64_t usage, uint64_t before, uint64_t elapsed_ns);

// How long to sleep with `headroom` bytes left below CRITICAL that shrank by `rate` bytes a second.
uint64_t next_sample_ns(uint64_t headroom, uint64_t rate, const SamplerSettings& settings);

}  // namespace esper
