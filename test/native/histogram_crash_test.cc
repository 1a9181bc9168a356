// [R-B7] Every row of the crash table in latency_histogram.h, staged by hand.
#include <bit>

#include "check.h"
#include "dead_owner.h"
#include "latency_histogram.h"

using namespace esper;
using namespace esper::test;

namespace {

constexpr double kValue = 4000;

std::shared_ptr<Region> histogram_region(uint32_t stripes) {
  return private_region(SegmentKind::kHistogram, stripes);
}

Stripe& stripe_at(Region& region, uint32_t index) {
  return reinterpret_cast<Stripe*>(region.base() + kStripesOffset)[index];
}

// A stripe that recorded 1000 and 2000 and whose owner is `owner` from then on.
std::shared_ptr<Region> region_with_a_stripe_of(uint32_t owner) {
  auto region = histogram_region(1);
  LatencyHistogram writer(region);
  writer.record(1000);
  writer.record(2000);
  writer.release();
  stripe_at(*region, 0).owner.store(owner);
  return region;
}

double counted(const HistogramSnapshot& snapshot) {
  double sum = 0;
  for (const double count : snapshot.counts) sum += count;
  return sum;
}

void store(std::atomic<uint64_t>& word, double value) { word.store(std::bit_cast<uint64_t>(value)); }

// The stores of record(), one more each time, up to the one before the bucket.
void died_inside_record_before_the_bucket() {
  for (int stores = 0; stores <= 2; stores++) {
    auto region = region_with_a_stripe_of(dead_owner());
    Stripe& stripe = stripe_at(*region, 0);
    if (stores >= 1) store(stripe.totals[kTotalMax], kValue);
    if (stores >= 2) store(stripe.totals[kTotalSum], 3000 + kValue);
    LatencyHistogram next(region);
    const HistogramSnapshot left = next.snapshot();
    CHECK(counted(left) == 2 && left.counts[bucket_index(1000)] == 1 && left.counts[bucket_index(2000)] == 1);
    CHECK(left.min_ns == 1000 && left.max_ns == (stores >= 1 ? kValue : 2000));
    CHECK(left.sum_ns == (stores >= 2 ? 3000 + kValue : 3000));
    next.record(10);
    CHECK(counted(next.snapshot()) == 3 && next.snapshot().sum_ns == left.sum_ns + 10);
  }
}

void died_inside_the_first_record_of_a_stripe() {
  auto region = histogram_region(1);
  Stripe& stripe = stripe_at(*region, 0);
  stripe.owner.store(dead_owner());
  store(stripe.totals[kTotalMin], kValue + 1);
  store(stripe.totals[kTotalMax], kValue);
  LatencyHistogram next(region);
  CHECK(counted(next.snapshot()) == 0 && next.snapshot().min_ns == 0 && next.snapshot().max_ns == 0);
  next.record(5000);
  CHECK(counted(next.snapshot()) == 1 && next.snapshot().sum_ns == 5000);
}

void died_with_the_stripe() {
  auto region = region_with_a_stripe_of(dead_owner());
  LatencyHistogram next(region);
  CHECK(next.stripe() == &stripe_at(*region, 0) && counted(next.snapshot()) == 2 && next.snapshot().sum_ns == 3000);
  next.record(kValue);
  CHECK(counted(next.snapshot()) == 3 && next.snapshot().sum_ns == 7000 && next.snapshot().max_ns == kValue);
}

void died_between_cas_and_first_record() {
  auto region = histogram_region(1);
  stripe_at(*region, 0).owner.store(dead_owner());
  LatencyHistogram next(region);
  CHECK(next.stripe() != nullptr && counted(next.snapshot()) == 0);
}

// The pid is ours, so somebody runs under it; only the start time tells that it is another process.
void its_pid_has_a_new_process() {
  const Identity me = self_identity();
  LatencyHistogram next(region_with_a_stripe_of(owner_id(me.pid, me.start_ticks + 1)));
  CHECK(next.stripe() != nullptr && counted(next.snapshot()) == 2);
}

void its_pid_has_a_new_process_with_the_same_id() {
  const Identity me = self_identity();
  LatencyHistogram next(region_with_a_stripe_of(owner_id(me.pid, me.start_ticks + 1024)));
  CHECK(next.stripe() == nullptr && counted(next.snapshot()) == 2);
}

}  // namespace

int main() {
  RUN(died_inside_record_before_the_bucket);
  RUN(died_inside_the_first_record_of_a_stripe);
  RUN(died_with_the_stripe);
  RUN(died_between_cas_and_first_record);
  RUN(its_pid_has_a_new_process);
  RUN(its_pid_has_a_new_process_with_the_same_id);
}
