// A segment over bytes that the caller holds, and what hostile bytes may not do. The fuzz targets build on both.
#include <cstdlib>
#include <cstring>

#include "check.h"
#include "latency_histogram.h"

using namespace esper;
using namespace esper::test;

namespace {

struct Free {
  void operator()(uint8_t* bytes) const { std::free(bytes); }
};
using Bytes = std::unique_ptr<uint8_t, Free>;

Bytes copy_of(const Region& region) {
  void* bytes = nullptr;
  CHECK(posix_memalign(&bytes, 64, region.size()) == 0);
  std::memcpy(bytes, region.base(), region.size());
  return Bytes(static_cast<uint8_t*>(bytes));
}

void a_copy_is_read_like_its_original() {
  auto original = private_region();
  Flag(original).trigger(request(4, "kept"));
  const Bytes bytes = copy_of(*original);
  Status status;
  auto region = Region::over_bytes(bytes.get(), original->size(), SegmentKind::kEmergency, status);
  CHECK(region != nullptr && !region->shared() && !region->name_moved());
  Flag copy(region);
  CHECK(copy.control().level == 4 && copy.history().size() == 1 && copy.history()[0].reason() == "kept");
  copy.trigger(request(4, "in the copy alone"));
  CHECK(Flag(original).history().size() == 1);
}

void its_header_is_checked_as_at_an_attach() {
  auto original = private_region();
  const Bytes bytes = copy_of(*original);
  Status status;
  CHECK(Region::over_bytes(bytes.get(), 255, SegmentKind::kEmergency, status) == nullptr);
  CHECK(status.code == Code::kTruncated);
  CHECK(Region::over_bytes(bytes.get(), original->size() - 1, SegmentKind::kEmergency, status) == nullptr);
  CHECK(status.code == Code::kTruncated);
  CHECK(Region::over_bytes(bytes.get(), original->size(), SegmentKind::kRollback, status) == nullptr);
  CHECK(status.code == Code::kWrongKind);
  bytes.get()[120] ^= 1;
  CHECK(Region::over_bytes(bytes.get(), original->size(), SegmentKind::kEmergency, status) == nullptr);
  CHECK(status.code == Code::kBadHeader);
}

// A NaN or a negative count in one stripe would spoil every sum, and the exports made of it.
void what_no_writer_writes_counts_as_nothing() {
  RegionOptions options;
  options.kind = SegmentKind::kHistogram;
  options.name = unique_name("hostile");
  options.stripes = 2;
  Status status;
  auto region = Region::open_private(options, status);
  CHECK(region != nullptr);
  LatencyHistogram honest(region);
  honest.record(1000);
  auto& other = reinterpret_cast<Stripe*>(region->base() + kStripesOffset)[1];
  const double odd[] = {__builtin_nan(""), -1, __builtin_inf(), -__builtin_inf(), 1e300};
  for (const double value : odd) {
    for (auto& total : other.totals) total.store(std::bit_cast<uint64_t>(value));
    for (auto& count : other.counts) count.store(std::bit_cast<uint64_t>(value));
    const HistogramSnapshot taken = honest.snapshot();
    CHECK(taken.counts[bucket_index(1000)] == 1 && taken.counts[0] == 0 && taken.sum_ns == 1000);
    CHECK(taken.min_ns == 1000 && taken.max_ns == 1000 && taken.invalid == 0 && taken.out_of_range == 0);
  }
}

}  // namespace

int main() {
  RUN(a_copy_is_read_like_its_original);
  RUN(its_header_is_checked_as_at_an_attach);
  RUN(what_no_writer_writes_counts_as_nothing);
}
