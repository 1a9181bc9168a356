// The kernel's futex, always the shared kind: a PRIVATE futex never wakes another process and gives no error.
#pragma once

#include <atomic>
#include <cstdint>

namespace esper {

enum class FutexResult { kWoken, kValueChanged, kInterrupted, kTimedOut, kError };

// Sleeps while *word == expected, at most timeout_ns. Where there is no futex, or the call is refused, it sleeps at
// most 1 ms, so that a loop around it looks again and does not spin.
FutexResult futex_wait(const std::atomic<uint32_t>* word, uint32_t expected, uint64_t timeout_ns);

// Wakes up to `count` sleepers. Returns how many, -1 on error.
int futex_wake(const std::atomic<uint32_t>* word, int count);

}  // namespace esper
