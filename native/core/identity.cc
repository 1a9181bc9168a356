#include "identity.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__linux__)
#include <sys/random.h>
#endif

namespace esper {
namespace {

long read_file(const char* path, char* out, size_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t got = read(fd, out, size - 1);
  close(fd);
  if (got >= 0) out[got] = '\0';
  return got;
}

struct ProcStat {
  bool found = false;
  char state = '?';
  uint64_t threads = 0;
  uint64_t start_ticks = 0;
};

// The command in field 2 may hold spaces and brackets, so fields are counted from the last ')'.
ProcStat proc_stat(uint32_t pid) {
  ProcStat result;
  char path[48];
  char text[1024];
  std::snprintf(path, sizeof path, "/proc/%u/stat", pid);
  if (read_file(path, text, sizeof text) <= 0) return result;
  const char* at = std::strrchr(text, ')');
  if (at == nullptr || at[1] != ' ') return result;
  at += 2;
  result.state = *at;
  for (int field = 3; field < 22; field++) {
    if (field == 20) result.threads = std::strtoull(at, nullptr, 10);
    at = std::strchr(at, ' ');
    if (at == nullptr) return result;
    at++;
  }
  result.start_ticks = std::strtoull(at, nullptr, 10);
  result.found = true;
  return result;
}

template <typename Same>
bool runs(uint32_t pid, Same same) {
  if (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) return false;
  const ProcStat stat = proc_stat(pid);
  // No descriptor left, or a /proc that hides it: only what was really read may say that somebody is dead.
  if (!stat.found) return true;
  // A main thread that ended while others run shows as a zombie too.
  if (stat.state == 'X' || (stat.state == 'Z' && stat.threads <= 1)) return false;
  return same(stat.start_ticks);
}

// False when it could not be read; a kernel without that kind of namespace has read it: 0.
bool namespace_inode(const char* which, uint64_t& inode) {
  char path[48];
  struct stat info {};
  std::snprintf(path, sizeof path, "/proc/self/ns/%s", which);
  const bool read = stat(path, &info) == 0;
  inode = read ? static_cast<uint64_t>(info.st_ino) : 0;
  return read || errno == ENOENT;
}

std::array<uint8_t, 16> read_boot_id() {
  std::array<uint8_t, 16> id{};
  char text[64];
  if (read_file("/proc/sys/kernel/random/boot_id", text, sizeof text) <= 0) return id;
  size_t nibbles = 0;
  for (const char* at = text; *at != '\0' && nibbles < 32; at++) {
    const char c = *at;
    int value = -1;
    if (c >= '0' && c <= '9') value = c - '0';
    if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
    if (value < 0) continue;
    id[nibbles / 2] = static_cast<uint8_t>(id[nibbles / 2] << 4 | value);
    nibbles++;
  }
  return id;
}

}  // namespace

Identity self_identity() {
  thread_local Identity cached;
  const auto pid = static_cast<uint32_t>(getpid());
  if (cached.whole && cached.pid == pid) return cached;
  cached.pid = pid;
  cached.start_ticks = proc_stat(pid).start_ticks;
  cached.uid = static_cast<uint32_t>(geteuid());
  cached.boot_id = read_boot_id();
  const bool pid_ns_read = namespace_inode("pid", cached.pid_ns);
  const bool time_ns_read = namespace_inode("time", cached.time_ns);
  // A read that failed (no file descriptor left) must not be believed for the rest of the thread's life.
  cached.whole = cached.start_ticks != 0 && cached.boot_id != std::array<uint8_t, 16>{} && pid_ns_read && time_ns_read;
  return cached;
}

bool owner_alive(uint32_t owner) {
  if (owner == 0 || owner == kForeignOwner) return true;
  const uint32_t pid = owner & 0x3fffffu;
  return runs(pid, [=](uint64_t start_ticks) { return owner_id(pid, start_ticks) == owner; });
}

bool process_alive(uint32_t pid, uint64_t start_ticks) {
  return runs(pid, [=](uint64_t found) { return found == start_ticks; });
}

uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

int64_t wall_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

void random_bytes(void* out, unsigned size) {
#if defined(__linux__)
  if (getrandom(out, size, 0) == static_cast<ssize_t>(size)) return;
#endif
  uint64_t mix = monotonic_ns() ^ static_cast<uint64_t>(getpid()) << 40 ^ reinterpret_cast<uintptr_t>(out);
  auto* bytes = static_cast<uint8_t*>(out);
  for (unsigned i = 0; i < size; i++) {
    mix = mix * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = static_cast<uint8_t>(mix >> 56);
  }
}

}  // namespace esper
