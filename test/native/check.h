// A test is a function; a file is an executable; a failed CHECK ends it with the line that failed.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "flag.h"
#include "identity.h"

#define CHECK(condition)                                                                     \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition);    \
      std::exit(1);                                                                          \
    }                                                                                        \
  } while (0)

#define RUN(test)                       \
  do {                                  \
    test();                             \
    std::printf("ok  %s\n", #test);     \
  } while (0)

namespace esper::test {

inline std::string unique_name(const char* what) {
  static int count = 0;
  return std::string("test-") + what + "-" + std::to_string(self_identity().pid) + "-" + std::to_string(count++);
}

inline std::shared_ptr<Region> private_region(SegmentKind kind = SegmentKind::kEmergency, uint32_t stripes = 1) {
  RegionOptions options;
  options.kind = kind;
  options.stripes = stripes;
  options.name = unique_name("private");
  Status status;
  auto region = Region::open_private(options, status);
  CHECK(region != nullptr);
  return region;
}

inline Request request(uint8_t level, std::string_view reason = "") {
  Request out;
  out.level = level;
  out.reason = reason;
  return out;
}

constexpr uint64_t kMs = 1000000;

inline Slot& slot_at(Region& region, int index) {
  return reinterpret_cast<Slot*>(region.base() + kSlotsOffset)[index];
}
inline Record& record_at(Region& region, uint64_t ticket) {
  return reinterpret_cast<Record*>(region.base() + kRecordsOffset)[ticket % kRecordCount];
}
inline Control& control_of(Region& region) { return *reinterpret_cast<Control*>(region.base() + kControlOffset); }
inline Counters& counters_of(Region& region) { return *reinterpret_cast<Counters*>(region.base() + kCountersOffset); }
inline uint32_t self_owner() { return owner_id(self_identity().pid, self_identity().start_ticks); }

}  // namespace esper::test
