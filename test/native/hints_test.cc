// [R-B1] Whom a trigger hints at, and what it tells of that: through a queue, through a futex, to its own process.
#include <poll.h>

#include <thread>

#include "check.h"
#include "watcher.h"

using namespace esper;
using namespace esper::test;

namespace {

bool readable(const WakeReceiver& receiver) {
  pollfd entry{receiver.fd(), POLLIN, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

void a_sender_that_knew_an_earlier_queue_finds_the_next_one() {
  auto region = private_region();
  Flag watched(region);
  Flag sender(region);
  const int slot = watched.want_wake(true);
  CHECK(slot >= 0);
  for (int watch = 0; watch < 3; watch++) {
    WakeReceiver receiver;
    CHECK(receiver.open(*region->header(), watched.slots().at(slot), static_cast<uint32_t>(slot)));
    CHECK(!readable(receiver));
    sender.trigger(request(1));
    sender.trigger(request(2));  // the queue is full: the first hint stands for both
    CHECK(readable(receiver));
    receiver.take();
    CHECK(!readable(receiver));
  }
  watched.slots().at(slot).queue.fetch_add(1);  // a watch that was given no queue
  const uint32_t before = watched.slots().at(slot).wake_word.load();
  sender.trigger(request(3));
  CHECK(watched.slots().at(slot).wake_word.load() == before + 1);
}

void a_trigger_tells_whether_it_woke_somebody_else() {
  auto region = private_region();
  Flag watched(region);
  Flag sender(region);
  CHECK(!sender.trigger(request(1)).woke);  // nobody watches
  const int slot = watched.want_wake(true);
  WakeReceiver receiver;
  CHECK(receiver.open(*region->header(), watched.slots().at(slot), static_cast<uint32_t>(slot)));
  CHECK(!watched.trigger(request(1)).woke);  // its own watch gets the hint, and needs nobody to give way
  receiver.take();
  CHECK(sender.trigger(request(2)).woke);
  CHECK(!sender.trigger(request(2)).woke);  // that hint still waits
  receiver.take();
  CHECK(sender.trigger(request(2)).woke);
}

void its_own_thread_is_nobody_else() {
  Flag flag(private_region());
  Watcher watcher(flag);
  CHECK(flag.want_wake(true) >= 0);  // without a queue: its hints go to its thread, by futex
  CHECK(watcher.watch([] {}, 3600000000000));
  for (int i = 0; i < 10; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // it sleeps again
    CHECK(!flag.trigger(request(1)).woke);
  }
  watcher.unwatch();
}

}  // namespace

int main() {
  RUN(a_sender_that_knew_an_earlier_queue_finds_the_next_one);
  RUN(a_trigger_tells_whether_it_woke_somebody_else);
  RUN(its_own_thread_is_nobody_else);
}
