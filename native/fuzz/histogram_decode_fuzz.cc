// A histogram segment made of whatever bytes: attaching, claiming a stripe, summing all stripes and recording on top.
// Exports (.hgrm, HDR, Prometheus) are made by JavaScript from the snapshot, so the snapshot must be numbers that they
// can work with, whatever the stripes hold.
#include <cmath>

#include "latency_histogram.h"
#include "segment_image.h"

using namespace esper;
using namespace esper::fuzz;

namespace {

#define REQUIRE(condition) \
  if (!(condition)) __builtin_trap()

constexpr double kOdd[] = {-1.0, -0.0, 5e-324, 0.5, 9007199254740992.0, 1e300, INFINITY, -INFINITY, NAN};

// Patches: u8 kind (0 header, 1 bytes of a stripe, 2 an odd number in a counter, 3 the owner), u8 stripe, u16 word,
// what.
void apply_patches(SegmentImage& image, Input& input) {
  for (int count = 0; input.more() && count < 64; count++) {
    const auto kind = input.take<uint8_t>();
    if (kind == kEndPatches) return;
    const size_t stripe = kStripesOffset + input.take<uint8_t>() % 4 * sizeof(Stripe);
    const size_t at = stripe + input.take<uint16_t>() % (sizeof(Stripe) / 8) * 8;
    switch (kind % 4) {
      case 0: image.overwrite(input, input.take<uint8_t>()); break;
      case 1: image.overwrite(input, at); break;
      case 2: image.put(at, kOdd[input.take<uint8_t>() % std::size(kOdd)]); break;
      default: image.put(stripe, input.take<uint64_t>()); break;
    }
  }
}

void require_numbers(const HistogramSnapshot& taken) {
  for (const double count : taken.counts) REQUIRE(std::isfinite(count) && count >= 0);
  for (const double total : {taken.sum_ns, taken.min_ns, taken.max_ns, taken.out_of_range, taken.invalid}) {
    REQUIRE(std::isfinite(total) && total >= 0);
  }
}

}  // namespace

extern "C" {
int esper_fuzz_attached = 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const auto begin = input.take<uint8_t>();
  const uint32_t stripes = 1 + (begin >> 5) % 3;
  const size_t right = histogram_segment_bytes(stripes);
  SegmentImage image((begin & Begin::kAnySize) != 0 ? input.take<uint32_t>() % (right + 4096) : right);
  if ((begin & Begin::kFresh) != 0) image.begin_fresh(SegmentKind::kHistogram, stripes);
  apply_patches(image, input);
  if ((begin & Begin::kMended) != 0) image.mend_header();
  Status status;
  auto region = Region::over_bytes(image.bytes(), image.size(), SegmentKind::kHistogram, status);
  REQUIRE(region != nullptr || !status.ok());
  if (region == nullptr) return 0;
  esper_fuzz_attached++;
  LatencyHistogram histogram(std::move(region));
  require_numbers(histogram.snapshot());
  histogram.record(input.take<double>());
  for (const double odd : kOdd) histogram.record(odd);
  require_numbers(histogram.snapshot());
  return 0;
}
