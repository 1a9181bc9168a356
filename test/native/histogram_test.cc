// Bucket arithmetic at every edge, and stripes that outlive their writers.
#include "check.h"
#include "dead_owner.h"
#include "latency_histogram.h"

using namespace esper;
using namespace esper::test;

namespace {

std::shared_ptr<Region> histogram_region(uint32_t stripes) {
  return private_region(SegmentKind::kHistogram, stripes);
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

void a_writer_without_a_stripe_is_counted() {
  auto region = histogram_region(1);
  LatencyHistogram writer(region);
  CHECK(writer.snapshot().refused_writers == 0);
  LatencyHistogram refused(region);
  CHECK(refused.stripe() == nullptr && writer.snapshot().refused_writers == 1);
  refused.record(5);
  CHECK(writer.snapshot().sum_ns == 0);
}

void a_reader_takes_no_stripe() {
  auto region = histogram_region(1);
  LatencyHistogram reader(region, HistogramRole::kReader);
  LatencyHistogram writer(region);
  writer.record(7);
  CHECK(reader.stripe() == nullptr && writer.stripe() != nullptr);
  CHECK(reader.snapshot().sum_ns == 7 && reader.snapshot().refused_writers == 0);
}

Stripe& stripe_at(Region& region, uint32_t index) {
  return reinterpret_cast<Stripe*>(region.base() + kStripesOffset)[index];
}

// What the crash table calls "died with the stripe".
void the_stripe_of_the_dead_is_claimed_with_its_counts() {
  auto region = histogram_region(1);
  {
    LatencyHistogram writer(region);
    writer.record(10);
  }
  stripe_at(*region, 0).owner.store(dead_owner());
  LatencyHistogram next(region);
  CHECK(next.stripe() == &stripe_at(*region, 0));
  next.record(20);
  CHECK(next.snapshot().sum_ns == 30 && next.snapshot().min_ns == 10);
}

// "Its pid has a new process": this one, which did not start when the owner did.
void a_reused_pid_does_not_keep_the_stripe() {
  auto region = histogram_region(1);
  const Identity me = self_identity();
  stripe_at(*region, 0).owner.store(owner_id(me.pid, me.start_ticks + 1));
  LatencyHistogram writer(region);
  CHECK(writer.stripe() != nullptr && stripe_at(*region, 0).owner.load() == self_owner());
}

// The same pid and the same start time: alive, also when it is the caller itself under another handle.
void the_stripe_of_the_living_is_not_taken() {
  auto region = histogram_region(1);
  stripe_at(*region, 0).owner.store(self_owner());
  LatencyHistogram writer(region);
  CHECK(writer.stripe() == nullptr && writer.snapshot().refused_writers == 1);
}

// "Died inside record, before the bucket": every prefix of the writes, as bytes.
void a_record_cut_short_leaves_every_other_count() {
  for (int writes = 0; writes <= 3; writes++) {
    auto region = histogram_region(1);
    {
      LatencyHistogram writer(region);
      writer.record(100);
    }
    Stripe& stripe = stripe_at(*region, 0);
    const auto bits = [](double value) { return std::bit_cast<uint64_t>(value); };
    if (writes >= 1) stripe.totals[kTotalMin].store(bits(51));
    if (writes >= 2) stripe.totals[kTotalMax].store(bits(200));
    if (writes >= 3) stripe.totals[kTotalSum].store(bits(300));
    stripe.owner.store(dead_owner());
    LatencyHistogram next(region);
    next.record(150);
    const HistogramSnapshot taken = next.snapshot();
    double counted = 0;
    for (const double count : taken.counts) counted += count;
    CHECK(counted == 2 && taken.counts[bucket_index(100)] == 1 && taken.counts[bucket_index(150)] == 1);
    CHECK(taken.sum_ns == (writes >= 3 ? 450 : 250));
  }
}

}  // namespace

int main() {
  RUN(every_edge_is_in_its_bucket_and_within_the_bound);
  RUN(what_is_not_recorded_is_counted);
  RUN(the_lowest_may_be_zero);
  RUN(counts_outlive_their_writer);
  RUN(a_writer_without_a_stripe_is_counted);
  RUN(a_reader_takes_no_stripe);
  RUN(the_stripe_of_the_dead_is_claimed_with_its_counts);
  RUN(a_reused_pid_does_not_keep_the_stripe);
  RUN(the_stripe_of_the_living_is_not_taken);
  RUN(a_record_cut_short_leaves_every_other_count);
}
