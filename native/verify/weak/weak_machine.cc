#include "weak_machine.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace esper::weak {
namespace {

constexpr size_t kStackBytes = 256 << 10;
constexpr uint64_t kGap = 1u << 20;         // between stamps, so that stores can be put in between
constexpr uint64_t kFreshAfter = 20000;     // steps; stores become visible in the end
constexpr uint64_t kGiveUpAfter = 2000000;  // steps; nothing under test waits for another thread

bool acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}
bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}

uint64_t read_memory(const void* at, uint32_t size) {
  uint64_t value = 0;
  std::memcpy(&value, at, size);
  return value;
}

uint64_t changed(Change how, uint64_t before, uint64_t by, uint32_t size) {
  uint64_t after = by;
  if (how == Change::kAdd) after = before + by;
  if (how == Change::kXor) after = before ^ by;
  if (how == Change::kOr) after = before | by;
  if (how == Change::kAnd) after = before & by;
  return size == 8 ? after : after & ((uint64_t{1} << size * 8) - 1);
}

}  // namespace

Machine& Machine::get() {
  static Machine machine;
  return machine;
}

void Machine::set_memory(uint8_t* base, size_t size) {
  base_ = base;
  size_ = size;
  index_.assign(size / 4, -1);
}

uint64_t& Machine::slot_of(View& view, uint32_t location) {
  if (view.size() <= location) view.resize(location + 1, 0);
  return view[location];
}

void Machine::join(View& into, const View& from) {
  if (into.size() < from.size()) into.resize(from.size(), 0);
  for (size_t i = 0; i < from.size(); i++) into[i] = std::max(into[i], from[i]);
}

void Machine::learn_from(uint32_t thread) { join(threads_[current_]->view, threads_[thread]->view); }

uint32_t Machine::locate(const void* at, uint32_t size) {
  const auto offset = static_cast<size_t>(static_cast<const uint8_t*>(at) - base_);
  if (offset >= size_) std::abort();  // the code under test keeps an atomic that nobody knows of
  int32_t& index = index_[offset / 4];
  if (index < 0) {
    index = static_cast<int32_t>(locations_.size());
    Location location;
    location.at = base_ + offset;
    location.size = size;
    Message first;
    first.stamp = kGap;
    first.value = read_memory(at, size);
    location.messages.push_back(std::move(first));
    locations_.push_back(std::move(location));
  }
  return static_cast<uint32_t>(index);
}

// Index of a message with a stamp of at least `from`: mostly the latest, sometimes any.
size_t Machine::choose(const Location& location, uint64_t from) {
  const size_t last = location.messages.size() - 1;
  if (run_steps_ > kFreshAfter || random_.below(stale_one_in_) != 0) return last;
  size_t oldest = last;
  while (oldest > 0 && location.messages[oldest - 1].stamp >= from) oldest--;
  return oldest + random_.below(static_cast<uint32_t>(last - oldest + 1));
}

uint64_t Machine::load(uint32_t location, std::memory_order order) {
  Thread& me = *threads_[current_];
  const Message& read = locations_[location].messages[choose(locations_[location], slot_of(me.view, location))];
  slot_of(me.view, location) = std::max(slot_of(me.view, location), read.stamp);
  if (acquires(order)) join(me.view, read.view);
  return read.value;
}

Machine::View Machine::carried(uint32_t location, uint64_t stamp, std::memory_order order, const Message* read) {
  View view;
  if (releases(order)) view = threads_[current_]->view;
  slot_of(view, location) = stamp;
  if (read != nullptr) join(view, read->view);
  return view;
}

uint64_t Machine::insert(uint32_t location, size_t behind, uint64_t value, std::memory_order order,
                         const Message* read) {
  std::vector<Message>& messages = locations_[location].messages;
  const bool last = behind + 1 == messages.size();
  const uint64_t before = messages[behind].stamp;
  const uint64_t stamp = last ? before + kGap : (before + messages[behind + 1].stamp) / 2;
  slot_of(threads_[current_]->view, location) = stamp;
  Message message;
  message.stamp = stamp;
  message.value = value;
  message.view = carried(location, stamp, order, read);
  messages.insert(messages.begin() + static_cast<ptrdiff_t>(behind) + 1, std::move(message));
  return stamp;
}

void Machine::store(uint32_t location, uint64_t value, std::memory_order order) {
  const Location& where = locations_[location];
  size_t behind = choose(where, slot_of(threads_[current_]->view, location));
  const auto taken = [&](size_t i) {
    return i + 1 < where.messages.size() &&
           (where.messages[i].followed || where.messages[i + 1].stamp - where.messages[i].stamp < 2);
  };
  while (taken(behind)) behind++;
  insert(location, behind, value, order, nullptr);
}

bool Machine::change(uint32_t location, uint32_t size, Change how, uint64_t& expected, uint64_t value,
                     std::memory_order success, std::memory_order failure) {
  Thread& me = *threads_[current_];
  std::vector<Message>& messages = locations_[location].messages;
  size_t at = choose(locations_[location], slot_of(me.view, location));
  const auto succeeds = [&](size_t i) { return how != Change::kCompare || messages[i].value == expected; };
  while (succeeds(at) && messages[at].followed) at++;
  const bool done = succeeds(at);
  const uint64_t seen = messages[at].value;
  slot_of(me.view, location) = std::max(slot_of(me.view, location), messages[at].stamp);
  if (acquires(done ? success : failure)) join(me.view, messages[at].view);
  if (done) {
    messages[at].followed = true;
    const Message read = messages[at];
    insert(location, at, changed(how, seen, value, size), success, &read);
  }
  expected = seen;
  return done;
}

// Threads.

void Machine::entry() {
  Machine& machine = get();
  machine.threads_[machine.current_]->body();
  machine.threads_[machine.current_]->phase = Phase::kEnded;
  machine.leave();
}

void Machine::switch_to(uint32_t thread) {
  current_ = thread;
  Thread& next = *threads_[thread];
  if (next.started) _longjmp(next.at, 1);
  next.started = true;
  setcontext(&next.start);
  std::abort();
}

bool Machine::pick(uint32_t& thread) {
  std::vector<uint32_t> ready;
  for (uint32_t i = 0; i < threads_.size(); i++) {
    if (threads_[i]->phase == Phase::kReady) ready.push_back(i);
  }
  if (ready.empty()) return false;
  thread = ready[random_.below(static_cast<uint32_t>(ready.size()))];
  return true;
}

// The current thread does not go on.
void Machine::leave() {
  uint32_t next = 0;
  if (pick(next)) switch_to(next);
  _longjmp(home_at_, 1);
}

void Machine::step() {
  steps_++;
  if (++run_steps_ > kGiveUpAfter) {
    std::fprintf(stderr, "weak: a thread does not come to an end\n");
    std::_Exit(1);
  }
  if (kills_left_ > 0 && random_.below(60) == 0) {
    kills_left_--;
    threads_[current_]->phase = Phase::kDead;
    leave();
  }
  uint32_t next = current_;
  if (random_.below(switch_one_in_) == 0) pick(next);
  if (next == current_) return;
  if (_setjmp(threads_[current_]->at) == 0) switch_to(next);
}

void Machine::run(uint64_t seed, std::vector<std::function<void()>> bodies, uint32_t kills) {
  random_.state = seed;
  kills_left_ = kills;
  switch_one_in_ = 2u << random_.below(6);
  stale_one_in_ = 1 + random_.below(4);
  run_steps_ = 0;
  locations_.clear();
  std::fill(index_.begin(), index_.end(), -1);
  threads_.clear();
  while (stacks_.size() < bodies.size()) stacks_.push_back(std::make_unique<char[]>(kStackBytes));
  for (size_t i = 0; i < bodies.size(); i++) {
    auto thread = std::make_unique<Thread>();
    thread->body = std::move(bodies[i]);
    getcontext(&thread->start);
    thread->start.uc_stack.ss_sp = stacks_[i].get();
    thread->start.uc_stack.ss_size = kStackBytes;
    makecontext(&thread->start, &Machine::entry, 0);
    threads_.push_back(std::move(thread));
  }
  running_ = true;
  if (_setjmp(home_at_) == 0) leave();
  running_ = false;
  flush();
}

void Machine::flush() {
  for (const Location& location : locations_) std::memcpy(location.at, &location.messages.back().value, location.size);
}

uint64_t do_load(const void* at, uint32_t size, std::memory_order order) {
  Machine& machine = Machine::get();
  if (!machine.running()) return read_memory(at, size);
  machine.step();
  return machine.load(machine.locate(at, size), order);
}

void do_store(void* at, uint32_t size, uint64_t value, std::memory_order order) {
  Machine& machine = Machine::get();
  if (!machine.running()) {
    std::memcpy(at, &value, size);
    return;
  }
  machine.step();
  machine.store(machine.locate(at, size), value, order);
}

bool do_change(void* at, uint32_t size, Change change, uint64_t& expected, uint64_t value, std::memory_order success,
               std::memory_order failure) {
  Machine& machine = Machine::get();
  if (machine.running()) {
    machine.step();
    return machine.change(machine.locate(at, size), size, change, expected, value, success, failure);
  }
  const uint64_t seen = read_memory(at, size);
  const bool done = change != Change::kCompare || seen == expected;
  if (done) {
    const uint64_t after = changed(change, seen, value, size);
    std::memcpy(at, &after, size);
  }
  expected = seen;
  return done;
}

}  // namespace esper::weak
