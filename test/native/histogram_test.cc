// Bucket arithmetic at every edge, and stripes that outlive their writers.
#include "check.h"
#include "latency_histogram.h"

using namespace esper;
using namespace esper::test;

namespace {

std::shared_ptr<Region> histogram_region(uint32_t stripes) {
  RegionOptions options;
  options.kind = SegmentKind::kHistogram;
  options.name = unique_name("histogram");
  options.stripes = stripes;
  Status status;
  auto region = Region::open_private(options, status);
  CHECK(region != nullptr);
  return region;
}

void every_edge_is_in_its_bucket_and_within_the_bound() {
  for (uint32_t index = 0; index < kBucketCount; index++) {
    const uint64_t low = bucket_low(index);
    const uint64_t high = bucket_low(index + 1) - 1;
    CHECK(bucket_index(low) == index && bucket_index(high) == index);
    const double middle = (static_cast<double>(low) + static_cast<double>(high)) / 2;
    if (low >= kLinearBuckets) CHECK((middle - static_cast<double>(low)) / static_cast<double>(low) <= 1.0 / 256);
  }
}

void what_is_not_recorded_is_counted() {
  LatencyHistogram histogram(histogram_region(1));
  histogram.record(-1);
  histogram.record(__builtin_nan(""));
  histogram.record(static_cast<double>(kHighestValue) * 2);
  histogram.record(1000);
  const HistogramSnapshot taken = histogram.snapshot();
  CHECK(taken.invalid == 2 && taken.out_of_range == 1 && taken.sum_ns == 1000);
  CHECK(taken.counts[bucket_index(1000)] == 1 && taken.min_ns == 1000 && taken.max_ns == 1000);
}

void the_lowest_may_be_zero() {
  LatencyHistogram histogram(histogram_region(1));
  CHECK(histogram.snapshot().min_ns == 0 && histogram.snapshot().max_ns == 0);
  histogram.record(5);
  histogram.record(0);
  histogram.record(7);
  CHECK(histogram.snapshot().min_ns == 0 && histogram.snapshot().max_ns == 7);
}

void counts_outlive_their_writer() {
  auto region = histogram_region(2);
  {
    LatencyHistogram first(region);
    first.record(10);
  }
  LatencyHistogram second(region);
  LatencyHistogram third(region);
  second.record(20);
  third.record(30);
  CHECK(second.snapshot().sum_ns == 60);
  LatencyHistogram full(region);
  CHECK(full.stripe() == nullptr && full.snapshot().sum_ns == 60);
}

}  // namespace

int main() {
  RUN(every_edge_is_in_its_bucket_and_within_the_bound);
  RUN(what_is_not_recorded_is_counted);
  RUN(the_lowest_may_be_zero);
  RUN(counts_outlive_their_writer);
}
