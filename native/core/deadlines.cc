#include "deadlines.h"

#include <algorithm>
#include <utility>

namespace esper {
namespace {

constexpr uint32_t kIndexBits = 12;
constexpr uint32_t kSerialMask = (1u << (32 - kIndexBits)) - 1;
static_assert(kMaxDeadlines == 1u << kIndexBits, "a handle is a serial and an index");

}  // namespace

Request OwnedRequest::view() const {
  Request out;
  out.level = level;
  out.tier = tier;
  out.published = published;
  out.step = step;
  out.deadline_ns = deadline_ns;
  out.reason_given_size = reason_given_size;
  out.signal_id = signal_id;
  out.subject = subject;
  out.origin = origin;
  out.run_id = run_id;
  out.reason = reason;
  return out;
}

uint32_t Deadlines::arm(uint64_t at_ns, OwnedRequest request) {
  if (free_.empty()) {
    if (entries_.size() == kMaxDeadlines) return 0;
    free_.push_back(static_cast<uint32_t>(entries_.size()));
    entries_.emplace_back();
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  Entry& entry = entries_[index];
  entry.serial = entry.serial % kSerialMask + 1;  // never 0, so no handle is
  entry.at_ns = at_ns;
  entry.request = std::move(request);
  heap_.push_back(index);
  entry.place = static_cast<uint32_t>(heap_.size()) - 1;
  sift_up(entry.place);
  return entry.serial << kIndexBits | index;
}

bool Deadlines::disarm(uint32_t handle, uint64_t now_ns) {
  const uint32_t index = handle & ((1u << kIndexBits) - 1);
  if (index >= entries_.size()) return false;
  const Entry& entry = entries_[index];
  if (entry.place == kNowhere || entry.serial != handle >> kIndexBits || entry.at_ns <= now_ns) return false;
  remove(entry.place);
  return true;
}

bool Deadlines::take_due(uint64_t now_ns, uint64_t& at_ns, OwnedRequest& request) {
  if (next() > now_ns || heap_.empty()) return false;
  Entry& entry = entries_[heap_[0]];
  at_ns = entry.at_ns;
  request = std::move(entry.request);
  remove(0);
  return true;
}

void Deadlines::put(uint32_t place, uint32_t index) {
  heap_[place] = index;
  entries_[index].place = place;
}

void Deadlines::sift_up(uint32_t place) {
  const uint32_t index = heap_[place];
  while (place > 0 && entries_[heap_[(place - 1) / 2]].at_ns > entries_[index].at_ns) {
    put(place, heap_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(place, index);
}

void Deadlines::sift_down(uint32_t place) {
  const uint32_t index = heap_[place];
  for (uint32_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
    if (child + 1 < heap_.size() && entries_[heap_[child + 1]].at_ns < entries_[heap_[child]].at_ns) child++;
    if (entries_[heap_[child]].at_ns >= entries_[index].at_ns) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, index);
}

void Deadlines::remove(uint32_t place) {
  const uint32_t index = heap_[place];
  const uint32_t last = heap_.back();
  heap_.pop_back();
  if (place < heap_.size()) {
    put(place, last);
    sift_up(place);
    sift_down(entries_[last].place);
  }
  entries_[index].place = kNowhere;
  entries_[index].request = {};
  free_.push_back(index);
}

void Overruns::note(uint64_t overrun_ns) {
  if (counts_ == nullptr) counts_ = std::make_unique<uint64_t[]>(kBucketCount);
  fired_++;
  max_ns_ = std::max(max_ns_, overrun_ns);
  counts_[bucket_index(std::min(overrun_ns, kHighestValue))]++;
}

OverrunStats Overruns::stats(size_t armed) const {
  return {armed, fired_, max_ns_, percentile(500), percentile(990)};
}

// The highest value of the bucket that holds it, at most the largest seen: never said to be better than it was.
uint64_t Overruns::percentile(uint64_t per_mille) const {
  const uint64_t rank = (fired_ * per_mille + 999) / 1000;
  uint64_t seen = 0;
  for (uint32_t index = 0; fired_ > 0 && index < kBucketCount; index++) {
    seen += counts_[index];
    if (seen >= rank) return std::min(bucket_low(index + 1) - 1, max_ns_);
  }
  return max_ns_;
}

}  // namespace esper
