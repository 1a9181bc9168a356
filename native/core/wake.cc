#include "wake.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstddef>
#include <cstring>

#include "futex.h"
#include "identity.h"

namespace esper {
namespace {

// "\0esper-<nonce>-<slot>-<incarnation>": the nonce keeps segments apart, the incarnation keeps a new owner of a slot
// from receiving what was meant for the dead one.
socklen_t make_address(const Header& header, uint32_t slot, uint32_t incarnation, sockaddr_un& out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::memset(&out, 0, sizeof out);
  out.sun_family = AF_UNIX;
  char* at = out.sun_path + 1;
  std::memcpy(at, "esper-", 6);
  at += 6;
  for (const uint8_t byte : header.nonce) {
    *at++ = kDigits[byte >> 4];
    *at++ = kDigits[byte & 0xf];
  }
  *at++ = '-';
  at = std::to_chars(at, at + 10, slot).ptr;
  *at++ = '-';
  at = std::to_chars(at, at + 10, incarnation).ptr;
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + static_cast<size_t>(at - out.sun_path));
}

int open_socket() {
#if defined(__linux__)
  return socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
  return -1;
#endif
}

}  // namespace

WakeSender::WakeSender() : fd_(open_socket()), net_ns_(self_identity().net_ns) {}

WakeSender::~WakeSender() {
  if (fd_ >= 0) close(fd_);
}

void WakeSender::wake_all(const Header& header, const Ring& ring, const Slots& slots) const {
  for (uint32_t index = 0; index < slots.high_water(); index++) {
    if ((slots.at(static_cast<int>(index)).flags.load(std::memory_order_acquire) & kSlotWake) != 0) {
      wake_slot(header, slots, index);
    }
  }
  futex_wake(ring.generation_word(), INT_MAX);
}

void WakeSender::wake_slot(const Header& header, const Slots& slots, uint32_t index) const {
  Slot& slot = slots.at(static_cast<int>(index));
  if (fd_ >= 0 && slot.net_ns_inode.load(std::memory_order_relaxed) == net_ns_) {
    sockaddr_un address;
    const socklen_t size = make_address(header, index, slots.incarnation(static_cast<int>(index)), address);
    const char hint = 1;
    if (sendto(fd_, &hint, 1, MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size) == 1) {
      return;
    }
  }
  slot.wake_word.fetch_add(1, std::memory_order_acq_rel);
  futex_wake(&slot.wake_word, INT_MAX);
}

WakeReceiver::~WakeReceiver() {
  if (fd_ >= 0) close(fd_);
}

bool WakeReceiver::open(const Header& header, uint32_t slot, uint32_t incarnation) {
  fd_ = open_socket();
  if (fd_ < 0) return false;
  sockaddr_un address;
  const socklen_t size = make_address(header, slot, incarnation, address);
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) == 0) return true;
  close(fd_);
  fd_ = -1;
  return false;
}

void WakeReceiver::take_one() const {
  char sink[16];
  (void)!recv(fd_, sink, sizeof sink, MSG_DONTWAIT);
}

}  // namespace esper
