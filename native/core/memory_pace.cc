#include "memory_pace.h"

#include <algorithm>

namespace esper {
namespace {

constexpr uint64_t kSecondNs = 1000000000;

// In doubles: with a terabyte of headroom the product of bytes and nanoseconds does not fit 64 bits.
uint64_t ns_until(uint64_t bytes, uint64_t rate) {
  const double ns = static_cast<double>(bytes) * static_cast<double>(kSecondNs) / static_cast<double>(rate);
  return ns >= 1e18 ? UINT64_MAX : static_cast<uint64_t>(ns);
}

}  // namespace

double share(uint64_t usage, uint64_t limit) {
  return limit == 0 ? 0 : static_cast<double>(usage) / static_cast<double>(limit);
}

uint64_t headroom_below(double part, uint64_t usage, uint64_t limit) {
  const auto line = static_cast<uint64_t>(part * static_cast<double>(limit));
  return line - std::min(line, usage);
}

uint64_t growth(uint64_t usage, uint64_t before, uint64_t elapsed_ns) {
  if (usage <= before || elapsed_ns == 0) return 0;
  const double rate = static_cast<double>(usage - before) * static_cast<double>(kSecondNs) /
                      static_cast<double>(elapsed_ns);
  return static_cast<uint64_t>(std::min(rate, 1e18));
}

uint64_t next_sample_ns(uint64_t headroom, uint64_t rate, const SamplerSettings& settings) {
  const uint64_t near_ns = std::min(settings.near_ns, settings.interval_ns);
  if (headroom == 0) return near_ns;
  uint64_t sleep_ns = std::clamp(ns_until(headroom, kAssumedRate), near_ns, settings.interval_ns);
  // Half of the time it would take: growth that began in the middle of the last interval is twice as fast as it looks.
  if (rate > 0) sleep_ns = std::min(sleep_ns, std::max(kFloorNs, ns_until(headroom, rate) / 2));
  return sleep_ns;
}

}  // namespace esper
