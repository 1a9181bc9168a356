#include "watcher.h"

#include <algorithm>
#include <utility>

#include "futex.h"
#include "identity.h"
#include "quiet_thread.h"

#if defined(__linux__)
#include <sys/prctl.h>
#endif

namespace esper {
namespace {

constexpr uint64_t kIdleNs = 1000000000;       // longest sleep when nothing is armed and nobody watches
constexpr uint64_t kNameCheckNs = 500000000;   // how often the name is compared with the mapping
constexpr uint64_t kJudgeNs = 20000000;        // how often participants are judged
constexpr unsigned long kTimerSlackNs = 1000;  // the kernel's default of 50 us would be part of every overrun

}  // namespace

Watcher::Watcher(Flag& flag) : flag_(flag), wake_word_(&local_word_), stale_(flag.slots()) {}

Watcher::~Watcher() { stop(); }

bool Watcher::watch(std::function<void()> notify, uint64_t recheck_ns) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    notify_ = std::move(notify);
  }
  recheck_ns_.store(recheck_ns, std::memory_order_release);
  if (!start()) return false;
  kick();
  return true;
}

void Watcher::unwatch() {
  recheck_ns_.store(0, std::memory_order_release);
  const std::lock_guard<std::mutex> lock(mutex_);
  notify_ = nullptr;
}

uint32_t Watcher::arm(uint64_t deadline_ns, OwnedRequest request) {
  // First: a deadline that is due already could not be withdrawn again.
  if (!start()) return 0;
  uint32_t handle = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    handle = deadlines_.arm(deadline_ns, std::move(request));
  }
  if (handle == 0) return 0;
  // A wake-up costs more than all the rest: not for what the thread will find in time anyway.
  if (deadline_ns < awake_at_ns_.load(std::memory_order_acquire)) kick();
  return handle;
}

bool Watcher::disarm(uint32_t handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return deadlines_.disarm(handle, monotonic_ns());
}

bool Watcher::armed() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return deadlines_.size() > 0 || beat_limit_ns_.load(std::memory_order_acquire) != 0;
}

bool Watcher::arm_heartbeat(uint64_t limit_ns, OwnedRequest request) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    beat_request_ = std::move(request);
  }
  // A limit that stayed after a refusal would be kept by whatever starts the thread later.
  const bool kept = limit_ns == 0 || start();
  beat_limit_ns_.store(kept ? limit_ns : 0, std::memory_order_release);
  if (kept && limit_ns != 0) kick();
  return kept;
}

OverrunStats Watcher::overruns() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return overruns_.stats(deadlines_.size());
}

void Watcher::judge(bool on) {
  if (on && !judging_.load(std::memory_order_acquire)) stale_.restart();
  judging_.store(on, std::memory_order_release);
  if (running_) kick();
}

bool Watcher::start() {
  if (running_) return true;
  const int slot = flag_.own_slot();
  wake_word_ = slot >= 0 ? &flag_.slots().at(slot).wake_word : &local_word_;
  stopping_.store(false, std::memory_order_release);
  const auto run = [](void* self) -> void* {
    static_cast<Watcher*>(self)->run();
    return nullptr;
  };
  running_ = start_quiet_thread(thread_, run, this);
  return running_;
}

void Watcher::stop() {
  if (!running_) return;
  stopping_.store(true, std::memory_order_release);
  kick();
  pthread_join(thread_, nullptr);
  running_ = false;
}

void Watcher::kick() {
  wake_word_->fetch_add(1, std::memory_order_acq_rel);
  futex_wake(wake_word_, 1);
}

void Watcher::run() {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), "esper-watch");
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs, 0, 0, 0);
#endif
  uint32_t seen = wake_word_->load(std::memory_order_acquire);
  while (!stopping_.load(std::memory_order_acquire)) {
    const uint64_t next_deadline = fire_due();
    const uint64_t now = monotonic_ns();
    const uint64_t next_beat = check_heartbeat(now);
    recheck(now);
    const uint64_t sleep_ns = plan_sleep(std::min(next_deadline, next_beat));
    if (sleep_ns > 0) futex_wait(wake_word_, seen, sleep_ns);
    // Before the next look at the heap: whoever arms from here on may have to raise the word again.
    seen = wake_word_->load(std::memory_order_acquire);
  }
}

// How long to sleep, and tells arm() until when. Both under the mutex: an arm() before this is in the heap by now, one
// after it sees whether the thread would wake too late for it.
uint64_t Watcher::plan_sleep(uint64_t until_ns) {
  const uint64_t recheck_ns = recheck_ns_.load(std::memory_order_acquire);
  uint64_t sleep_ns = recheck_ns != 0 ? recheck_ns : kIdleNs;
  if (recheck_ns != 0 && judging_.load(std::memory_order_acquire)) sleep_ns = std::min(sleep_ns, kJudgeNs);
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t now = monotonic_ns();
  const uint64_t wake_ns = std::min({until_ns, now + sleep_ns, deadlines_.next()});
  awake_at_ns_.store(wake_ns, std::memory_order_release);
  return wake_ns > now ? wake_ns - now : 0;
}

// Triggers what is due; returns when the next one is.
uint64_t Watcher::fire_due() {
  for (;;) {
    OwnedRequest request;
    uint64_t due_ns = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!deadlines_.take_due(monotonic_ns(), due_ns, request)) return deadlines_.next();
    }
    fire(due_ns, request);
  }
}

void Watcher::fire(uint64_t due_ns, const OwnedRequest& request) {
  flag_.trigger(request.view());
  const uint64_t set_ns = monotonic_ns();
  const std::lock_guard<std::mutex> lock(mutex_);
  overruns_.note(set_ns - due_ns);
}

// When to look again. A heartbeat that comes after this look is due a whole limit after it at the earliest.
uint64_t Watcher::check_heartbeat(uint64_t now) {
  const uint64_t limit_ns = beat_limit_ns_.load(std::memory_order_acquire);
  const uint8_t* pulse = flag_.pulse();
  if (limit_ns == 0 || pulse == nullptr) return UINT64_MAX;
  const Slot& slot = *reinterpret_cast<const Slot*>(pulse - kPulseOffset);
  const uint32_t phase = slot.phase.load(std::memory_order_acquire);
  const uint64_t heartbeat_ns = slot.heartbeat_ns.load(std::memory_order_acquire);
  if (phase != kPhaseTraining || heartbeat_ns == beat_fired_) return now + limit_ns;
  if (heartbeat_ns + limit_ns > now) return heartbeat_ns + limit_ns;
  beat_fired_ = heartbeat_ns;
  OwnedRequest request;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    request = beat_request_;
  }
  fire(heartbeat_ns + limit_ns, request);
  return now + limit_ns;
}

bool Watcher::judge_members(uint64_t now) {
  if (!judging_.load(std::memory_order_acquire)) return false;
  if (now < next_judgement_ns_ && !stale_.restarting()) return false;
  next_judgement_ns_ = now + kJudgeNs;
  return stale_.scan(now);
}

void Watcher::recheck(uint64_t now) {
  if (recheck_ns_.load(std::memory_order_acquire) == 0) return;
  flag_.sweep();
  bool news = flag_.control().generation != loop_generation_.load(std::memory_order_acquire) ||
              notify_asked_.exchange(false, std::memory_order_acq_rel);
  news = judge_members(now) || news;
  if (now >= next_name_check_ns_) {
    next_name_check_ns_ = now + kNameCheckNs;
    if (flag_.region().name_moved()) {
      name_notices_.fetch_add(1, std::memory_order_release);
      news = true;
    }
  }
  if (!news) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (notify_) notify_();
}

}  // namespace esper
