// What is done while a system call fails, and what must hold afterwards. Each in a process of its own.
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>

#include "flag.h"
#include "latency_histogram.h"
#include "memory_sampler.h"
#include "watcher.h"

namespace esper::verify {

// A folder that only this process uses, so that whatever is left in it is ours.
struct Bench {
  RegionOptions options;
  std::shared_ptr<Region> region;
  std::unique_ptr<Flag> flag;
  std::unique_ptr<Flag> peer;
  std::unique_ptr<WakeReceiver> receiver;
  std::unique_ptr<Watcher> watcher;
  Status status;
  bool passing_error = false;  // one that says "try again": no system gives it for good
  std::string wrong;           // what must not be, for a person

  void fail(const std::string& what) {
    if (wrong.empty()) wrong = what;
  }
  void release() {
    watcher.reset();
    receiver.reset();
    flag.reset();
    peer.reset();
    region.reset();
  }
};

// Before: without failures. During: with one. It returns whether it succeeded, perhaps by a fallback; otherwise the
// status names why.
struct Operation {
  const char* name;
  void (*before)(Bench&);
  bool (*during)(Bench&);
  bool no_tmpfile = false;
};

inline Request halt() {
  Request out;
  out.level = 4;
  out.reason = "under faults";
  return out;
}

inline bool open(Bench& bench) {
  bench.status = {};
  bench.region = Region::open_shared(bench.options, bench.status);
  if (bench.region != nullptr) return true;
  if (bench.status.ok() || bench.status.message.empty()) bench.fail("no region, and no reason");
  return false;
}

inline void nothing(Bench&) {}

inline void a_segment(Bench& bench) {
  if (!open(bench)) return bench.fail("cannot begin: " + bench.status.message);
  bench.flag = std::make_unique<Flag>(bench.region);
}

inline void a_live_halt(Bench& bench) {
  a_segment(bench);
  if (bench.flag != nullptr) bench.flag->trigger(halt());
}

inline void a_stale_segment(Bench& bench) {
  a_segment(bench);
  if (bench.region == nullptr) return;
  bench.region->header()->boot_id[0] ^= 0xff;
  bench.region->header()->crc32c = header_crc(*bench.region->header());
}

inline void a_half_built_file(Bench& bench) {
  a_segment(bench);
  if (bench.region != nullptr) bench.region->header()->ready.store(0);
}

inline void a_sparse_segment(Bench& bench) {
  a_segment(bench);
  if (bench.region == nullptr) return;
  const std::string path = bench.region->path();
  if (truncate(path.c_str(), 4096) != 0 || truncate(path.c_str(), kFlagSegmentBytes) != 0) bench.fail("truncate");
}

inline void a_peer_with_queue(Bench& bench) {
  a_segment(bench);
  bench.peer = std::make_unique<Flag>(bench.region);
  bench.receiver = std::make_unique<WakeReceiver>();
  const int slot = bench.peer->want_wake(true);
  if (slot < 0 || !bench.receiver->open(*bench.region->header(), bench.peer->slots().at(slot), 0)) bench.fail("queue");
}

inline void a_peer_without_queue(Bench& bench) {
  a_segment(bench);
  bench.peer = std::make_unique<Flag>(bench.region);
  bench.peer->want_wake(true);
}

inline bool create(Bench& bench) { return open(bench); }

inline bool attach_to_a_live_halt(Bench& bench) {
  if (!open(bench)) return false;
  if (bench.region->created()) bench.fail("it replaced a live segment");
  if (Flag(bench.region).control().level != 4) bench.fail("the HALT is not seen");
  return true;
}

inline bool attach_to_half_built(Bench& bench) {
  if (open(bench)) bench.fail("it attached to a half-built file");
  return false;
}

inline bool trigger(Bench& bench) {
  const Raised raised = bench.flag->trigger(halt());
  RecordView view;
  if (bench.flag->control().level != 4) bench.fail("the level is not raised");
  if (raised.record_less || bench.flag->ring().read(raised.ticket, view) != ReadOutcome::kRecord) {
    bench.fail("the record cannot be read");
  }
  return true;
}

inline uint64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

// Whether some thread computes all the time while this one sleeps.
inline bool busy() {
  const uint64_t began_ns = monotonic_ns();
  const uint64_t cpu_before = cpu_ns();
  usleep(10000);
  return (cpu_ns() - cpu_before) * 2 > monotonic_ns() - began_ns;
}

// As the addon does it: slot, queue, thread. No thread is a named refusal there; with one, the news must come.
inline bool watch(Bench& bench) {
  static std::atomic<int> notices;
  const int slot = bench.flag->want_wake(true);
  bench.receiver = std::make_unique<WakeReceiver>();
  if (slot >= 0 && !bench.receiver->open(*bench.region->header(), bench.flag->slots().at(slot), 0)) {
    bench.receiver.reset();  // the futex of the slot then carries the hints
  }
  bench.watcher = std::make_unique<Watcher>(*bench.flag);
  if (!bench.watcher->watch([] { notices++; }, 2000000)) {
    bench.status = {Code::kSystem, "the system gives no thread", "pthread_create", errno};
    return false;
  }
  Flag(bench.region).trigger(halt());
  while (notices == 0) usleep(200);  // the alarm of the process ends it
  bench.flag->wake();
  if (!bench.passing_error && busy()) bench.fail("its thread spins");
  return true;
}

inline bool deadline(Bench& bench) {
  bench.watcher = std::make_unique<Watcher>(*bench.flag);
  OwnedRequest request;
  request.level = 2;
  if (bench.watcher->arm(monotonic_ns() + 2000000, request) == 0) {
    if (bench.watcher->running()) bench.fail("a thread runs, and it was not armed");
    bench.status = {Code::kSystem, "the system gives no thread", "pthread_create", errno};
    return false;
  }
  while (bench.flag->control().level != 2) usleep(200);
  return true;
}

// A limit of one byte, so CRITICAL from the first sample that can be read. Its files may be refused, and its thread: by
// name. What it has read, it raises.
inline bool memory(Bench& bench) {
  GaugeSpec spec;
  spec.usage_path = "/proc/self/status";
  spec.usage_key = "VmRSS:";
  spec.limit_bytes = 1;
  MemorySampler sampler;
  if (!sampler.configure({spec}, {.interval_ns = 2000000, .near_ns = 1000000, .critical = 0.9})) {
    bench.status = {Code::kSystem, "the system gives no thread", "pthread_create", errno};
    return false;
  }
  OwnedRequest request;
  request.level = 4;
  sampler.arm(std::make_shared<Flag>(bench.region), request);
  MemorySample sample;
  while (!sampler.read(sample) || sample.samples < 5) usleep(200);  // the alarm of the process ends it
  if (!bench.passing_error && busy()) bench.fail("its thread spins");
  if (sample.limit != 0) {
    while (Flag(bench.region).control().level != 4) usleep(200);
    return true;
  }
  if (sample.fault == 0 || sample.faults == 0) bench.fail("it has no value, and no reason");
  bench.status = {Code::kSystem, "its file cannot be read", "pread", static_cast<int>(sample.fault_error_number)};
  return false;
}

inline void histogram_kind(Bench& bench) {
  bench.options.kind = SegmentKind::kHistogram;
  bench.options.stripes = 2;
}

inline bool histogram(Bench& bench) {
  if (!open(bench)) return false;
  LatencyHistogram counted(bench.region);
  counted.record(1000);
  if (counted.snapshot().sum_ns != 1000) bench.fail("what was recorded is not there");
  return true;
}

inline bool remove(Bench& bench) {
  bool removed = false;
  bench.status = Region::unlink(bench.options.name, bench.options.directory, removed);
  return bench.status.ok();
}

inline constexpr Operation kOperations[] = {
    {"create", nothing, create},
    {"create without O_TMPFILE", nothing, create, true},
    {"replace a stale segment", a_stale_segment, create},
    {"attach", a_live_halt, attach_to_a_live_halt},
    {"attach to a half-built file", a_half_built_file, attach_to_half_built},
    {"attach to a sparse file", a_sparse_segment, create},
    {"trigger", a_peer_with_queue, trigger},
    {"trigger, no queue", a_peer_without_queue, trigger},
    {"watch", a_segment, watch},
    {"deadline", a_segment, deadline},
    {"memory sampler", a_segment, memory},
    {"histogram", histogram_kind, histogram},
    {"remove", a_peer_with_queue, remove},
};

}  // namespace esper::verify
