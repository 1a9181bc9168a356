// The control of bench/deadlines.ts: a plain program that sleeps until a time, and sees how late it was woken. No Node,
// no flag, no other thread: what kernel and machine themselves add to every deadline.
//
// Protocol on stdin / stdout, one line each, so that the benchmark can interleave it with the other variant:
//   in:  <count> <interval in microseconds>
//   out: {"overrunsNs":[...]}
// End of input ends it. Linux only.

#include <sys/prctl.h>
#include <time.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>

namespace {

constexpr uint32_t kMaxDeadlines = 1u << 16;
constexpr int64_t kNsPerSecond = 1'000'000'000;

int64_t MonotonicNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

}  // namespace

int main() {
  static int64_t overruns_ns[kMaxDeadlines];
  prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);  // as the watcher's thread has it
  uint32_t count = 0;
  int64_t interval_us = 0;
  while (std::scanf("%" SCNu32 " %" SCNd64, &count, &interval_us) == 2) {
    if (count == 0 || count > kMaxDeadlines || interval_us <= 0) return 2;
    const int64_t start_ns = MonotonicNs();
    for (uint32_t i = 0; i < count; i++) {
      const int64_t deadline_ns = start_ns + (i + 1) * interval_us * 1000;
      const timespec deadline{deadline_ns / kNsPerSecond, deadline_ns % kNsPerSecond};
      while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nullptr) != 0) {
      }
      overruns_ns[i] = MonotonicNs() - deadline_ns;
    }
    std::printf("{\"overrunsNs\":[");
    for (uint32_t i = 0; i < count; i++) std::printf(i == 0 ? "%" PRId64 : ",%" PRId64, overruns_ns[i]);
    std::printf("]}\n");
    std::fflush(stdout);
  }
  return 0;
}
