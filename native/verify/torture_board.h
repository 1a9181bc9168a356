// What the processes of the torture share apart from the segment under test: a mapping of its own, so that what a
// writer said before it was killed can be held against what the segment says afterwards.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "control_word.h"
#include "payload.h"

namespace esper::torture {

inline constexpr uint32_t kMaxWriters = 16;
inline constexpr uint32_t kMaxReaders = 8;
inline constexpr uint64_t kJournalTickets = 1u << 22;  // of one epoch; writers rest when it is full
inline constexpr const char* kClearReason = "torture: clear";

struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((next() >> 32) * bound >> 32); }
};

// kTight: triggers without a pause. kSingle: a few after "go", then rests until it is killed. kPaced: with pauses, so
// that the readers keep up and owe every record.
enum class Style : uint32_t { kTight, kSingle, kPaced };

// One place at which writers follow each other; its counts go on across them. Before and after each operation, so
// that one that was killed in between shows as a difference of one.
struct alignas(64) WriterBox {
  std::atomic<uint32_t> ready;
  std::atomic<uint32_t> go;
  std::atomic<uint32_t> resting;
  std::atomic<uint64_t> begun;    // triggers and clears
  std::atomic<uint64_t> ended;
  std::atomic<uint64_t> applied;  // of those ended: they raised the generation for certain
  std::atomic<uint64_t> triggers;
  std::atomic<uint64_t> stands;   // generation and level (high half) of the last trigger that returned
  std::atomic<uint64_t> values_begun, values_ended, sum_begun, sum_ended;  // histogram
};

struct alignas(64) ReaderBox {
  std::atomic<uint64_t> rounds;
  std::atomic<uint64_t> told, overruns, holes;
  std::atomic<uint64_t> final_control;
  std::atomic<uint32_t> from_start;  // it was there before the first ticket: it owes every one
  std::atomic<uint32_t> drained;
};

struct Board {
  WriterBox writers[kMaxWriters];
  ReaderBox readers[kMaxReaders];
  std::atomic<uint32_t> draining;
  std::atomic<uint32_t> clear_asked;  // highest generation that any clear has named, stored before the clear
  std::atomic<uint64_t> torn, lost, wrong;
  std::atomic<uint32_t> reported;
  char report[600];
  std::atomic<uint8_t> completed[kJournalTickets];          // 1: the trigger with that ticket returned
  std::atomic<uint8_t> told[kMaxReaders][kJournalTickets];  // 1: that reader was told that ticket
};

inline Board* map_board() {
  void* at = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<Board*>(at);
}

// The first violation keeps its text; all are counted.
__attribute__((format(printf, 3, 4))) inline void violation(Board& board, std::atomic<uint64_t>& count,
                                                            const char* format, ...) {
  count.fetch_add(1);
  if (board.reported.exchange(1) != 0) return;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(board.report, sizeof board.report, format, arguments);
  va_end(arguments);
}

inline void bump(std::atomic<uint64_t>& count, uint64_t by = 1) {
  count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_release);
}

// The reason that belongs to a step and level, of 40 to 384 letters: whoever reads it can make it again, so that one
// byte of another record shows even where the checksum were to match.
inline std::string_view reason_of(uint64_t step, uint32_t level, char (&out)[kReasonBytes]) {
  Random letters{step * 8 + level};
  const size_t size = 40 + letters.below(kReasonBytes - 40 + 1);
  uint64_t bits = 0;
  for (size_t i = 0; i < size; i++) {
    if (i % 12 == 0) bits = letters.next();
    out[i] = static_cast<char>('a' + (bits & 15));
    bits >>= 5;
  }
  return {out, size};
}

// True when nothing of the payload belongs to another record.
inline bool self_consistent(const Payload& payload) {
  const std::string_view reason(payload.reason, payload.reason_size);
  if (payload.kind == kKindClear) {
    return reason == kClearReason && payload.level == 0 && payload.cleared_level >= 1 && payload.cleared_level <= 4;
  }
  char expected[kReasonBytes];
  return payload.kind == kKindTrigger && payload.level >= 1 && payload.level <= 4 &&
         reason == reason_of(payload.step, payload.level, expected) &&
         payload.reason_given_size == payload.reason_size && payload.reserved[0] == 0;
}

// A level that a finished trigger raised stands until a clear that saw it. The box is looked at before control, and
// what clears have asked for after it.
inline void check_levels(Board& board, uint32_t writers, const auto& control_now) {
  for (uint32_t place = 0; place < writers; place++) {
    const uint64_t stands = board.writers[place].stands.load(std::memory_order_acquire);
    const auto generation = static_cast<uint32_t>(stands);
    const auto level = static_cast<uint32_t>(stands >> 32);
    const ControlValue control = control_now();
    if (generation == 0 || (control.level >= level && generation_reached(control.generation, generation))) continue;
    const uint32_t asked = board.clear_asked.load(std::memory_order_acquire);
    if (generation_reached(control.generation, generation) && asked >= generation) continue;
    violation(board, board.lost,
              "level %u of generation %u is gone: control is level %u, generation %u, last clear asked for %u", level,
              generation, control.level, control.generation, asked);
  }
}

}  // namespace esper::torture
