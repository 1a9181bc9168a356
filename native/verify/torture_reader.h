// A process that reads by every way there is, and holds what it is told against the rules: spinning, or asleep on its
// queue as a watcher is.
#pragma once

#include <poll.h>

#include <algorithm>
#include <map>

#include "torture_writer.h"

namespace esper::torture {

struct ReaderOrders {
  uint32_t index = 0;
  uint32_t writers = 0;
  bool sleeps = false;
  bool from_start = false;
  uint64_t seed = 0;
};

// The records of one look at the ring, put in order of their generations, must explain the level: each step is a
// maximum, or a clear of exactly the generation before it. What is missing (overwritten, or raised without a record)
// leaves a gap, behind which only a lower bound is known.
inline void check_generations(Board& board, const std::vector<RecordView>& history, ControlValue before) {
  std::map<uint32_t, const Payload*> by_generation;
  for (const RecordView& view : history) {
    if (view.generation == 0) continue;
    if (by_generation.contains(view.generation)) {
      violation(board, board.wrong, "generation %u belongs to two records", view.generation);
    }
    by_generation[view.generation] = &view.payload;
  }
  uint32_t level = 0;
  bool exact = false;
  uint32_t previous = 0;
  for (const auto& [generation, payload] : by_generation) {
    if (generation > before.generation) break;
    if (generation != previous + 1) exact = false;
    if (payload->kind == kKindClear) {
      if (payload->cleared_generation + 1 != generation || (exact && payload->cleared_level != level)) {
        violation(board, board.lost, "the clear of generation %u named generation %u, level %u; the level was %u",
                  generation, payload->cleared_generation, payload->cleared_level, level);
      }
      level = 0;
      exact = true;
    } else {
      level = generation != previous + 1 ? payload->level : std::max<uint32_t>(level, payload->level);
      exact = exact || generation == 1;
    }
    previous = generation;
  }
  if (previous != before.generation) return;
  if (exact ? before.level != level : before.level < level) {
    violation(board, board.lost, "generation %u has level %u, its records say %u", previous, before.level, level);
  }
}

class Reader {
 public:
  Reader(Board& board, const Segments& segments, const ReaderOrders& orders)
      : board_(board), box_(board.readers[orders.index]), orders_(orders), random_{orders.seed},
        flag_(segments.flag), cursor_(flag_.ring(), Cursor::From::kOldest) {
    flag_.join("torture", "reader");
    if (!orders.sleeps) return;
    const int slot = flag_.want_wake(true);
    if (slot >= 0) queue_.open(*segments.flag->header(), flag_.slots().at(slot), static_cast<uint32_t>(slot));
  }

  void run(LatencyHistogram* accountant) {
    while (true) {
      const bool last = board_.draining.load(std::memory_order_acquire) != 0;
      round();
      if (accountant != nullptr && (last || random_.below(64) == 0)) compare(accountant->snapshot());
      bump(box_.rounds);
      if (last) break;
      rest();
    }
    box_.final_control.store(flag_.control().pack());
    box_.drained.store(1, std::memory_order_release);
  }

 private:
  void round() {
    const ControlValue control = flag_.control();
    flag_.mark_seen(control.generation);
    seen_ = control.generation;
    flag_.sweep();
    size_t got = 0;
    do {
      const Batch batch = cursor_.poll(flag_.ring(), 64);
      got = batch.records.size();
      bump(box_.overruns, batch.overruns);
      bump(box_.holes, batch.holes);
      bump(box_.told, got);
      check_batch(batch);
    } while (got == 64);
    check_levels(board_, orders_.writers, [this] { return flag_.control(); });
    if (random_.below(4) != 0) return;
    const ControlValue before = flag_.control();
    const std::vector<RecordView> history = flag_.history();
    for (const RecordView& view : history) check_record(view);
    check_generations(board_, history, before);
  }

  void check_record(const RecordView& view) {
    if (self_consistent(view.payload)) return;
    violation(board_, board_.torn, "ticket %llu was handed out torn: kind %u, level %u, step %llu, reason '%.*s'",
              static_cast<unsigned long long>(view.payload.ticket), view.payload.kind, view.payload.level,
              static_cast<unsigned long long>(view.payload.step), view.payload.reason_size, view.payload.reason);
  }

  void check_batch(const Batch& batch) {
    uint64_t previous = 0;
    for (const RecordView& view : batch.records) {
      check_record(view);
      const uint64_t ticket = view.payload.ticket;
      const bool first = &view == &batch.records.front();
      if (ticket >= kJournalTickets || (!first && ticket <= previous)) {
        violation(board_, board_.wrong, "ticket %llu came after %llu", static_cast<unsigned long long>(ticket),
                  static_cast<unsigned long long>(previous));
        continue;
      }
      previous = ticket;
      if (board_.told[orders_.index][ticket].exchange(1) != 0) {
        violation(board_, board_.wrong, "ticket %llu was told twice", static_cast<unsigned long long>(ticket));
      }
      if (view.generation == 0) {
        violation(board_, board_.lost, "ticket %llu was told before it was applied",
                  static_cast<unsigned long long>(ticket));
      }
      // Nobody else stores what this member has seen, so a clear that did not ask it shows here.
      const bool asked = view.payload.kind == kKindClear && (view.payload.flags & kFlagForced) == 0;
      if (asked && orders_.from_start && !generation_reached(seen_, view.payload.cleared_generation)) {
        violation(board_, board_.lost, "a clear of generation %u did not wait for a member that saw %u",
                  view.payload.cleared_generation, seen_);
      }
    }
  }

  // Cumulative: nothing may ever go down, so intervals sum to the total.
  void compare(HistogramSnapshot now) {
    for (uint32_t bucket = 0; bucket < kBucketCount; bucket++) {
      if (now.counts[bucket] < snapshot_.counts[bucket]) {
        violation(board_, board_.lost, "bucket %u went down from %.0f to %.0f", bucket, snapshot_.counts[bucket],
                  now.counts[bucket]);
      }
      interval_sum_ += now.counts[bucket] - snapshot_.counts[bucket];
    }
    double total = 0;
    for (const double count : now.counts) total += count;
    if (interval_sum_ != total || now.invalid != 0 || now.out_of_range != 0) {
      violation(board_, board_.lost, "intervals sum to %.0f, the total is %.0f", interval_sum_, total);
    }
    snapshot_ = std::move(now);
  }

  void rest() {
    if (!orders_.sleeps) return nap_us(random_.below(200));
    pollfd entry{queue_.fd(), POLLIN, 0};
    poll(&entry, 1, 2);
    queue_.take();
  }

  Board& board_;
  ReaderBox& box_;
  ReaderOrders orders_;
  Random random_;
  Flag flag_;
  Cursor cursor_;
  WakeReceiver queue_;
  HistogramSnapshot snapshot_;
  double interval_sum_ = 0;
  uint32_t seen_ = 0;
};

[[noreturn]] inline void run_reader(Board& board, Segments segments, const ReaderOrders& orders) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  segments = {attach_again(*segments.flag, SegmentKind::kEmergency),
              attach_again(*segments.histogram, SegmentKind::kHistogram)};
  if (segments.flag == nullptr || segments.histogram == nullptr) {
    violation(board, board.wrong, "a reader could not attach to a segment in use");
    _exit(1);
  }
  {
    std::unique_ptr<LatencyHistogram> accountant;
    if (orders.index == 0) {
      accountant = std::make_unique<LatencyHistogram>(segments.histogram, HistogramRole::kReader);
    }
    Reader reader(board, segments, orders);
    board.readers[orders.index].from_start.store(orders.from_start ? 1 : 0);
    bump(board.readers[orders.index].rounds);
    reader.run(accountant.get());
  }
  _exit(0);
}

}  // namespace esper::torture
