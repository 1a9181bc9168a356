// Stands in for std::atomic in a copy of native/core, so that its own source runs on a modelled weak memory: x86 never
// shows a missing acquire or release, and ThreadSanitizer sees no race where every access is atomic.
//
// The model (operational, after the release-acquire view semantics of C++20):
//   - each location keeps all its stores in modification order; a store may also be put before later ones of others
//   - each thread has a view: per location, the oldest store that it may still read. A load picks any store from there
//     on, a compare-and-swap that succeeds takes its place right behind the store it read
//   - a release store carries its thread's view, and an acquire load that reads it takes that view over. A
//     read-modify-write passes on the view of the store that it read (release sequence)
//   - seq_cst is taken as acquire and release: weaker than C++ means it
// Not modelled: a load that sees a store which comes after it in program order (load buffering), and fences.
// Threads are fibers; at each access another may go on. One may be killed at any access. Its death is seen through the
// kernel, so whoever finds it dead has seen all it did.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace esper::weak {

uint64_t do_load(const void* at, uint32_t size, std::memory_order order);
void do_store(void* at, uint32_t size, uint64_t value, std::memory_order order);
enum class Change { kSwap, kAdd, kXor, kOr, kAnd, kCompare };
bool do_change(void* at, uint32_t size, Change change, uint64_t& expected, uint64_t value, std::memory_order success,
               std::memory_order failure);

template <typename T>
class Atomic {
 public:
  static constexpr bool is_always_lock_free = true;
  Atomic() = default;
  constexpr Atomic(T value) : value_(value) {}  // NOLINT: as std::atomic
  T load(std::memory_order order = std::memory_order_seq_cst) const {
    return static_cast<T>(do_load(&value_, sizeof(T), order));
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) {
    do_store(&value_, sizeof(T), static_cast<uint64_t>(value), order);
  }
  T fetch_add(T by, std::memory_order order = std::memory_order_seq_cst) { return change(Change::kAdd, by, order); }
  T fetch_xor(T by, std::memory_order order = std::memory_order_seq_cst) { return change(Change::kXor, by, order); }
  T fetch_or(T by, std::memory_order order = std::memory_order_seq_cst) { return change(Change::kOr, by, order); }
  T fetch_and(T by, std::memory_order order = std::memory_order_seq_cst) { return change(Change::kAnd, by, order); }
  T exchange(T to, std::memory_order order = std::memory_order_seq_cst) { return change(Change::kSwap, to, order); }
  bool compare_exchange_strong(T& expected, T value, std::memory_order success, std::memory_order failure) {
    auto seen = static_cast<uint64_t>(expected);
    const bool done =
        do_change(&value_, sizeof(T), Change::kCompare, seen, static_cast<uint64_t>(value), success, failure);
    expected = static_cast<T>(seen);
    return done;
  }
  bool compare_exchange_weak(T& expected, T value, std::memory_order success, std::memory_order failure) {
    return compare_exchange_strong(expected, value, success, failure);
  }

 private:
  T change(Change how, T by, std::memory_order order) {
    uint64_t seen = 0;
    do_change(&value_, sizeof(T), how, seen, static_cast<uint64_t>(by), order, std::memory_order_relaxed);
    return static_cast<T>(seen);
  }
  T value_;
};

}  // namespace esper::weak
