#include "region.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <mutex>

#include "region_paths.h"
#include "wake.h"

namespace esper {
namespace {

constexpr int kLockTries = 100;
constexpr long kLockPauseNs = 10000000;

// A watcher that was killed cannot remove its queue; the last who can tell its name is whoever removes the segment.
void remove_queues_of(int fd) {
  alignas(64) static thread_local uint8_t bytes[kRecordsOffset];
  const bool read = pread(fd, bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes);
  if (read && check_header(*reinterpret_cast<Header*>(bytes), kFlagSegmentBytes,
                           static_cast<SegmentKind>(reinterpret_cast<Header*>(bytes)->kind))
                  .ok()) {
    unlink_dead_queues(bytes);
  }
}

// Whoever replaces a stale segment holds this lock between its look and its unlink: were the name removed in between
// and created anew, that unlink would take the new segment. Held for microseconds; a stopped holder is not waited for.
bool lock_file(int fd) {
  for (int i = 0; i < kLockTries; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    const timespec pause{0, kLockPauseNs};
    nanosleep(&pause, nullptr);
  }
  return false;
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
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return errno == ENOENT ? Status{} : failed("lstat", errno, path);
  if (info.st_uid != geteuid()) return {Code::kForeignOwner, path + ": it belongs to another user", nullptr, 0};
  // Its lock goes with it, after the unlink.
  const Fd file(S_ISREG(info.st_mode) ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1);
  if (file.get() >= 0 && !lock_file(file.get())) return failed("flock", errno, path);
  if (file.get() >= 0) remove_queues_of(file.get());
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("unlink", errno, path);
  removed = true;
  return {};
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
