// One consumer's place in the ring. Reading consumes nothing for others.
//
// Records are handed out as soon as they are whole, also past one whose writer is still inside it: a writer that was
// stopped must not hide a HALT that came after. What was passed over is remembered and handed out when it completes.
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "ring.h"

namespace esper {

struct Batch {
  std::vector<RecordView> records;
  uint64_t overruns = 0;  // overwritten before this cursor read them
  uint64_t holes = 0;     // given up: writer died inside, or checksum wrong
};

class Cursor {
 public:
  enum class From { kNow, kOldest };
  Cursor(Ring& ring, From from);

  // True when poll() would return something. Reads only states: cheap enough for every wake-up.
  [[nodiscard]] bool ready(const Ring& ring) const;

  // At most `max` records; call again when it returns as many.
  Batch poll(Ring& ring, size_t max);

 private:
  void skip_overwritten(uint64_t next, Batch& batch);
  void settle(uint64_t ticket) { done_.set(static_cast<size_t>(ticket - base_)); }
  void advance();

  uint64_t base_ = 0;  // every ticket below is settled for this consumer
  std::bitset<kRecordCount> done_;
};

}  // namespace esper
