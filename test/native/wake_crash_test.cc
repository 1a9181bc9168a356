// [R-B7] Every row of the crash table in wake.h, and the row of ring.h that is about waking, with processes that are
// really killed.
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "check.h"
#include "dead_owner.h"
#include "watcher.h"

using namespace esper;
using namespace esper::test;

namespace {

struct Segment {
  explicit Segment(const char* what) {
    options.name = unique_name(what);
    region = open();
  }
  std::shared_ptr<Region> open() const {
    Status status;
    auto out = Region::open_shared(options, status);
    CHECK(out != nullptr);
    return out;
  }
  bool unlink() const {
    bool removed = false;
    return Region::unlink(options.name, "/dev/shm", removed).ok() && removed;
  }
  [[nodiscard]] std::string queue_name(uint32_t slot) const {
    std::string name = "/esper.";
    for (const uint8_t byte : region->header()->nonce) {
      char hex[3];
      std::snprintf(hex, sizeof hex, "%02x", byte);
      name += hex;
    }
    const auto* slots = reinterpret_cast<const Slot*>(region->base() + kSlotsOffset);
    return name + "." + std::to_string(slot) + "." + std::to_string(slots[slot].queue.load());
  }
  RegionOptions options;
  std::shared_ptr<Region> region;
};

bool exists(const std::string& queue) {
  const mqd_t found = mq_open(queue.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (found >= 0) mq_close(found);
  return found >= 0;
}

void watch_and_die(const Segment& segment) {
  killed_after([&] {
    auto* flag = new Flag(segment.open());
    const int slot = flag->want_wake(true);
    auto* receiver = new WakeReceiver;
    if (slot != 0 || !receiver->open(*flag->region().header(), flag->slots().at(slot), 0)) _exit(1);
  });
}

void watcher_died_and_its_slot_went_to_one_that_does_not_watch() {
  const Segment segment("next-watcher");
  watch_and_die(segment);
  const std::string left = segment.queue_name(0);
  CHECK(exists(left));
  Flag other(segment.region);
  CHECK(other.join("trainer", "takes the slot") == 0);
  Flag next(segment.region);
  CHECK(next.want_wake(true) == 1);
  WakeReceiver receiver;
  CHECK(receiver.open(*segment.region->header(), next.slots().at(1), 1));
  CHECK(exists(left));  // the slot has a living owner: whose queue it is cannot be told
  CHECK(other.want_wake(true) == 0);
  WakeReceiver taken;
  CHECK(taken.open(*segment.region->header(), other.slots().at(0), 0));
  CHECK(!exists(left) && exists(segment.queue_name(0)));
  CHECK(segment.unlink());
}

void watcher_died_and_the_next_watcher_takes_its_slot() {
  const Segment segment("same-slot");
  watch_and_die(segment);
  const std::string left = segment.queue_name(0);
  Flag next(segment.region);
  CHECK(exists(left) && next.want_wake(true) == 0);
  WakeReceiver receiver;
  CHECK(receiver.open(*segment.region->header(), next.slots().at(0), 0));
  CHECK(!exists(left) && exists(segment.queue_name(0)));
  CHECK(segment.unlink());
}

void watcher_died_and_the_next_watcher_has_another_slot() {
  const Segment segment("other-slot");
  Flag next(segment.region);
  CHECK(next.join("trainer", "holds slot 0") == 0);
  killed_after([&] {
    auto* flag = new Flag(segment.open());
    auto* receiver = new WakeReceiver;
    const int slot = flag->want_wake(true);
    if (slot != 1 || !receiver->open(*flag->region().header(), flag->slots().at(slot), 1)) _exit(1);
  });
  const std::string left = segment.queue_name(1);
  CHECK(exists(left) && next.want_wake(true) == 0 && !exists(left));
  CHECK(segment.unlink());
}

void watcher_died_and_its_pid_is_used_again() {
  const Segment segment("pid-again");
  Flag next(segment.region);
  CHECK(next.join("trainer", "holds slot 0") == 0);
  Flag dead(segment.open());
  CHECK(dead.want_wake(true) == 1);
  WakeReceiver receiver;
  CHECK(receiver.open(*segment.region->header(), dead.slots().at(1), 1));
  const std::string left = segment.queue_name(1);
  CHECK(next.want_wake(true) == 0 && exists(left));  // it lives
  // Same pid, same low 10 bits of the start time.
  dead.slots().at(1).start_ticks.store(self_identity().start_ticks + 1024);
  CHECK(next.want_wake(true) == 0 && !exists(left));
  CHECK(segment.unlink());
}

void watcher_died_and_unlinking_the_segment_removes_its_queue() {
  const Segment segment("unlink");
  watch_and_die(segment);
  const std::string left = segment.queue_name(0);
  CHECK(exists(left) && segment.unlink() && !exists(left));
}

void watcher_died_and_the_file_was_removed_by_other_means() {
  const Segment segment("other-means");
  watch_and_die(segment);
  const std::string left = segment.queue_name(0);
  CHECK(unlink(segment.region->path().c_str()) == 0);
  CHECK(exists(left));  // as the table says; nobody can tell its name any more but we
  CHECK(mq_unlink(left.c_str()) == 0);
}

void watcher_died_and_triggers_go_on() {
  const Segment segment("go-on");
  watch_and_die(segment);
  Flag flag(segment.region);
  for (uint8_t level = 1; level <= 4; level++) {
    CHECK(flag.trigger(request(level)).generation == level);  // its queue is full from the second on
  }
  CHECK(flag.control().level == 4 && segment.unlink());
}

// Both the row of wake.h and step 6 of ring.h: control has moved, and no hint was sent.
void sender_died_before_its_send() {
  const Segment segment("before-send");
  Flag flag(segment.region);
  Watcher watcher(flag);
  std::atomic<int> notified{0};
  CHECK(watcher.watch([&] { notified.fetch_add(1); }, 2000000));
  killed_after([&] {
    auto region = segment.open();
    Ring(region->base()).raise(request(4));
  });
  while (notified.load() == 0) {
    const timespec nap{0, 1000000};
    nanosleep(&nap, nullptr);
  }
  CHECK(flag.control().level == 4);
  watcher.unwatch();
  CHECK(segment.unlink());
}

void sender_died_after_its_send() {
  const Segment segment("after-send");
  Flag flag(segment.region);
  CHECK(flag.want_wake(true) == 0);
  WakeReceiver receiver;
  CHECK(receiver.open(*segment.region->header(), flag.slots().at(0), 0));
  killed_after([&] { (new Flag(segment.open()))->trigger(request(4)); });
  pollfd entry{receiver.fd(), POLLIN, 0};
  CHECK(poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0);
  receiver.take();
  CHECK(poll(&entry, 1, 0) == 0 && flag.control().level == 4 && !flag.sweep());
  CHECK(segment.unlink());
}

}  // namespace

int main() {
  RUN(watcher_died_and_the_next_watcher_takes_its_slot);
  RUN(watcher_died_and_the_next_watcher_has_another_slot);
  RUN(watcher_died_and_its_slot_went_to_one_that_does_not_watch);
  RUN(watcher_died_and_its_pid_is_used_again);
  RUN(watcher_died_and_unlinking_the_segment_removes_its_queue);
  RUN(watcher_died_and_the_file_was_removed_by_other_means);
  RUN(watcher_died_and_triggers_go_on);
  RUN(sender_died_before_its_send);
  RUN(sender_died_after_its_send);
}
