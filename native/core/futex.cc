#include "futex.h"

#include <time.h>

#include <algorithm>
#include <cerrno>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace esper {

namespace {

void nap(uint64_t timeout_ns) {
  timespec pause{0, static_cast<long>(std::min<uint64_t>(timeout_ns, 1000000u))};
  nanosleep(&pause, nullptr);
}

}  // namespace

#if defined(__linux__)

FutexResult futex_wait(const std::atomic<uint32_t>* word, uint32_t expected, uint64_t timeout_ns) {
  timespec timeout{static_cast<time_t>(timeout_ns / 1000000000u), static_cast<long>(timeout_ns % 1000000000u)};
  if (syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, nullptr, 0) == 0) return FutexResult::kWoken;
  switch (errno) {
    case EAGAIN: return FutexResult::kValueChanged;
    case EINTR: return FutexResult::kInterrupted;
    case ETIMEDOUT: return FutexResult::kTimedOut;
    default:
      // Whoever waits in a loop would spin where the call is refused for good (a sandbox's filter).
      nap(timeout_ns);
      return FutexResult::kError;
  }
}

int futex_wake(const std::atomic<uint32_t>* word, int count) {
  return static_cast<int>(syscall(SYS_futex, word, FUTEX_WAKE, count, nullptr, nullptr, 0));
}

#else

FutexResult futex_wait(const std::atomic<uint32_t>* word, uint32_t expected, uint64_t timeout_ns) {
  if (word->load(std::memory_order_acquire) != expected) return FutexResult::kValueChanged;
  nap(timeout_ns);
  return FutexResult::kTimedOut;
}

int futex_wake(const std::atomic<uint32_t>*, int) { return 0; }

#endif

}  // namespace esper
