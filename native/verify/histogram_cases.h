// Recording into a histogram, and claiming a stripe for it.
#pragma once

#include <numeric>

#include "crash_case.h"
#include "latency_histogram.h"

namespace esper::verify {

inline constexpr uint32_t kStripes = 3;
inline constexpr double kRecorded = 123456789;  // above every value that was there before

inline double total_of(const HistogramSnapshot& snapshot) {
  return std::accumulate(snapshot.counts.begin(), snapshot.counts.end(), 0.0);
}

class HistogramCase : public CrashCase {
 public:
  // `record`: what is stepped, instead of recording a value; `claims`: claiming is stepped.
  HistogramCase(const std::string& name, const std::string& directory, bool claims,
                void (*record)(LatencyHistogram&) = nullptr)
      : CrashCase(name, directory), claims_(claims), record_(record), region_(open(how())) {
    LatencyHistogram mine(region_);
    LatencyHistogram gone(region_);
    for (int i = 1; i <= 100; i++) {
      mine.record(i * 1000);
      if (claims) gone.record(i * 10);  // else the child's stripe is a new one, and its lowest value is set too
    }
    gone.stripe()->owner.store(gone_owner());
    before_ = mine.snapshot();
    pristine_.assign(region_->base(), region_->base() + region_->size());
    gone.release();
  }
  ~HistogramCase() override {
    bool removed = false;
    (void)Region::unlink(name(), directory(), removed);
  }

  void reset() override { std::memcpy(region_->base(), pristine_.data(), pristine_.size()); }
  void prepare() override {
    child_region_ = open(how());
    self_identity();
    if (!claims_) child_ = new LatencyHistogram(child_region_);
  }
  void operate() override {
    if (claims_) child_ = new LatencyHistogram(child_region_);
    if (record_ != nullptr) return record_(*child_);
    child_->record(kRecorded);
  }
  [[nodiscard]] std::unique_ptr<WatchedBytes> watch() const override {
    return std::make_unique<WatchedBytes>(region_->base(), region_->size());
  }
  void check_copy(const WatchedBytes& watched, uint32_t child, bool done, Findings& findings) override {
    auto region = copy_of(watched.bytes(), SegmentKind::kHistogram, kStripes);
    check(region, done, false, findings);
    std::memcpy(region->base(), watched.bytes().data(), region->size());
    auto* stripes = reinterpret_cast<Stripe*>(region->base() + kStripesOffset);
    for (uint32_t i = 0; i < kStripes; i++) {
      if (stripes[i].owner.load() == child) stripes[i].owner.store(gone_owner());
    }
    check(region, done, true, findings);
  }
  void check_real(bool done, Findings& findings) override { check(open(how()), done, true, findings); }

 private:
  [[nodiscard]] RegionOptions how() const { return options(SegmentKind::kHistogram, kStripes); }

  void check(const std::shared_ptr<Region>& region, bool done, bool dead, Findings& findings) const {
    LatencyHistogram next(region);
    const HistogramSnapshot now = next.snapshot();
    const double more = total_of(now) - total_of(before_);
    findings.expect(more == 0 || more == 1, "its counts grew by " + std::to_string(more));
    findings.expect(more == 1 || !done, "a value is not counted");
    const double sum = now.sum_ns - before_.sum_ns;
    findings.expect(sum == 0 || sum == kRecorded, "its sum grew by " + std::to_string(sum));
    findings.expect(sum == kRecorded || more == 0, "a value is counted and not in the sum");
    for (uint32_t i = 0; i < kBucketCount; i++) {
      const bool own = i == bucket_index(static_cast<uint64_t>(kRecorded));
      findings.expect(now.counts[i] == before_.counts[i] + (own ? more : 0), "another bucket changed");
    }
    findings.expect(now.min_ns == before_.min_ns, "the lowest value changed");
    findings.expect(now.max_ns == kRecorded || (now.max_ns == before_.max_ns && more == 0), "the highest is wrong");
    findings.expect(now.invalid == 0 && now.out_of_range == 0, "it was counted as no value");
    check_next_writer(next, now, dead, findings);
  }
  // The stripes of the dead are to be had, with their counts.
  static void check_next_writer(LatencyHistogram& next, const HistogramSnapshot& now, bool dead, Findings& findings) {
    findings.expect(next.stripe() != nullptr, "no stripe is to be had");
    if (next.stripe() == nullptr) return;
    next.record(5);
    const HistogramSnapshot later = next.snapshot();
    findings.expect(total_of(later) == total_of(now) + 1 && later.sum_ns == now.sum_ns + 5, "the next record is lost");
    LatencyHistogram last(next.share_region());
    findings.expect(last.stripe() != nullptr || !dead, "a stripe of the dead is not taken over");
  }

  bool claims_;
  void (*record_)(LatencyHistogram&);
  std::shared_ptr<Region> region_;
  HistogramSnapshot before_;
  std::vector<uint8_t> pristine_;
  std::shared_ptr<Region> child_region_;
  LatencyHistogram* child_ = nullptr;
};

}  // namespace esper::verify
