#include "wake.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>

#if defined(__linux__)
#include <mqueue.h>
#include <sys/stat.h>
#endif

#include "futex.h"
#include "identity.h"

namespace esper {
namespace {

// "/esper.<nonce>.<slot>.<number>": the nonce keeps segments apart. The number is new for every queue of the slot: a
// sender keeps queues open, and must not take the one of a dead owner, or of an earlier watch, for the present one.
void make_name(const Header& header, uint32_t slot, uint64_t number, char (&out)[80]) {
  static constexpr char kDigits[] = "0123456789abcdef";
  char* at = out;
  std::memcpy(at, "/esper.", 7);
  at += 7;
  for (const uint8_t byte : header.nonce) {
    *at++ = kDigits[byte >> 4];
    *at++ = kDigits[byte & 0xf];
  }
  *at++ = '.';
  at = std::to_chars(at, at + 10, slot).ptr;
  *at++ = '.';
  at = std::to_chars(at, at + 20, number).ptr;
  *at = '\0';
}

#if defined(__linux__)

int create_queue(const char* name) {
  mq_attr attributes{};
  attributes.mq_maxmsg = 1;
  attributes.mq_msgsize = 1;
  return mq_open(name, O_RDONLY | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0600, &attributes);
}

// Anybody may have taken the name first; a stranger's queue would swallow the hints.
int open_queue(const char* name) {
  const int queue = mq_open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  struct stat info {};
  if (queue < 0 || (fstat(queue, &info) == 0 && info.st_uid == geteuid())) return queue;
  close(queue);
  return -1;
}

void remove_queue(const char* name) { mq_unlink(name); }

// A full queue holds a hint that is not taken yet, which is as good as this one.
Hint put_hint(int queue) {
  if (mq_send(queue, "!", 1, 0) == 0) return Hint::kSent;
  return errno == EAGAIN ? Hint::kWaiting : Hint::kFailed;
}

void take_hint(int queue) {
  char sink[8];
  (void)!mq_receive(queue, sink, sizeof sink, nullptr);
}

#else

int create_queue(const char*) { return -1; }
int open_queue(const char*) { return -1; }
void remove_queue(const char*) {}
Hint put_hint(int) { return Hint::kFailed; }
void take_hint(int) {}

#endif

}  // namespace

WakeSender::~WakeSender() {
  for (const Target& target : targets_) {
    if (target.queue >= 0) close(target.queue);
  }
}

bool WakeSender::wake_all(const Header& header, const Ring& ring, const Slots& slots, int own) {
  bool woke = false;
  for (uint32_t index = 0; index < slots.high_water(); index++) {
    Slot& slot = slots.at(static_cast<int>(index));
    if ((slot.flags.load(std::memory_order_acquire) & kSlotWake) == 0) continue;
    const Hint hint = send(header, index, slot.queue.load(std::memory_order_acquire));
    bool slept = hint == Hint::kSent;
    if (hint == Hint::kFailed) {
      slot.wake_word.fetch_add(1, std::memory_order_acq_rel);
      slept = futex_wake(&slot.wake_word, INT_MAX) > 0;
    }
    woke = woke || (slept && static_cast<int>(index) != own);
  }
  return futex_wake(ring.generation_word(), INT_MAX) > 0 || woke;
}

Hint WakeSender::send(const Header& header, uint32_t slot, uint64_t number) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Target& target = targets_[slot];
  if (target.queue < 0 || target.number != number) {
    char name[80];
    make_name(header, slot, number, name);
    if (target.queue >= 0) close(target.queue);
    target.queue = open_queue(name);
    target.number = number;
  }
  return target.queue >= 0 ? put_hint(target.queue) : Hint::kFailed;
}

WakeReceiver::~WakeReceiver() {
  if (queue_ < 0) return;
  close(queue_);
  remove_queue(name_);
}

bool WakeReceiver::open(const Header& header, Slot& slot, uint32_t index) {
  // Of a watcher that died in this slot: once the number moves on, nobody can tell the name of its queue any more.
  make_name(header, index, slot.queue.load(std::memory_order_acquire), name_);
  remove_queue(name_);
  make_name(header, index, slot.queue.fetch_add(1, std::memory_order_acq_rel) + 1, name_);
  queue_ = create_queue(name_);
  return queue_ >= 0;
}

void WakeReceiver::take() const { take_hint(queue_); }

void give_way() { sched_yield(); }

void unlink_dead_queues(const Header& header, const Slots& slots) {
  for (uint32_t index = 0; index < slots.high_water(); index++) {
    // The number first: were the slot claimed between the two looks, it would be that of the new owner's queue.
    const uint64_t number = slots.at(static_cast<int>(index)).queue.load(std::memory_order_acquire);
    if (number == 0 || slots.alive(index)) continue;
    char name[80];
    make_name(header, index, number, name);
    remove_queue(name);
  }
}

}  // namespace esper
