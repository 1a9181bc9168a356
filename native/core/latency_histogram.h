// Latency histogram across processes: one stripe a writer, cumulative, never reset. An interval is the difference of
// two snapshots, so nothing is lost between them, and a writer that dies blocks nobody.
//
// Who may call   record: the stripe's owner alone (JavaScript writes its stripe's counters itself); snapshot: anyone
// Memory orders  counters are relaxed: each is exact by itself; a snapshot taken while others record may have a count
//                that its sum does not contain yet (it is not one instant)
// Crash table    died inside record: that one value is in the sum, the lowest or the highest, and perhaps not in its
//                bucket; every other count stands. The stripe's counts stay and the next claimant adds to them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "histogram_layout.h"
#include "region.h"

namespace esper {

struct HistogramSnapshot {
  std::vector<double> counts = std::vector<double>(kBucketCount, 0.0);
  double sum_ns = 0;
  double min_ns = 0;  // 0 when empty
  double max_ns = 0;
  double out_of_range = 0;
  double invalid = 0;
};

class LatencyHistogram {
 public:
  explicit LatencyHistogram(std::shared_ptr<Region> region);
  ~LatencyHistogram();
  LatencyHistogram(const LatencyHistogram&) = delete;
  LatencyHistogram& operator=(const LatencyHistogram&) = delete;

  // Stripe of this handle. Null when every stripe is held by a living writer.
  [[nodiscard]] Stripe* stripe() const { return stripe_; }
  [[nodiscard]] std::shared_ptr<Region> share_region() const { return region_; }
  [[nodiscard]] Region& region() const { return *region_; }

  void record(double value_ns);
  [[nodiscard]] HistogramSnapshot snapshot() const;
  // Gives the stripe back; its counts stay.
  void release();

 private:
  void claim();

  std::shared_ptr<Region> region_;
  Stripe* stripes_;
  uint32_t stripe_count_;
  Stripe* stripe_ = nullptr;
};

}  // namespace esper
