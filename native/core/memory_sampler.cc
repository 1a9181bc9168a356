#include "memory_sampler.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <type_traits>
#include <utility>

#include "futex.h"
#include "identity.h"
#include "quiet_thread.h"

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace esper {
namespace {

constexpr int kReadTries = 64;
constexpr uint64_t kSliceNs = 100000;  // the shortest that the kernel grants

static_assert(std::is_trivially_copyable_v<MemorySample> && sizeof(MemorySample) % sizeof(uint64_t) == 0);

#if defined(__linux__)
// As <linux/sched/types.h> has it; its first published size, which every kernel takes.
struct SchedulingAttributes {
  uint32_t size = sizeof(SchedulingAttributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0;
  uint64_t deadline = 0;
  uint64_t period = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

// Whoever asks for a short slice is let run the sooner: this thread needs the processor for microseconds, and when it
// does, all processors may be busy filling memory. Needs no rights; kernels before 6.12 take no notice.
void ask_for_short_slices() {
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  attributes.runtime = kSliceNs;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}
#endif

}  // namespace

MemorySampler::MemorySampler() = default;

MemorySampler::~MemorySampler() { stop(); }

bool MemorySampler::configure(std::vector<GaugeSpec> specs, const SamplerSettings& settings) {
  auto plan = std::make_shared<Plan>();
  plan->settings = settings;
  if (specs.size() > kMaxGauges) specs.resize(kMaxGauges);
  plan->gauges.reserve(specs.size());
  for (GaugeSpec& spec : specs) plan->gauges.emplace_back(std::move(spec));
  plan->number = ++plans_;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    plan_.swap(plan);
  }
  if (running_) {
    kick();
    return true;
  }
  sample();
  return start();
}

void MemorySampler::arm(std::shared_ptr<Flag> flag, OwnedRequest request) {
  auto alarm = std::make_shared<const Alarm>(Alarm{std::move(flag), std::move(request)});
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    alarm_.swap(alarm);
    alarm_is_new_.store(true, std::memory_order_release);
  }
  kick();
}

void MemorySampler::disarm() {
  std::shared_ptr<const Alarm> before;
  const std::lock_guard<std::mutex> lock(mutex_);
  alarm_.swap(before);
}

bool MemorySampler::armed() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return alarm_ != nullptr;
}

bool MemorySampler::start() {
  stopping_.store(false, std::memory_order_release);
  const auto run = [](void* self) -> void* {
    static_cast<MemorySampler*>(self)->run();
    return nullptr;
  };
  running_ = start_quiet_thread(thread_, run, this);
  thread_pid_ = getpid();
  return running_;
}

void MemorySampler::stop() {
  if (running_ && thread_pid_ == getpid()) {
    stopping_.store(true, std::memory_order_release);
    kick();
    pthread_join(thread_, nullptr);
  }
  running_ = false;
  disarm();
}

void MemorySampler::kick() {
  wake_word_.fetch_add(1, std::memory_order_acq_rel);
  futex_wake(&wake_word_, 1);
}

void MemorySampler::run() {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), "esper-memory");
  ask_for_short_slices();
#endif
  uint64_t due_ns = monotonic_ns() + now_.next_ns;
  uint32_t seen = wake_word_.load(std::memory_order_acquire);
  while (!stopping_.load(std::memory_order_acquire)) {
    const uint64_t now = monotonic_ns();
    // A wait may end early: interrupted, or where there is no futex after a millisecond.
    if (now < due_ns) futex_wait(&wake_word_, seen, due_ns - now);
    const uint32_t word = wake_word_.load(std::memory_order_acquire);
    if (word == seen && monotonic_ns() < due_ns) continue;
    seen = word;
    if (stopping_.load(std::memory_order_acquire)) break;
    const uint64_t sleep_ns = sample();
    due_ns = monotonic_ns() + sleep_ns;
  }
}

uint64_t MemorySampler::sample() {
  const uint64_t begin = monotonic_ns();
  std::shared_ptr<Plan> plan;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    plan = plan_;
  }
  now_.samples++;
  now_.next_ns = measure(*plan, begin);
  note_peak(begin);
  watch_crossing(*plan, begin);
  const uint64_t cost = monotonic_ns() - begin;
  now_.cost_ns += cost;
  now_.cost_max_ns = std::max(now_.cost_max_ns, cost);
  publish();
  return now_.next_ns;
}

// Reads all gauges and keeps the fullest; returns the time until the next sample, which another one may need sooner.
uint64_t MemorySampler::measure(Plan& plan, uint64_t now) {
  if (now_.plan != plan.number) now_.fault = now_.fault_gauge = now_.fault_error_number = now_.fault_in_deduction = 0;
  now_.at_ns = now;
  now_.plan = plan.number;
  now_.limit = now_.usage = now_.deducted = now_.rate = 0;
  uint64_t sleep_ns = plan.settings.interval_ns;
  for (size_t i = 0; i < plan.gauges.size(); i++) {
    MemoryGauge& gauge = plan.gauges[i];
    const bool has_value = gauge.read(scratch_);
    if (gauge.fault() != GaugeFault::kNone) note_fault(gauge, i);
    if (!has_value || gauge.limit() == 0) continue;
    const uint64_t rate = plan.before_ns == 0 ? 0 : growth(gauge.usage(), plan.before[i], now - plan.before_ns);
    plan.before[i] = gauge.usage();
    const uint64_t headroom = headroom_below(plan.settings.critical, gauge.usage(), gauge.limit());
    sleep_ns = std::min(sleep_ns, next_sample_ns(headroom, rate, plan.settings));
    if (now_.limit != 0 && share(gauge.usage(), gauge.limit()) <= share(now_.usage, now_.limit)) continue;
    now_.gauge = i;
    now_.usage = gauge.usage();
    now_.limit = gauge.limit();
    now_.deducted = gauge.deducted();
    now_.rate = rate;
  }
  plan.before_ns = now;
  return sleep_ns;
}

void MemorySampler::note_fault(const MemoryGauge& gauge, size_t index) {
  now_.faults++;
  now_.fault = static_cast<uint64_t>(gauge.fault());
  now_.fault_gauge = index;
  now_.fault_error_number = static_cast<uint64_t>(gauge.error_number());
  now_.fault_in_deduction = gauge.fault_in_deduction() ? 1 : 0;
}

// A new plan has other limits: what was a peak under the old ones need be none.
void MemorySampler::note_peak(uint64_t now) {
  const bool told = now_.peak_sample <= told_.load(std::memory_order_acquire);
  const bool restart = told || now_.peak_plan != now_.plan;
  if (!restart && share(now_.usage, now_.limit) <= share(now_.peak_usage, now_.peak_limit)) return;
  now_.peak_usage = now_.usage;
  now_.peak_limit = now_.limit;
  now_.peak_at_ns = now;
  now_.peak_sample = now_.samples;
  now_.peak_plan = now_.plan;
}

void MemorySampler::watch_crossing(const Plan& plan, uint64_t now) {
  const double full = share(now_.usage, now_.limit);
  if (crossed_ && full < plan.settings.critical - plan.settings.margin) {
    if (below_since_ns_ == 0) below_since_ns_ = now;
    if (now - below_since_ns_ >= plan.settings.dwell_ns) crossed_ = false;
  } else {
    below_since_ns_ = 0;
  }
  const bool over = now_.limit != 0 && full >= plan.settings.critical;
  const bool begins = over && !crossed_;
  if (begins) {
    crossed_ = true;
    now_.crossings++;
  }
  if (!over || (!begins && !alarm_is_new_.load(std::memory_order_acquire))) return;
  std::shared_ptr<const Alarm> alarm;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    alarm = alarm_;
    alarm_is_new_.store(false, std::memory_order_release);
  }
  if (alarm != nullptr) raise(plan, *alarm);
}

void MemorySampler::raise(const Plan& plan, const Alarm& alarm) {
  Request request = alarm.request.view();
  const auto per_mille = static_cast<unsigned>(std::min(share(now_.usage, now_.limit) * 1000, 9999.0));
  char reason[kReasonBytes * 2];
  const int size = std::snprintf(reason, sizeof reason, "%.*s: %u.%u %% of %llu bytes used (%s)",
                                 static_cast<int>(request.reason.size()), request.reason.data(), per_mille / 10,
                                 per_mille % 10, static_cast<unsigned long long>(now_.limit),
                                 plan.gauges[now_.gauge].spec().label.c_str());
  if (size > 0) request.reason = {reason, std::min(static_cast<size_t>(size), sizeof reason - 1)};
  request.reason_given_size = 0;
  alarm.flag->trigger(request);
  now_.raises++;
  now_.raised_at_ns = monotonic_ns();
}

// PAIRS-WITH(memory.sample)
void MemorySampler::publish() {
  const auto copy = std::bit_cast<std::array<uint64_t, kWords>>(now_);
  const uint64_t sequence = sequence_.load(std::memory_order_relaxed);
  sequence_.store(sequence + 1, std::memory_order_relaxed);
  for (size_t i = 0; i < kWords; i++) words_[i].store(copy[i], std::memory_order_release);
  sequence_.store(sequence + 2, std::memory_order_release);
}

// PAIRS-WITH(memory.sample): a word of a later sample, loaded acquire, brings the odd sequence stored before it.
bool MemorySampler::read(MemorySample& out) {
  std::array<uint64_t, kWords> copy;
  for (int i = 0; i < kReadTries; i++) {
    const uint64_t before = sequence_.load(std::memory_order_acquire);
    if (before == 0) return false;
    for (size_t word = 0; word < kWords; word++) copy[word] = words_[word].load(std::memory_order_acquire);
    if (before % 2 != 0 || sequence_.load(std::memory_order_relaxed) != before) continue;
    out = std::bit_cast<MemorySample>(copy);
    told_.store(out.samples, std::memory_order_release);
    return true;
  }
  return false;
}

}  // namespace esper
