#include "latency_histogram.h"

#include <bit>

#include "identity.h"

namespace esper {
namespace {

double load(const std::atomic<uint64_t>& word) { return std::bit_cast<double>(word.load(std::memory_order_relaxed)); }

// As a writer can have left it. What else a broken or foreign writer put there would make every sum NaN or infinite.
double plausible(const std::atomic<uint64_t>& word, double highest) {
  const double value = load(word);
  return value >= 0 && value <= highest ? value : 0;
}

constexpr double kMostCounts = 9007199254740992.0;  // 2^53: beyond it a double no longer counts by ones
constexpr double kMostNs = static_cast<double>(kHighestValue);

void store(std::atomic<uint64_t>& word, double value) {
  word.store(std::bit_cast<uint64_t>(value), std::memory_order_relaxed);
}

void add(std::atomic<uint64_t>& word, double value) { store(word, load(word) + value); }

}  // namespace

LatencyHistogram::LatencyHistogram(std::shared_ptr<Region> region, HistogramRole role)
    : region_(std::move(region)), stripes_(reinterpret_cast<Stripe*>(region_->base() + kStripesOffset)),
      stripe_count_(region_->header()->record_count) {
  if (role == HistogramRole::kWriter) claim();
}

HistogramCounters& LatencyHistogram::counters() const {
  return *reinterpret_cast<HistogramCounters*>(region_->base() + kHistogramCountersOffset);
}

LatencyHistogram::~LatencyHistogram() { release(); }

void LatencyHistogram::claim() {
  const Liveness liveness(region_->header()->pid_ns_inode);
  const uint32_t me = liveness.self();
  for (uint32_t i = 0; i < stripe_count_; i++) {
    uint64_t owner = stripes_[i].owner.load(std::memory_order_acquire);
    const auto id = static_cast<uint32_t>(owner);
    if (id != 0 && liveness.alive(id)) continue;
    // PAIRS-WITH(histogram.stripe): acquire, so that we add to the last counts of the writer before us
    if (stripes_[i].owner.compare_exchange_strong(owner, me, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      stripe_ = &stripes_[i];
      return;
    }
  }
  counters().refused_writers.fetch_add(1, std::memory_order_relaxed);
}

void LatencyHistogram::release() {
  // PAIRS-WITH(histogram.stripe): release, so that whoever claims it next reads all that was counted
  if (stripe_ != nullptr) stripe_->owner.store(0, std::memory_order_release);
  stripe_ = nullptr;
}

void LatencyHistogram::record(double value_ns) {
  if (stripe_ == nullptr) return;
  if (!(value_ns >= 0)) {
    add(stripe_->totals[kTotalInvalid], 1);
    return;
  }
  if (value_ns > static_cast<double>(kHighestValue)) {
    add(stripe_->totals[kTotalOutOfRange], 1);
    return;
  }
  const double max = load(stripe_->totals[kTotalMax]);
  const double min = load(stripe_->totals[kTotalMin]);
  if (min == 0 || value_ns + 1 < min) store(stripe_->totals[kTotalMin], value_ns + 1);
  if (value_ns > max) store(stripe_->totals[kTotalMax], value_ns);
  add(stripe_->totals[kTotalSum], value_ns);
  add(stripe_->counts[bucket_index(static_cast<uint64_t>(value_ns))], 1);
}

HistogramSnapshot LatencyHistogram::snapshot() const {
  HistogramSnapshot out;
  out.refused_writers = static_cast<double>(counters().refused_writers.load(std::memory_order_relaxed));
  bool any = false;
  for (uint32_t i = 0; i < stripe_count_; i++) {
    const Stripe& stripe = stripes_[i];
    double recorded = 0;
    for (uint32_t bucket = 0; bucket < kBucketCount; bucket++) {
      const double count = plausible(stripe.counts[bucket], kMostCounts);
      out.counts[bucket] += count;
      recorded += count;
    }
    out.sum_ns += plausible(stripe.totals[kTotalSum], kMostCounts * kMostNs);
    out.out_of_range += plausible(stripe.totals[kTotalOutOfRange], kMostCounts);
    out.invalid += plausible(stripe.totals[kTotalInvalid], kMostCounts);
    if (recorded == 0) continue;
    const double min = plausible(stripe.totals[kTotalMin], kMostNs + 1) - 1;
    const double max = plausible(stripe.totals[kTotalMax], kMostNs);
    if (min < 0) continue;
    if (!any || min < out.min_ns) out.min_ns = min;
    if (max > out.max_ns) out.max_ns = max;
    any = true;
  }
  return out;
}

}  // namespace esper
