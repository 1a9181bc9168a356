// Locks on the slots of a segment's file: how a death shows where a pid means nothing.
//
// Each owner of a slot holds an open-file-description lock (F_OFD_SETLK) on the first byte of the slot in the file. The
// kernel drops it when the last descriptor and mapping of that open go, so at the latest with the process, in whatever
// pid namespace it ran. Nobody ever waits for such a lock, and no memory is protected by it: it is a sign of life.
//
// Who may call: lock and unlock from whoever claims or leaves the slot through this open; open and close while no other
// thread uses it; the others from any thread.
// Bounds: no locks on private memory, after close(), and on kernels before 3.15; then nothing is known.
// A child forked without exec keeps its parent's locks: such a parent's death shows when the child ends.
#pragma once

#include <atomic>
#include <cstdint>

#include "shm_layout.h"

namespace esper {

class SlotLocks {
 public:
  SlotLocks() = default;
  ~SlotLocks();
  SlotLocks(const SlotLocks&) = delete;
  SlotLocks& operator=(const SlotLocks&) = delete;

  // Takes the descriptor over.
  void open(int fd) { fd_ = fd; }
  // Gives all locks back, and the descriptor at once: the memory may be held for long after by whoever reads it.
  void close();
  bool lock(uint32_t slot);
  void unlock(uint32_t slot);
  // Locked through this open.
  [[nodiscard]] bool held(uint32_t slot) const;
  // True only when the kernel says that nobody, this open included, locks it.
  [[nodiscard]] bool free_everywhere(uint32_t slot) const;

 private:
  int fd_ = -1;
  std::atomic<uint64_t> held_[kSlotCount / 64]{};  // a lock does not conflict with its own open: the kernel cannot tell
};

}  // namespace esper
