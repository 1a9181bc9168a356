#include "watcher.h"

#include <algorithm>

#include "futex.h"
#include "identity.h"

#include <signal.h>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

namespace esper {
namespace {

constexpr uint64_t kIdleNs = 1000000000;       // longest sleep when nothing is armed and nobody watches
constexpr uint64_t kNameCheckNs = 500000000;   // how often the name is compared with the mapping
constexpr unsigned long kTimerSlackNs = 1000;  // the kernel's default of 50 us would be part of every overrun

}  // namespace

Request OwnedRequest::view() const {
  Request out;
  out.level = level;
  out.tier = tier;
  out.published = published;
  out.step = step;
  out.deadline_ns = deadline_ns;
  out.reason_given_size = reason_given_size;
  out.signal_id = signal_id;
  out.subject = subject;
  out.origin = origin;
  out.run_id = run_id;
  out.reason = reason;
  return out;
}

Watcher::Watcher(Flag& flag) : flag_(flag), wake_word_(&local_word_) {}

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
  uint32_t handle = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto free = std::find_if(deadlines_.begin(), deadlines_.end(), [](auto& d) { return d.handle == 0; });
    if (free == deadlines_.end()) return 0;
    handle = next_handle_++;
    if (next_handle_ == 0) next_handle_ = 1;
    free->handle = handle;
    free->at_ns = deadline_ns;
    free->request = std::move(request);
  }
  if (!start()) {
    disarm(handle);
    return 0;
  }
  kick();
  return handle;
}

bool Watcher::disarm(uint32_t handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Deadline& deadline : deadlines_) {
    if (handle == 0 || deadline.handle != handle) continue;
    // Past its time it is not withdrawn, whether the thread has come round to it or not: a late restore is late.
    if (deadline.at_ns <= monotonic_ns()) return false;
    deadline.handle = 0;
    return true;
  }
  return false;
}

bool Watcher::armed() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::any_of(deadlines_.begin(), deadlines_.end(), [](const Deadline& d) { return d.handle != 0; });
}

bool Watcher::start() {
  if (running_) return true;
  const int slot = flag_.own_slot();
  wake_word_ = slot >= 0 ? &flag_.slots().at(slot).wake_word : &local_word_;
  stopping_.store(false, std::memory_order_release);
  // Signals belong to the event loop's thread: a handler of Node's must not run here.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  // Not std::thread, which answers a refusal with an exception, here the end of the process.
  const auto run = [](void* self) -> void* {
    static_cast<Watcher*>(self)->run();
    return nullptr;
  };
  running_ = pthread_create(&thread_, nullptr, run, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
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
    const uint64_t now = monotonic_ns();
    const uint64_t next_deadline = fire_due(now);
    recheck(now);
    const uint64_t recheck_ns = recheck_ns_.load(std::memory_order_acquire);
    uint64_t sleep_ns = recheck_ns != 0 ? recheck_ns : kIdleNs;
    const uint64_t after = monotonic_ns();
    sleep_ns = std::min(sleep_ns, next_deadline > after ? next_deadline - after : 0);
    if (sleep_ns > 0 && futex_wait(wake_word_, seen, sleep_ns) == FutexResult::kError) {
      futex_wait(&local_word_, local_word_.load(), 1000000);
    }
    seen = wake_word_->load(std::memory_order_acquire);
  }
}

// Triggers what is due; returns when the next one is.
uint64_t Watcher::fire_due(uint64_t now) {
  for (;;) {
    OwnedRequest request;
    uint64_t next = UINT64_MAX;
    bool due = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (Deadline& deadline : deadlines_) {
        if (deadline.handle == 0) continue;
        if (deadline.at_ns <= now && !due) {
          due = true;
          request = std::move(deadline.request);
          deadline.handle = 0;
        } else {
          next = std::min(next, deadline.at_ns);
        }
      }
    }
    if (!due) return next;
    flag_.trigger(request.view());
  }
}

void Watcher::recheck(uint64_t now) {
  if (recheck_ns_.load(std::memory_order_acquire) == 0) return;
  flag_.sweep();
  bool news = flag_.control().generation != loop_generation_.load(std::memory_order_acquire) ||
              notify_asked_.exchange(false, std::memory_order_acq_rel);
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
