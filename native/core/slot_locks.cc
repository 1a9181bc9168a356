#include "slot_locks.h"

#include <fcntl.h>
#include <unistd.h>

namespace esper {

#if defined(F_OFD_SETLK)
namespace {

struct flock lock_of(uint32_t slot, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(kSlotsOffset + slot * sizeof(Slot));
  lock.l_len = 1;
  return lock;
}

}  // namespace

bool SlotLocks::lock(uint32_t slot) {
  struct flock lock = lock_of(slot, F_WRLCK);
  if (fd_ < 0 || fcntl(fd_, F_OFD_SETLK, &lock) != 0) return false;
  held_[slot / 64].fetch_or(uint64_t{1} << slot % 64, std::memory_order_acq_rel);
  return true;
}

void SlotLocks::unlock(uint32_t slot) {
  if (!held(slot)) return;
  struct flock lock = lock_of(slot, F_UNLCK);
  fcntl(fd_, F_OFD_SETLK, &lock);
  held_[slot / 64].fetch_and(~(uint64_t{1} << slot % 64), std::memory_order_acq_rel);
}

bool SlotLocks::free_everywhere(uint32_t slot) const {
  struct flock lock = lock_of(slot, F_WRLCK);
  if (fd_ < 0 || held(slot)) return false;
  return fcntl(fd_, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}
#else
bool SlotLocks::lock(uint32_t) { return false; }
void SlotLocks::unlock(uint32_t) {}
bool SlotLocks::free_everywhere(uint32_t) const { return false; }
#endif

SlotLocks::~SlotLocks() { close(); }

void SlotLocks::close() {
  if (fd_ < 0) return;
  // One by one: the mapping keeps the open file, and with it the locks.
  for (uint32_t slot = 0; slot < kSlotCount; slot++) unlock(slot);
  ::close(fd_);
  fd_ = -1;
}

bool SlotLocks::held(uint32_t slot) const {
  return (held_[slot / 64].load(std::memory_order_acquire) >> slot % 64 & 1) != 0;
}

}  // namespace esper
