// Who fell silent, who is back: judges the participants of a segment by the limits in their slots.
//
// Who may call: scan from one thread, the others from any. Reads the segment only.
// Each silence is told once when it begins and once when it ends, by a heartbeat (kRecovered) or by the end of the
// participant (kGone). Untaken notices are bounded by three a slot: a silence that began and ended while nobody took
// anything makes room for the next one of that slot; the end of one whose beginning was taken stays.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "slots.h"

namespace esper {

enum class StaleChange : uint8_t { kStale, kRecovered, kGone };

struct StaleNotice {
  StaleChange change = StaleChange::kStale;
  SlotView member;
};

class StaleWatch {
 public:
  explicit StaleWatch(const Slots& slots) : slots_(slots) {}

  // True when there is a new notice.
  bool scan(uint64_t now_ns);
  std::vector<StaleNotice> take();
  // Forgets what was told: whoever is silent at the next scan is told of anew, and nothing older is taken any more.
  void restart() { restart_.store(true, std::memory_order_release); }
  [[nodiscard]] bool restarting() const { return restart_.load(std::memory_order_acquire); }
  // Of all notices so far: who remembers it sees that there are new ones.
  [[nodiscard]] uint32_t count() const { return count_.load(std::memory_order_acquire); }

 private:
  struct Episode {
    uint32_t incarnation = 0;
    SlotView member;
  };

  void begin_anew();
  bool end_episode(size_t at, StaleChange change);
  void tell(StaleChange change, SlotView member);

  const Slots& slots_;
  std::vector<Episode> open_;  // of the scanning thread
  std::atomic<uint32_t> count_{0};
  std::atomic<bool> restart_{false};
  std::mutex mutex_;
  std::vector<StaleNotice> notices_;
};

}  // namespace esper
