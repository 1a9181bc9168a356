// One process's handle on a flag segment: ring, slots, wake and watcher put together. Thread-safe but for cursors.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cursor.h"
#include "region.h"
#include "ring.h"
#include "slots.h"
#include "wake.h"

namespace esper {

enum class ClearOutcome { kCleared, kSuperseded, kUnseen, kNotSet };

struct ClearRequest {
  uint32_t generation = 0;  // as the caller saw them
  uint32_t level = 0;
  bool force = false;
  bool remote = false;
  std::string_view signal_id;
  std::string_view origin;
  std::string_view run_id;
  std::string_view reason;
};

struct ClearResult {
  ClearOutcome outcome = ClearOutcome::kNotSet;
  std::vector<SlotView> waiting_for;
  std::string signal_id;
};

class Flag {
 public:
  explicit Flag(std::shared_ptr<Region> region);
  ~Flag();
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;

  [[nodiscard]] Region& region() const { return *region_; }
  [[nodiscard]] std::shared_ptr<Region> share_region() const { return region_; }
  [[nodiscard]] Ring& ring() { return ring_; }
  [[nodiscard]] Slots& slots() { return slots_; }
  [[nodiscard]] ControlValue control() const { return ring_.control(); }

  Raised trigger(const Request& request);
  ClearResult clear(const ClearRequest& request);
  // Records that this participant acknowledged; false when the flag moved on since the caller looked.
  bool acknowledge(uint32_t generation, uint32_t level);
  void mark_seen(uint32_t generation);

  std::vector<RecordView> history();
  std::vector<RecordView> unpublished(uint64_t min_age_ns);
  // Newest record with that id; false when the ring has none.
  bool find(std::string_view signal_id, RecordView& out);
  // Completes what the dead left undone, and wakes whoever waits for it.
  bool sweep();

  // Slot of this handle, claimed on first need; -1 when all are taken.
  int own_slot();
  int join(std::string_view role, std::string_view name);
  void leave();
  // Gives the slot back at once. Cursors keep a handle alive long after its owner closed it, and its slot with it:
  // a process that opens and closes often would fill all slots before its garbage collector runs.
  void give_back_slot();
  void heartbeat();
  void set_phase(uint32_t phase, uint32_t limit_ms);
  // kPulseBytes of the own slot, null without one. Not to be written after give_back_slot(): they are somebody else's.
  [[nodiscard]] uint8_t* pulse() const;
  // Wake hints wanted or not.
  int want_wake(bool wanted);
  // Returns whether somebody else was woken.
  bool wake() { return sender_.wake_all(*region_->header(), ring_, slots_, slot_); }

 private:
  void describe_slot();
  std::string cleared_signal(uint32_t level);

  std::shared_ptr<Region> region_;
  Ring ring_;
  Slots slots_;
  WakeSender sender_;
  std::atomic<uint64_t> settled_{0};
  std::atomic<int> slot_{-1};  // the watcher reads it from its thread
  uint32_t slot_flags_ = 0;
  std::string role_;
  std::string name_;
};

}  // namespace esper
