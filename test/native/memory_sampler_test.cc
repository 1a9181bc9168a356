// [R-E3] The thread that watches memory: one raise a crossing, without the caller, without an allocation.
#include "memory_sampler.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <new>
#include <thread>

#include "check.h"

using namespace esper;
using namespace esper::test;

namespace {

std::atomic<uint64_t> allocations{0};

}  // namespace

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define OWN_ALLOCATOR  // of the sanitizer: a second one does not link
#endif
#endif
#if !defined(OWN_ALLOCATOR) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
// Counts what any thread asks the allocator for.
void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace {

class UsageFile {
 public:
  UsageFile() {
    const int fd = mkstemp(name_);
    CHECK(fd >= 0);
    ::close(fd);
    set(0);
  }
  ~UsageFile() { ::unlink(name_); }
  // In one write: a reader finds the old number or the new one.
  void set(uint64_t bytes) {
    char text[32];
    const int size = std::snprintf(text, sizeof text, "%020llu\n", static_cast<unsigned long long>(bytes));
    FILE* file = std::fopen(name_, "r+");
    CHECK(file != nullptr && std::fwrite(text, 1, static_cast<size_t>(size), file) == static_cast<size_t>(size));
    std::fclose(file);
  }
  [[nodiscard]] std::vector<GaugeSpec> gauges(uint64_t limit) const {
    GaugeSpec spec;
    spec.label = "test";
    spec.usage_path = name_;
    spec.limit_bytes = limit;
    return {spec};
  }

 private:
  char name_[32] = "/tmp/esper-sampler-XXXXXX";
};

SamplerSettings settings() {
  SamplerSettings out;
  out.interval_ns = 2 * kMs;
  out.near_ns = 1 * kMs;
  out.critical = 0.95;
  out.margin = 0.05;
  return out;
}

OwnedRequest critical() {
  OwnedRequest out;
  out.level = 3;
  out.reason = "memory critical";
  return out;
}

MemorySample latest(MemorySampler& sampler) {
  MemorySample sample;
  while (!sampler.read(sample)) std::this_thread::yield();
  return sample;
}

template <typename Condition>
MemorySample wait_until(MemorySampler& sampler, Condition condition) {
  // Not for ever: a mistake must show as one, not as a test that never ends.
  const uint64_t ends = monotonic_ns() + 15000 * kMs;
  for (;;) {
    const MemorySample sample = latest(sampler);
    if (condition(sample)) return sample;
    CHECK(monotonic_ns() < ends);
    std::this_thread::yield();
  }
}

void the_pace_follows_headroom_and_growth() {
  SamplerSettings plain = settings();
  plain.interval_ns = 1000 * kMs;
  plain.near_ns = 5 * kMs;
  CHECK(next_sample_ns(0, 0, plain) == 5 * kMs);
  CHECK(next_sample_ns(uint64_t{1} << 40, 0, plain) == 1000 * kMs);
  CHECK(next_sample_ns(kAssumedRate / 8, 0, plain) == 125 * kMs);
  CHECK(next_sample_ns(kAssumedRate / 1000, 0, plain) == 5 * kMs);
  CHECK(next_sample_ns(kAssumedRate, kAssumedRate * 10, plain) == 50 * kMs);  // half of what it would take
  CHECK(next_sample_ns(1000, UINT64_MAX, plain) == kFloorNs);
  CHECK(next_sample_ns(UINT64_MAX, 1, plain) == 1000 * kMs);
  plain.interval_ns = 2 * kMs;
  CHECK(next_sample_ns(0, 0, plain) == 2 * kMs);
}

void a_crossing_raises_once_and_the_next_one_again() {
  auto flag = std::make_shared<Flag>(private_region());
  UsageFile file;
  MemorySampler sampler;
  CHECK(sampler.configure(file.gauges(1000), settings()) && sampler.running());
  sampler.arm(flag, critical());
  file.set(949);
  wait_until(sampler, [](const MemorySample& sample) { return sample.usage == 949; });
  CHECK(flag->control().level == 0);
  file.set(953);
  const MemorySample over = wait_until(sampler, [](const MemorySample& sample) { return sample.crossings == 1; });
  CHECK(over.raises == 1 && over.usage == 953 && flag->control().level == 3);
  const auto history = flag->history();
  CHECK(history.size() == 1 && history[0].reason() == "memory critical: 95.3 % of 1000 bytes used (test)");
  CHECK(history[0].payload.monotonic_ns <= over.raised_at_ns && over.raised_at_ns != 0);
  file.set(920);  // below CRITICAL, not below it by the margin: the same crossing
  wait_until(sampler, [](const MemorySample& sample) { return sample.usage == 920; });
  file.set(990);
  const MemorySample again = wait_until(sampler, [](const MemorySample& sample) { return sample.usage == 990; });
  CHECK(again.crossings == 1 && again.raises == 1);
  file.set(800);
  wait_until(sampler, [](const MemorySample& sample) { return sample.usage == 800; });
  file.set(960);
  CHECK(wait_until(sampler, [](const MemorySample& sample) { return sample.crossings == 2; }).raises == 2);
}

void a_crossing_ends_only_after_the_dwell_time() {
  UsageFile file;
  MemorySampler sampler;
  SamplerSettings slow = settings();
  slow.dwell_ns = 3600000 * kMs;
  CHECK(sampler.configure(file.gauges(1000), slow));
  file.set(990);
  wait_until(sampler, [](const MemorySample& sample) { return sample.crossings == 1; });
  file.set(10);
  wait_until(sampler, [](const MemorySample& sample) { return sample.usage == 10; });
  file.set(990);
  CHECK(wait_until(sampler, [](const MemorySample& sample) { return sample.usage == 990; }).crossings == 1);
}

void who_arms_during_a_crossing_is_told_of_it() {
  auto flag = std::make_shared<Flag>(private_region());
  auto moved = std::make_shared<Flag>(private_region());
  UsageFile file;
  file.set(990);
  MemorySampler sampler;
  CHECK(sampler.configure(file.gauges(1000), settings()));
  CHECK(latest(sampler).crossings == 1 && latest(sampler).raises == 0);  // of the first sample, on this thread
  sampler.arm(flag, critical());
  wait_until(sampler, [](const MemorySample& sample) { return sample.raises == 1; });
  sampler.arm(moved, critical());  // the signal's name leads to another segment now
  wait_until(sampler, [](const MemorySample& sample) { return sample.raises == 2; });
  CHECK(flag->control().level == 3 && moved->control().level == 3 && flag->control().generation == 1);
  sampler.disarm();
  CHECK(!sampler.armed() && flag.use_count() == 1 && moved.use_count() == 1);
}

void a_peak_between_two_reads_is_told_once() {
  UsageFile file;
  file.set(100);
  MemorySampler sampler;
  CHECK(sampler.configure(file.gauges(1000), settings()));
  wait_until(sampler, [](const MemorySample& sample) { return sample.peak_usage == 100; });
  const uint64_t before = latest(sampler).samples;
  file.set(900);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  file.set(200);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const MemorySample told = latest(sampler);
  CHECK(told.samples > before && told.usage == 200 && told.peak_usage == 900);
  wait_until(sampler, [&](const MemorySample& sample) { return sample.samples > told.samples; });
  CHECK(latest(sampler).peak_usage == 200);
}

void the_fullest_of_several_decides_and_a_new_plan_replaces_them() {
  UsageFile small;
  UsageFile large;
  small.set(500);
  large.set(900);
  MemorySampler sampler;
  std::vector<GaugeSpec> both = small.gauges(1000);
  both.push_back(large.gauges(1000)[0]);
  both.push_back(large.gauges(0)[0]);  // no limit: never the fullest
  CHECK(sampler.configure(both, settings()));
  CHECK(latest(sampler).gauge == 1 && latest(sampler).usage == 900 && latest(sampler).plan == 1);
  small.set(950);
  wait_until(sampler, [](const MemorySample& sample) { return sample.gauge == 0 && sample.usage == 950; });
  CHECK(sampler.configure(small.gauges(4000), settings()));
  const MemorySample after = wait_until(sampler, [](const MemorySample& sample) { return sample.plan == 2; });
  CHECK(after.limit == 4000 && after.peak_limit == 4000);
  CHECK(sampler.configure(std::vector<GaugeSpec>(kMaxGauges + 5, small.gauges(4000)[0]), settings()));
}

void trouble_is_counted_and_the_last_value_goes_on() {
  UsageFile file;
  file.set(400);
  std::vector<GaugeSpec> gauges = file.gauges(1000);
  gauges.push_back(gauges[0]);
  gauges[1].usage_path = "/nowhere/at/all";
  MemorySampler sampler;
  CHECK(sampler.configure(gauges, settings()));
  const MemorySample sample = wait_until(sampler, [](const MemorySample& one) { return one.faults >= 3; });
  CHECK(sample.usage == 400 && sample.fault_gauge == 1 && sample.fault == static_cast<uint64_t>(GaugeFault::kOpen));
  CHECK(sample.fault_error_number == ENOENT);
  MemorySampler none;
  CHECK(none.configure({gauges[1]}, settings()));
  CHECK(latest(none).limit == 0 && latest(none).crossings == 0);
}

void sampling_and_raising_allocate_nothing() {
  auto flag = std::make_shared<Flag>(private_region());
  UsageFile file;
  MemorySampler sampler;
  const auto gauges = file.gauges(1000);
  CHECK(sampler.configure(gauges, settings()));
  sampler.arm(flag, critical());
  wait_until(sampler, [](const MemorySample& sample) { return sample.samples > 3; });
  const uint64_t before = allocations.load();
  file.set(999);
  const MemorySample sample = wait_until(sampler, [](const MemorySample& one) { return one.raises == 1; });
  wait_until(sampler, [&](const MemorySample& one) { return one.samples > sample.samples + 20; });
  CHECK(allocations.load() == before);
}

void it_may_be_told_anything_while_it_samples() {
  UsageFile file;
  file.set(990);
  MemorySampler sampler;
  SamplerSettings eager = settings();
  eager.interval_ns = 1;
  CHECK(sampler.configure(file.gauges(1000), eager));
  auto flag = std::make_shared<Flag>(private_region());
  for (int i = 0; i < 300; i++) {
    sampler.arm(flag, critical());
    CHECK(sampler.configure(file.gauges(1000 + static_cast<uint64_t>(i)), eager));
    const MemorySample sample = latest(sampler);
    CHECK(sample.usage == 990 && sample.limit >= 1000);
    if (i % 3 == 0) sampler.disarm();
  }
  sampler.stop();
  sampler.stop();
  CHECK(!sampler.running() && !sampler.armed() && flag.use_count() == 1);
  CHECK(sampler.configure(file.gauges(1000), eager) && sampler.running());
}

void before_the_first_sample_there_is_none_and_a_forked_child_can_end() {
  UsageFile file;
  MemorySampler sampler;
  MemorySample sample;
  CHECK(!sampler.read(sample));  // nothing sampled yet
  CHECK(sampler.configure(file.gauges(1000), settings()));
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    sampler.stop();  // the thread is not here, and to join it is undefined
    _exit(sampler.running() ? 1 : 0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace

int main() {
  RUN(the_pace_follows_headroom_and_growth);
  RUN(a_crossing_raises_once_and_the_next_one_again);
  RUN(a_crossing_ends_only_after_the_dwell_time);
  RUN(who_arms_during_a_crossing_is_told_of_it);
  RUN(a_peak_between_two_reads_is_told_once);
  RUN(the_fullest_of_several_decides_and_a_new_plan_replaces_them);
  RUN(trouble_is_counted_and_the_last_value_goes_on);
  RUN(sampling_and_raising_allocate_nothing);
  RUN(it_may_be_told_anything_while_it_samples);
  RUN(before_the_first_sample_there_is_none_and_a_forked_child_can_end);
}
