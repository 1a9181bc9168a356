// Seeds for the fuzz targets: real segments, written down as their difference from a fresh one.
// Usage: make_seeds ATTACH_DIR HISTOGRAM_DIR
#include <cstdio>
#include <fstream>
#include <string>

#include "dead_owner.h"
#include "latency_histogram.h"
#include "segment_image.h"

using namespace esper;
using namespace esper::fuzz;
using namespace esper::test;

namespace {

constexpr uint8_t kAnywhere = 7;    // Patch::kAnywhere of attach_fuzz.cc
constexpr uint8_t kStripeBytes = 1; // the patch of that name of histogram_decode_fuzz.cc

class Seed {
 public:
  explicit Seed(uint8_t begin) { put(begin); }

  template <typename Number>
  void put(Number value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_bytes(const uint8_t* from, size_t size) {
    put(static_cast<uint8_t>(size));
    bytes_.append(reinterpret_cast<const char*>(from), size);
  }
  void save(const std::string& path) {
    put(kEndPatches);
    std::ofstream(path, std::ios::binary) << bytes_;
  }

 private:
  std::string bytes_;
};

// Calls `patch(offset, size)` for every run of words from `at` on that differ, at most 31 words a run.
template <typename Patch>
void differences(const uint8_t* now, const uint8_t* fresh, size_t at, size_t end, Patch patch) {
  const auto differs = [&](size_t word) { return std::memcmp(now + word, fresh + word, 8) != 0; };
  while (at < end) {
    size_t stop = at;
    while (stop < end && stop < at + 248 && differs(stop)) stop += 8;
    if (stop > at) patch(at, stop - at);
    at = stop > at ? stop : at + 8;
  }
}

void save_flag(Region& region, const std::string& path, uint8_t begin) {
  SegmentImage fresh(kFlagSegmentBytes);
  fresh.begin_fresh(SegmentKind::kEmergency, 0);
  Seed seed(begin);
  differences(region.base(), fresh.bytes(), kControlOffset, kFlagSegmentBytes, [&](size_t at, size_t size) {
    seed.put(kAnywhere);
    seed.put(static_cast<uint32_t>(at));
    seed.put_bytes(region.base() + at, size);
  });
  seed.save(path);
}

void save_histogram(Region& region, const std::string& path) {
  SegmentImage fresh(region.size());
  fresh.begin_fresh(SegmentKind::kHistogram, 2);
  Seed seed(Begin::kFresh | Begin::kMended | 1 << 5);
  differences(region.base(), fresh.bytes(), kStripesOffset, region.size(), [&](size_t at, size_t size) {
    seed.put(kStripeBytes);
    seed.put(static_cast<uint8_t>((at - kStripesOffset) / sizeof(Stripe)));
    seed.put(static_cast<uint16_t>((at - kStripesOffset) % sizeof(Stripe) / 8));
    seed.put_bytes(region.base() + at, size);
  });
  seed.save(path);
}

void raised_and_cleared(const std::string& directory) {
  auto region = private_region();
  Flag flag(region);
  flag.join("trainer", "rank-0");
  flag.trigger(request(2, "a spike"));
  const Raised halt = flag.trigger(request(4, "grüße: loss is NaN"));
  save_flag(*region, directory + "/seed-raised", Begin::kFresh | Begin::kMended);
  save_flag(*region, directory + "/seed-raised-in-file", Begin::kFresh | Begin::kMended | Begin::kInFile);
  flag.acknowledge(halt.generation, 4);
  ClearRequest clear;
  clear.generation = halt.generation;
  clear.level = 4;
  clear.force = true;
  flag.clear(clear);
  save_flag(*region, directory + "/seed-cleared", Begin::kFresh | Begin::kMended);
}

// As deaths leave it: one writer inside its record, one between complete and applied, one with its slot.
void died_inside(const std::string& directory) {
  auto region = private_region();
  Flag flag(region);
  flag.join("trainer", "rank-1");
  flag.trigger(request(4, "complete"));
  flag.trigger(request(3, "claimed"));
  const uint32_t dead = dead_owner();
  record_at(*region, 0).state.store(StateValue{Phase::kComplete, 0, 0}.pack());
  record_at(*region, 1).state.store(StateValue{Phase::kClaimed, 1, dead}.pack());
  control_of(*region).word.store(kInitialControl.pack());
  flag.slots().at(0).owner.store(uint64_t{1} << 32 | dead);
  save_flag(*region, directory + "/seed-died", Begin::kFresh | Begin::kMended);
}

void histogram(const std::string& directory) {
  RegionOptions options;
  options.kind = SegmentKind::kHistogram;
  options.name = unique_name("seed");
  options.stripes = 2;
  Status status;
  auto region = Region::open_private(options, status);
  CHECK(region != nullptr);
  LatencyHistogram first(region);
  LatencyHistogram second(region);
  for (double value = 1; value < 1e13; value *= 7) first.record(value);
  for (const double value : {0.0, -1.0, 250.0, 1e6}) second.record(value);
  save_histogram(*region, directory + "/seed-two-writers");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_seeds ATTACH_DIR HISTOGRAM_DIR\n");
    return 2;
  }
  raised_and_cleared(argv[1]);
  died_inside(argv[1]);
  histogram(argv[2]);
  return 0;
}
