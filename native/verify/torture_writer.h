// A process that raises, clears and records until it is killed. It ends in no other way.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <memory>

#include "flag.h"
#include "latency_histogram.h"
#include "torture_board.h"

namespace esper::torture {

struct Segments {
  std::shared_ptr<Region> flag;
  std::shared_ptr<Region> histogram;
};

struct WriterOrders {
  uint32_t place = 0;
  Style style = Style::kTight;
  bool clears = false;
  bool attaches = false;  // opens the segments by name instead of using what it was forked with
  uint64_t seed = 0;
};

inline void nap_us(uint32_t us) {
  const timespec time{0, static_cast<long>(us) * 1000};
  nanosleep(&time, nullptr);
}

inline std::shared_ptr<Region> attach_again(const Region& region, SegmentKind kind) {
  RegionOptions options;
  options.kind = kind;
  options.name = region.name();
  options.stripes = kind == SegmentKind::kHistogram ? region.header()->record_count : 0;
  options.attach_timeout_ms = 10000;
  Status status;
  return Region::open_shared(options, status);
}

class Writer {
 public:
  Writer(Board& board, const Segments& segments, const WriterOrders& orders)
      : board_(board), box_(board.writers[orders.place]), orders_(orders), random_{orders.seed},
        flag_(segments.flag), histogram_(segments.histogram) {
    if (histogram_.stripe() == nullptr) violation(board_, board_.lost, "no stripe of a dead writer was recycled");
  }

  [[noreturn]] void run() {
    box_.ready.store(1, std::memory_order_release);
    while (box_.go.load(std::memory_order_acquire) == 0) {
    }
    uint64_t left = orders_.style == Style::kSingle ? 1 + random_.below(6) : UINT64_MAX;
    while (left-- > 0 && flag_.ring().next_ticket() < kJournalTickets - 4096) {
      if (orders_.clears && random_.below(16) == 0) clear();
      else trigger();
      if (random_.below(4) == 0) record();
      if (orders_.style == Style::kPaced) nap_us(random_.below(400));
    }
    box_.resting.store(1, std::memory_order_release);
    for (;;) pause();
  }

 private:
  void trigger() {
    const uint64_t step = uint64_t{orders_.place} << 48 | (box_.begun.load(std::memory_order_relaxed) + 1);
    const uint32_t level = random_.below(8) == 0 ? 4 : 1 + random_.below(3);
    char reason[kReasonBytes];
    Request request;
    request.level = static_cast<uint8_t>(level);
    request.step = step;
    request.reason = reason_of(step, level, reason);
    request.origin = "torture";
    bump(box_.begun);
    const Raised raised = flag_.trigger(request);
    if (!raised.record_less) board_.completed[raised.ticket].store(1, std::memory_order_release);
    // 0: it was applied by others and overwritten since, so its generation cannot be told any more.
    if (raised.generation != 0) {
      box_.stands.store(uint64_t{level} << 32 | raised.generation, std::memory_order_release);
    }
    bump(box_.applied);
    bump(box_.ended);
    bump(box_.triggers);
  }

  void clear() {
    const ControlValue seen = flag_.control();
    if (seen.level == 0) return;
    uint32_t asked = board_.clear_asked.load();
    while (asked < seen.generation && !board_.clear_asked.compare_exchange_weak(asked, seen.generation)) {
    }
    ClearRequest request;
    request.generation = seen.generation;
    request.level = seen.level;
    request.force = random_.below(2) == 0;
    request.origin = "torture";
    request.reason = kClearReason;
    bump(box_.begun);
    const ClearResult result = flag_.clear(request);
    if (result.outcome == ClearOutcome::kCleared) bump(box_.applied);
    bump(box_.ended);
  }

  void record() {
    const uint64_t value = random_.next() >> (34 + random_.below(29));
    bump(box_.values_begun);
    bump(box_.sum_begun, value);
    histogram_.record(static_cast<double>(value));
    bump(box_.values_ended);
    bump(box_.sum_ended, value);
  }

  Board& board_;
  WriterBox& box_;
  WriterOrders orders_;
  Random random_;
  Flag flag_;
  LatencyHistogram histogram_;
};

// In the child, right after the fork.
[[noreturn]] inline void run_writer(Board& board, Segments segments, const WriterOrders& orders) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (orders.attaches) {
    segments.flag = attach_again(*segments.flag, SegmentKind::kEmergency);
    segments.histogram = attach_again(*segments.histogram, SegmentKind::kHistogram);
    if (segments.flag == nullptr || segments.histogram == nullptr) {
      violation(board, board.wrong, "a writer could not attach to a segment in use");
      _exit(1);
    }
  }
  Writer(board, segments, orders).run();
}

}  // namespace esper::torture
