// Deadlines in the order they are due, and how late they were kept: plain data, no threads, no clock. The watcher
// guards it with its mutex.
//
// arm and disarm cost O(log n). A handle comes again when its place was armed another 2^20 - 1 times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "histogram_buckets.h"
#include "ring.h"

namespace esper {

// Each may hold half a kilobyte of texts; who needs more has lost count of its deadlines.
inline constexpr size_t kMaxDeadlines = 4096;

// A request that outlives the call it came in.
struct OwnedRequest {
  uint8_t level = 0;
  uint8_t tier = 0;
  bool published = false;
  uint64_t step = 0;
  uint64_t deadline_ns = 0;
  uint32_t reason_given_size = 0;
  std::string signal_id;
  std::string subject;
  std::string origin;
  std::string run_id;
  std::string reason;

  [[nodiscard]] Request view() const;
};

class Deadlines {
 public:
  // Handle above 0, or 0 when kMaxDeadlines are armed.
  uint32_t arm(uint64_t at_ns, OwnedRequest request);
  // False when it is not armed any more, or due: past its time it is not withdrawn, whether its thread has come round
  // to it or not, because a late restore is late.
  bool disarm(uint32_t handle, uint64_t now_ns);
  // Removes the one that is due longest; false when none is.
  bool take_due(uint64_t now_ns, uint64_t& at_ns, OwnedRequest& request);
  // When the next one is due; UINT64_MAX without any.
  [[nodiscard]] uint64_t next() const { return heap_.empty() ? UINT64_MAX : entries_[heap_[0]].at_ns; }
  [[nodiscard]] size_t size() const { return heap_.size(); }

 private:
  static constexpr uint32_t kNowhere = UINT32_MAX;
  struct Entry {
    uint64_t at_ns = 0;
    uint32_t serial = 0;
    uint32_t place = kNowhere;  // in the heap
    OwnedRequest request;
  };

  void put(uint32_t place, uint32_t index);
  void sift_up(uint32_t place);
  void sift_down(uint32_t place);
  void remove(uint32_t place);

  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> heap_;  // indexes of entries, the earliest first
};

struct OverrunStats {
  size_t armed = 0;
  uint64_t fired = 0;
  uint64_t max_ns = 0;
  uint64_t p50_ns = 0;
  uint64_t p99_ns = 0;
};

// From a deadline to the flag being set, in the buckets of the latency histogram (within 0.4 %).
class Overruns {
 public:
  void note(uint64_t overrun_ns);
  [[nodiscard]] OverrunStats stats(size_t armed) const;

 private:
  [[nodiscard]] uint64_t percentile(uint64_t per_mille) const;

  uint64_t fired_ = 0;
  uint64_t max_ns_ = 0;
  std::unique_ptr<uint64_t[]> counts_;  // made by the first
};

}  // namespace esper
