#include "region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <mutex>

#include "identity.h"
#include "region_paths.h"
#include "wake.h"

namespace esper {
namespace {

constexpr uint64_t kLockWaitNs = 1000000000;
constexpr int kUnlinkRounds = 16;

// A watcher that was killed cannot remove its queue; the last who can tell its name is whoever removes the segment.
void remove_queues_of(int fd) {
  alignas(64) static thread_local uint8_t bytes[kRecordsOffset];
  const bool read = pread(fd, bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes);
  if (read && check_header(*reinterpret_cast<Header*>(bytes), kFlagSegmentBytes,
                           static_cast<SegmentKind>(reinterpret_cast<Header*>(bytes)->kind))
                  .ok()) {
    unlink_dead_queues(*reinterpret_cast<Header*>(bytes), Slots(bytes));
  }
}

bool same_file(const struct stat& one, const struct stat& other) {
  return one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

enum class Removal { kRemoved, kAbsent, kReplaced, kFailed };

// Whoever removes or replaces a segment holds the lock of the file it looked at, and removes the name only if it still
// leads there: without either, it would take the segment that somebody else has put there meanwhile. Held for
// microseconds; for a holder that is stopped we wait a second, and then fail.
Removal remove_locked(int fd, const std::string& path, Status& status) {
  if (const int error = lock_file(fd, monotonic_ns() + kLockWaitNs); error != 0) {
    status = failed("flock", error, path);
    return Removal::kFailed;
  }
  struct stat locked {};
  struct stat now {};
  if (fstat(fd, &locked) != 0) {
    status = failed("fstat", errno, path);
    return Removal::kFailed;
  }
  if (lstat(path.c_str(), &now) != 0 || !same_file(locked, now)) return Removal::kReplaced;
  remove_queues_of(fd);
  if (::unlink(path.c_str()) == 0) return Removal::kRemoved;
  if (errno == ENOENT) return Removal::kAbsent;
  status = failed("unlink", errno, path);
  return Removal::kFailed;
}

// One look at the name, and its removal. What cannot be locked (no segment, or one that even its owner may not read) is
// removed as it is.
Removal remove_once(const std::string& path, Status& status) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return Removal::kAbsent;
    status = failed("lstat", errno, path);
    return Removal::kFailed;
  }
  if (info.st_uid != geteuid()) {
    status = {Code::kForeignOwner, path + ": it belongs to another user", nullptr, 0};
    return Removal::kFailed;
  }
  if (S_ISREG(info.st_mode)) {
    // Not to block: between the two looks it may have become a FIFO that nobody writes.
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (file.get() >= 0) return remove_locked(file.get(), path, status);
    if (errno == ENOENT || errno == ELOOP) return Removal::kReplaced;
    if (errno != EACCES) {
      status = failed("open", errno, path);
      return Removal::kFailed;
    }
  }
  if (::unlink(path.c_str()) == 0) return Removal::kRemoved;
  if (errno == ENOENT) return Removal::kAbsent;
  status = failed("unlink", errno, path);
  return Removal::kFailed;
}

}  // namespace

std::shared_ptr<Region> Region::make_private(const RegionOptions& options, Status& status) {
  const size_t size = segment_bytes(options.kind, options.stripes);
  void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    status = failed("mmap", errno, "private memory");
    return nullptr;
  }
  std::shared_ptr<Region> region(new Region());
  region->base_ = static_cast<uint8_t*>(base);
  region->size_ = size;
  region->name_ = options.name;
  initialise_segment(region->base_, options.kind, options.stripes);
  region->header()->ready.store(kReady, std::memory_order_release);
  return region;
}

std::shared_ptr<Region> Region::open_private(const RegionOptions& options, Status& status, bool* created) {
  if (status = check_name(options.name); !status.ok()) return nullptr;
  // Never destroyed: other threads may still close regions while the process exits.
  static auto* mutex = new std::mutex;
  static auto* regions = new std::map<std::string, std::weak_ptr<Region>>;
  const std::string key = std::to_string(static_cast<uint32_t>(options.kind)) + ":" + options.name;
  const std::lock_guard<std::mutex> lock(*mutex);
  auto& entry = (*regions)[key];
  auto region = entry.lock();
  if (created != nullptr) *created = region == nullptr;
  if (region != nullptr) return region;
  region = make_private(options, status);
  entry = region;
  return region;
}

std::shared_ptr<Region> Region::over_bytes(uint8_t* bytes, size_t size, SegmentKind kind, Status& status) {
  if (size < sizeof(Header)) {
    status = {Code::kTruncated, "it is shorter than a header", nullptr, 0};
    return nullptr;
  }
  if (status = check_header(*reinterpret_cast<Header*>(bytes), size, kind); !status.ok()) return nullptr;
  std::shared_ptr<Region> region(new Region());
  region->base_ = bytes;
  region->size_ = size;
  region->mapped_ = false;
  return region;
}

Status Region::unlink(const std::string& name, const std::string& directory, bool& removed) {
  removed = false;
  if (Status status = check_name(name); !status.ok()) return status;
  const std::string path = path_of(name, directory);
  for (int round = 0; round < kUnlinkRounds; round++) {
    Status status;
    const Removal removal = remove_once(path, status);
    if (removal == Removal::kReplaced) continue;
    removed = removal == Removal::kRemoved;
    return status;
  }
  return {Code::kSystem, path + ": it keeps being replaced", nullptr, 0};
}

bool Region::name_moved() const {
  if (path_.empty()) return false;
  struct stat info {};
  if (lstat(path_.c_str(), &info) != 0) return errno == ENOENT;
  return static_cast<uint64_t>(info.st_ino) != inode_ || static_cast<uint64_t>(info.st_dev) != device_;
}

Region::~Region() {
  if (base_ != nullptr && mapped_) munmap(base_, size_);
}

}  // namespace esper
