// Latency histogram across processes: one stripe a writer, cumulative, never reset. An interval is the difference of
// two snapshots, so nothing is lost between them, and a writer that dies blocks nobody.
//
// Who may call   record: the stripe's owner alone (JavaScript writes its stripe's counters itself); snapshot: anyone
// Protocol       claim: CAS of the owner word from 0, or from the id of a dead process, to one's own. record: lowest,
//                highest, sum, and last the bucket. release: owner = 0.
// Memory orders  owner: acquire on claim, release on release, so that the next writer reads the last count of the one
//                before. Counters are relaxed: each is exact by itself and never falls. A snapshot taken while others
//                record is not one instant: whatever is recorded in that time may be in its sum and in none of its
//                buckets, and where stores may be seen out of order (AArch64) the reverse, one value a writer.
// Crash table    died inside record, before the bucket: that one value is in the lowest, the highest or the sum and
//                  in no bucket; every other count stands. Nobody repairs it: nobody can know.
//                died with the stripe: its counts stay and are read; the next claimant adds to them.
//                died between CAS and first record: an empty stripe with a dead owner, claimed by the next.
//                its pid has a new process: another start time gives another owner id, so the owner counts as dead;
//                  1 in 1024 gives the same id, and the stripe stays held until that process ends too.
// Bounds         claim: one pass over at most 64 stripes. None free: counted in the segment, and the caller is told.
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
  double refused_writers = 0;
};

enum class HistogramRole { kWriter, kReader };

class LatencyHistogram {
 public:
  // A reader holds no stripe: it records nothing and takes no place from a writer.
  explicit LatencyHistogram(std::shared_ptr<Region> region, HistogramRole role = HistogramRole::kWriter);
  ~LatencyHistogram();
  LatencyHistogram(const LatencyHistogram&) = delete;
  LatencyHistogram& operator=(const LatencyHistogram&) = delete;

  // Stripe of this handle. Null for a reader, and when every stripe is held by a living writer.
  [[nodiscard]] Stripe* stripe() const { return stripe_; }
  [[nodiscard]] std::shared_ptr<Region> share_region() const { return region_; }
  [[nodiscard]] Region& region() const { return *region_; }

  void record(double value_ns);
  [[nodiscard]] HistogramSnapshot snapshot() const;
  // Gives the stripe back; its counts stay.
  void release();

 private:
  void claim();
  [[nodiscard]] HistogramCounters& counters() const;

  std::shared_ptr<Region> region_;
  Stripe* stripes_;
  uint32_t stripe_count_;
  Stripe* stripe_ = nullptr;
};

}  // namespace esper
