// The modelled memory and its threads; see weak_atomic.h for what is modelled.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "weak_atomic.h"

namespace esper::weak {

struct Random {
  uint64_t state = 0;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((next() >> 32) * bound >> 32); }
};

class Machine {
 public:
  static Machine& get();

  // All atomics of the program under test are inside it.
  void set_memory(uint8_t* base, size_t size);

  // Runs the threads to their ends, or to the deaths of up to `kills` of them. Then memory holds the last stores, and
  // atomics work on it directly.
  void run(uint64_t seed, std::vector<std::function<void()>> threads, uint32_t kills);

  [[nodiscard]] bool dead(uint32_t thread) const { return threads_[thread]->phase == Phase::kDead; }
  [[nodiscard]] uint32_t self() const { return current_; }
  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] uint64_t steps() const { return steps_; }
  Random& random() { return random_; }
  // Of the thread that runs; it stands still but for set_clock.
  [[nodiscard]] uint64_t clock() const { return running_ ? threads_[current_]->clock : 1; }
  void set_clock(uint64_t ns) { threads_[current_]->clock = ns; }
  // The latest store, whatever the caller may have seen of it.
  uint64_t latest(const void* at, uint32_t size) { return locations_[locate(at, size)].messages.back().value; }
  // What a thread that died knew, the caller knows now.
  void learn_from(uint32_t thread);

  uint64_t load(uint32_t location, std::memory_order order);
  void store(uint32_t location, uint64_t value, std::memory_order order);
  bool change(uint32_t location, uint32_t size, Change how, uint64_t& expected, uint64_t value,
              std::memory_order success, std::memory_order failure);
  uint32_t locate(const void* at, uint32_t size);
  void step();

 private:
  using View = std::vector<uint64_t>;
  enum class Phase { kReady, kEnded, kDead };

  struct Message {
    uint64_t stamp = 0;
    uint64_t value = 0;
    bool followed = false;  // a read-modify-write read it: nothing comes in between
    View view;
  };
  struct Location {
    uint8_t* at = nullptr;
    uint32_t size = 0;
    std::vector<Message> messages;
  };
  struct Thread {
    std::function<void()> body;
    std::unique_ptr<char[]> stack;
    ucontext_t start{};
    jmp_buf at{};
    bool started = false;
    Phase phase = Phase::kReady;
    uint64_t clock = 1;
    View view;
  };

  static void entry();
  void switch_to(uint32_t thread);
  void leave();
  bool pick(uint32_t& thread);
  size_t choose(const Location& location, uint64_t from);
  View carried(uint32_t location, uint64_t stamp, std::memory_order order, const Message* read);
  uint64_t insert(uint32_t location, size_t behind, uint64_t value, std::memory_order order, const Message* read);
  static uint64_t& slot_of(View& view, uint32_t location);
  static void join(View& into, const View& from);
  void flush();

  uint8_t* base_ = nullptr;
  size_t size_ = 0;
  std::vector<int32_t> index_;
  std::vector<Location> locations_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<std::unique_ptr<char[]>> stacks_;
  Random random_;
  uint32_t current_ = 0;
  uint32_t kills_left_ = 0;
  uint32_t switch_one_in_ = 4;
  uint32_t stale_one_in_ = 3;
  uint64_t steps_ = 0;
  uint64_t run_steps_ = 0;
  bool running_ = false;
  ucontext_t home_{};
  jmp_buf home_at_{};
};

}  // namespace esper::weak
