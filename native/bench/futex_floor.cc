// The floor of bench/emergency.ts: one bare FUTEX_WAKE to a native thread of another process, and nothing else.
// No Node, no record, no checksum: what the kernel itself needs to get a sleeping process running.
//
// Protocol on stdin / stdout, one line each, so that the benchmark can interleave it with the other variants:
//   in:  <count> <interval in microseconds>
//   out: {"latenciesNs":[...],"callsNs":[...]}   (the time to the woken thread; how long the call held the waker)
// End of input ends both processes. Linux only.

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

constexpr uint32_t kMaxTriggers = 1u << 16;
constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kCollectTimeoutNs = 2 * kNsPerSecond;

// In shared memory of both processes. `word` counts triggers and is what the receiver sleeps on; `seen` follows it.
struct Shared {
  alignas(64) std::atomic<uint32_t> word;
  alignas(64) std::atomic<uint32_t> seen;
  alignas(64) std::atomic<int64_t> received_ns[kMaxTriggers];
};
static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == 4,
              "the kernel compares the futex word as a plain 32-bit integer");

int64_t MonotonicNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

void SleepUntilNs(int64_t deadline_ns) {
  const timespec deadline{deadline_ns / kNsPerSecond, deadline_ns % kNsPerSecond};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nullptr) != 0) {
  }
}

// Without FUTEX_PRIVATE_FLAG: a private futex is keyed by address space and never wakes another process.
long Futex(std::atomic<uint32_t>* word, int operation, uint32_t value) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation, value, nullptr, nullptr, 0);
}

[[noreturn]] void Receive(Shared* shared, uint32_t seen) {
  for (;;) {
    Futex(&shared->word, FUTEX_WAIT, seen);
    const int64_t now_ns = MonotonicNs();
    const uint32_t current = shared->word.load(std::memory_order_acquire);
    for (; seen != current; seen++) {
      shared->received_ns[seen % kMaxTriggers].store(now_ns, std::memory_order_relaxed);
    }
    shared->seen.store(seen, std::memory_order_release);
  }
}

bool WaitForReceiver(const Shared* shared, uint32_t expected) {
  const int64_t give_up_ns = MonotonicNs() + kCollectTimeoutNs;
  while (shared->seen.load(std::memory_order_acquire) != expected) {
    if (MonotonicNs() > give_up_ns) return false;
    usleep(1000);
  }
  return true;
}

void PrintArray(const char* name, const int64_t* values, uint32_t count, const char* after) {
  std::printf("\"%s\":[", name);
  for (uint32_t i = 0; i < count; i++) std::printf(i == 0 ? "%" PRId64 : ",%" PRId64, values[i]);
  std::printf("]%s", after);
}

bool RunBlock(Shared* shared, uint32_t count, int64_t interval_ns) {
  static int64_t sent_ns[kMaxTriggers];
  static int64_t latencies_ns[kMaxTriggers];
  static int64_t calls_ns[kMaxTriggers];
  const uint32_t first = shared->word.load(std::memory_order_relaxed);
  const int64_t start_ns = MonotonicNs();
  for (uint32_t i = 0; i < count; i++) {
    SleepUntilNs(start_ns + (i + 1) * interval_ns);
    sent_ns[i] = MonotonicNs();
    shared->word.fetch_add(1, std::memory_order_release);
    Futex(&shared->word, FUTEX_WAKE, 1);
    calls_ns[i] = MonotonicNs() - sent_ns[i];
  }
  if (!WaitForReceiver(shared, first + count)) return false;
  for (uint32_t i = 0; i < count; i++) {
    latencies_ns[i] = shared->received_ns[(first + i) % kMaxTriggers].load(std::memory_order_relaxed) - sent_ns[i];
  }
  std::printf("{");
  PrintArray("latenciesNs", latencies_ns, count, ",");
  PrintArray("callsNs", calls_ns, count, "}\n");
  std::fflush(stdout);
  return true;
}

// An unnamed file in shared memory: nothing to remove, whoever dies.
Shared* MapShared() {
  const int file = memfd_create("esper-futex-floor", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, sizeof(Shared)) != 0) return nullptr;
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  close(file);
  return memory == MAP_FAILED ? nullptr : new (memory) Shared{};
}

}  // namespace

int main() {
  Shared* shared = MapShared();
  if (shared == nullptr) {
    std::perror("futex_floor: shared memory");
    return 1;
  }
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    std::perror("futex_floor: fork");
    return 1;
  }
  if (child == 0) {
    // The receiver sleeps for ever; without this it would outlive a waker that was killed.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    Receive(shared, 0);
  }
  uint32_t count = 0;
  int64_t interval_us = 0;
  int status = 0;
  while (std::scanf("%" SCNu32 " %" SCNd64, &count, &interval_us) == 2) {
    if (count == 0 || count > kMaxTriggers || interval_us < 0 || !RunBlock(shared, count, interval_us * 1000)) {
      std::fprintf(stderr, "futex_floor: block of %" PRIu32 " failed\n", count);
      status = 1;
      break;
    }
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return status;
}
