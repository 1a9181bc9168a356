// The native thread that watches memory: measures how full the fullest of a few limits is, and sets the emergency flag
// when CRITICAL is crossed. A synchronous allocation that blocks the event loop does not hide it: no JavaScript runs.
//
// Who may call   configure, arm, disarm, read, stop: one thread (the event loop's); the sampler samples in its own
// Protocol       plan and alarm are immutable and handed over by pointer under a mutex that is held for that pointer
//                alone. The latest sample goes the other way: its words are stored between two stores of `sequence_`,
//                odd while they change. The sampler never waits for a reader.
//                An alarm is raised before the sample is published: what is said of it is never earlier than the flag.
// When           far from CRITICAL every `interval_ns`; nearer as often as `next_sample_ns` says, at most `near_ns`
//                apart, so that nothing grows from one sample past CRITICAL unseen unless it grows faster than
//                kAssumedRate; faster than was seen so far, and a growth seen already shortens it down to kFloorNs
// One crossing   one raise. It ends when the fullest limit was below critical - margin for `dwell_ns` without a break,
//                or when an alarm is armed (again): that one is told of a crossing that lasts.
// Memory orders  sequence_ release after the words, acquire before and after them; the words release and acquire, so
//                that no fence is needed and a word of a later sample brings the sequence that says so with it
// Crash table    everything but the flag is this process's own memory: what a death leaves ends with the process.
//                died before the raise    nobody hears of it; the kernel has killed whom it wanted to
//                died inside the raise    see ring.h: a complete record is applied by any sweep, a begun one is a hole
//                died after the raise     the flag is set; that the process is gone shows in its slot
//                fork()                   the child has the object without the thread: stop() does not wait for it, the
//                                         latest sample stays what it was, a half-written one reads as none
// Bounds         a sample reads at most two files a gauge, allocates nothing and takes two locks that nobody holds for
//                longer than a copy of a pointer; read() tries kReadTries times
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "deadlines.h"
#include "flag.h"
#include "memory_gauge.h"
#include "memory_pace.h"

namespace esper {

inline constexpr size_t kMaxGauges = 8;
// Of the fullest gauge; the peak is of the fullest since the last read().
struct MemorySample {
  uint64_t at_ns = 0;
  uint64_t gauge = 0;  // index in the plan
  uint64_t usage = 0;
  uint64_t limit = 0;  // 0: no gauge has a value yet
  uint64_t deducted = 0;
  uint64_t rate = 0;  // bytes a second that it grew; 0 when it shrank
  uint64_t peak_usage = 0;
  uint64_t peak_limit = 0;
  uint64_t peak_at_ns = 0;
  uint64_t peak_sample = 0;  // `samples` and `plan` when it was taken
  uint64_t peak_plan = 0;
  uint64_t plan = 0;  // counts configure(): which plan `gauge` is of
  uint64_t samples = 0;
  uint64_t faults = 0;  // readings of gauges that failed
  uint64_t fault_gauge = 0;  // the latest failure of this plan: who, and how
  uint64_t fault = 0;
  uint64_t fault_error_number = 0;
  uint64_t fault_in_deduction = 0;
  uint64_t crossings = 0;  // of CRITICAL
  uint64_t raises = 0;
  uint64_t raised_at_ns = 0;
  uint64_t cost_ns = 0;  // of all samples
  uint64_t cost_max_ns = 0;
  uint64_t next_ns = 0;  // how long it sleeps after this one
};

class MemorySampler {
 public:
  MemorySampler();
  ~MemorySampler();
  MemorySampler(const MemorySampler&) = delete;
  MemorySampler& operator=(const MemorySampler&) = delete;

  // Opens the files, samples once on the calling thread, then goes on in its own. At most kMaxGauges, the rest is left
  // out. Again replaces the plan. False when the system gives no thread: that one sample is there all the same.
  bool configure(std::vector<GaugeSpec> gauges, const SamplerSettings& settings);
  // Raises `request` on `flag` once each time CRITICAL is crossed, with the numbers behind its reason. Replaces the one
  // before. The flag is kept until disarm() or stop().
  void arm(std::shared_ptr<Flag> flag, OwnedRequest request);
  void disarm();
  [[nodiscard]] bool armed();
  // False when it was being written at every try. Begins a new peak.
  bool read(MemorySample& out);
  [[nodiscard]] bool running() const { return running_; }
  void stop();

 private:
  static constexpr size_t kWords = sizeof(MemorySample) / sizeof(uint64_t);
  // Larger than any file read: memory.stat of kernel 6.18 has 1.7 KB in version 1 and 2.1 KB in version 2.
  static constexpr size_t kScratchBytes = 16384;

  struct Plan {
    SamplerSettings settings;
    std::vector<MemoryGauge> gauges;
    std::array<uint64_t, kMaxGauges> before{};  // usage at the sample before
    uint64_t before_ns = 0;
    uint64_t number = 0;
  };
  struct Alarm {
    std::shared_ptr<Flag> flag;
    OwnedRequest request;
  };

  bool start();
  void run();
  void kick();
  uint64_t sample();
  uint64_t measure(Plan& plan, uint64_t now);
  void note_fault(const MemoryGauge& gauge, size_t index);
  void note_peak(uint64_t now);
  void watch_crossing(const Plan& plan, uint64_t now);
  void raise(const Plan& plan, const Alarm& alarm);
  void publish();

  std::mutex mutex_;  // of the two pointers
  std::shared_ptr<Plan> plan_;
  std::shared_ptr<const Alarm> alarm_;
  std::atomic<bool> alarm_is_new_{false};
  std::atomic<uint64_t> told_{0};  // `samples` of the latest read(): peaks up to there need not be kept

  // Of whoever samples: the caller of the first configure() until the thread runs, then the thread.
  MemorySample now_{};
  uint64_t below_since_ns_ = 0;
  bool crossed_ = false;
  std::array<char, kScratchBytes> scratch_{};

  std::atomic<uint64_t> sequence_{0};
  std::array<std::atomic<uint64_t>, kWords> words_{};

  std::atomic<uint32_t> wake_word_{0};
  std::atomic<bool> stopping_{false};
  uint64_t plans_ = 0;
  pthread_t thread_{};
  pid_t thread_pid_ = 0;
  bool running_ = false;
};

}  // namespace esper
