// Opening a shared segment: attach to the one that is there, or create it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "identity.h"
#include "region.h"
#include "region_paths.h"

namespace esper {
namespace {

constexpr uint64_t kPollNs = 1000000;  // between two looks at a segment that somebody is still building

Status named(Status status, const std::string& path) {
  status.message = path + ": " + status.message;
  return status;
}

void pause() {
  timespec nap{0, static_cast<long>(kPollNs)};
  nanosleep(&nap, nullptr);
}

// Owner, type and mode before a single byte is believed.
Status check_file(const struct stat& info, bool allow_group) {
  if (!S_ISREG(info.st_mode)) return {Code::kNotRegularFile, "it is not a regular file", nullptr, 0};
  if (info.st_uid != geteuid()) {
    return {Code::kForeignOwner, "it belongs to uid " + std::to_string(info.st_uid), nullptr, 0};
  }
  const mode_t loose = info.st_mode & (allow_group ? 0007 : 0077);
  if (loose != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(info.st_mode & 07777));
    return {Code::kLooseMode, std::string("others may access it (mode ") + mode + ")", nullptr, 0};
  }
  if (static_cast<uint64_t>(info.st_size) > kMaxSegmentBytes) {
    return {Code::kOversized, "it is larger than any segment", nullptr, 0};
  }
  return {};
}

// Header by pread, not through a mapping: a file that shrinks under a mapping kills the reader with SIGBUS.
Status look(int fd, const RegionOptions& options, struct stat& info) {
  if (fstat(fd, &info) != 0) return failed("fstat", errno, "");
  if (Status status = check_file(info, options.allow_group); !status.ok()) return status;
  if (info.st_size == 0) return {Code::kHalfInitialised, "its creator has not given it a size", nullptr, 0};
  alignas(Header) uint8_t bytes[sizeof(Header)];
  const ssize_t got = pread(fd, bytes, sizeof bytes, 0);
  if (got < 0) return failed("pread", errno, "");
  if (static_cast<size_t>(got) < sizeof bytes) return {Code::kTruncated, "it is shorter than a header", nullptr, 0};
  return check_header(*reinterpret_cast<const Header*>(bytes), static_cast<uint64_t>(info.st_size), options.kind);
}

}  // namespace

class RegionBuilder {
 public:
  RegionBuilder(const RegionOptions& options, Status& status)
      : options_(options), status_(status), path_(path_of(options.name, options.directory)),
        deadline_ns_(monotonic_ns() + uint64_t{options.attach_timeout_ms} * 1000000u) {}

  // Bounded: each round either ends or met another process's progress, and all waiting ends at the deadline.
  std::shared_ptr<Region> open() {
    for (int round = 0; round < 16; round++) {
      const int fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
      if (fd >= 0) {
        Fd file(fd);
        if (auto region = attach(file.get())) return keep(std::move(region), file);
        if (!again_) return nullptr;
      } else if (errno == ENOENT) {
        if (auto region = create()) return region;
        if (!again_) return nullptr;
      } else {
        status_ = open_failure(errno);
        return nullptr;
      }
    }
    status_ = {Code::kSystem, path_ + ": it keeps being replaced", nullptr, 0};
    return nullptr;
  }

 private:
  // A foreign file cannot even be opened; its owner is the better answer than "permission denied".
  Status open_failure(int error) const {
    struct stat info {};
    if (lstat(path_.c_str(), &info) == 0) {
      if (Status status = check_file(info, options_.allow_group); !status.ok()) return named(status, path_);
    }
    return failed("open", error, path_);
  }

  std::shared_ptr<Region> attach(int fd) {
    again_ = false;
    struct stat info {};
    Status status = look(fd, options_, info);
    while (status.code == Code::kHalfInitialised && monotonic_ns() < deadline_ns_) {
      pause();
      status = look(fd, options_, info);
    }
    if (status.code == Code::kStaleBoot) {
      replace_stale(fd, info);
      return nullptr;
    }
    if (!status.ok()) {
      status_ = named(status, path_);
      return nullptr;
    }
    // A creator that only set the size left holes; a full tmpfs would answer the first write to one with SIGBUS.
    if (static_cast<uint64_t>(info.st_blocks) * 512 < static_cast<uint64_t>(info.st_size) &&
        !allocate(fd, static_cast<size_t>(info.st_size))) {
      return nullptr;
    }
    return map(fd, info, false);
  }

  // The lock makes the look and the unlink one step among those who replace; a winner's new file is another inode.
  void replace_stale(int fd, const struct stat& stale) {
    if (const int error = lock_file(fd, deadline_ns_); error != 0) {
      status_ = error != EWOULDBLOCK ? failed("flock", error, path_)
                                     : Status{Code::kStaleBoot,
                                              path_ + ": it is from an earlier boot and another process holds its lock",
                                              nullptr, 0};
      return;
    }
    struct stat now {};
    if (stat(path_.c_str(), &now) == 0 && now.st_ino == stale.st_ino && now.st_dev == stale.st_dev &&
        ::unlink(path_.c_str()) != 0 && errno != ENOENT) {
      status_ = failed("unlink", errno, path_);
      return;
    }
    again_ = true;
  }

  std::shared_ptr<Region> create() {
    again_ = false;
    if (!self_identity().whole) {
      status_ = {Code::kSystem, path_ + ": this process cannot read its own identity in /proc", nullptr, 0};
      return nullptr;
    }
    const size_t size = segment_bytes(options_.kind, options_.stripes);
    std::string temporary;
    Fd file(open_unnamed(temporary));
    if (file.get() < 0) return nullptr;
    auto region = fill(file.get(), size);
    const bool linked = region != nullptr && link_in_place(file.get(), temporary);
    if (!temporary.empty()) ::unlink(temporary.c_str());
    return linked ? keep(std::move(region), file) : nullptr;
  }

  // The descriptor itself, not a copy of it: there may be none left for one, and the slots would go without locks.
  std::shared_ptr<Region> keep(std::shared_ptr<Region> region, Fd& file) const {
    if (options_.kind != SegmentKind::kHistogram) region->locks_.open(file.release());
    return region;
  }

  // O_TMPFILE leaves nothing behind whoever dies; a file system without it gets a name that nobody looks for.
  int open_unnamed(std::string& temporary) {
#if defined(O_TMPFILE)
    const int fd = ::open(options_.directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 && access("/proc/self/fd", X_OK) == 0) return fd;
    if (fd >= 0) close(fd);
#endif
    uint64_t salt;
    random_bytes(&salt, sizeof salt);
    temporary = options_.directory + "/.esper." + std::to_string(salt);
    const int named_fd = ::open(temporary.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (named_fd < 0) {
      status_ = failed("open", errno, options_.directory);
      temporary.clear();
    }
    return named_fd;
  }

  std::shared_ptr<Region> fill(int fd, size_t size) {
    if (fchmod(fd, 0600) != 0) {
      status_ = failed("fchmod", errno, path_);
      return nullptr;
    }
    // Blocks now: a full tmpfs must fail here, not as SIGBUS in the middle of an emergency.
    if (!allocate(fd, size)) return nullptr;
    struct stat info {};
    if (fstat(fd, &info) != 0) {
      status_ = failed("fstat", errno, path_);
      return nullptr;
    }
    auto region = map(fd, info, true);
    if (region == nullptr) return nullptr;
    initialise_segment(region->base_, options_.kind, options_.stripes);
    // PAIRS-WITH(region.ready): release, so that who sees it ready sees all of it
    region->header()->ready.store(kReady, std::memory_order_release);
    return region;
  }

  bool allocate(int fd, size_t size) {
    // At least once: with no time at all to wait, a first try is still allowed.
    int error = 0;
    do error = posix_fallocate(fd, 0, static_cast<off_t>(size));
    while (error == EINTR && monotonic_ns() < deadline_ns_);
    if (error == 0) return true;
    status_ = failed("posix_fallocate", error, path_);
    return false;
  }

  bool link_in_place(int fd, const std::string& temporary) {
    int result;
    if (temporary.empty()) {
      char from[48];
      std::snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
      result = linkat(AT_FDCWD, from, AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW);
    } else {
      result = link(temporary.c_str(), path_.c_str());
    }
    if (result == 0) return true;
    again_ = errno == EEXIST;
    if (!again_) status_ = failed("link", errno, path_);
    return false;
  }

  std::shared_ptr<Region> map(int fd, const struct stat& info, bool created) {
    const auto size = static_cast<size_t>(info.st_size);
    void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
      status_ = failed("mmap", errno, path_);
      return nullptr;
    }
    std::shared_ptr<Region> region(new Region());
    region->base_ = static_cast<uint8_t*>(base);
    region->size_ = size;
    region->created_ = created;
    region->path_ = path_;
    region->name_ = options_.name;
    region->device_ = static_cast<uint64_t>(info.st_dev);
    region->inode_ = static_cast<uint64_t>(info.st_ino);
    return region;
  }

  const RegionOptions& options_;
  Status& status_;
  std::string path_;
  uint64_t deadline_ns_;
  bool again_ = false;
};

std::shared_ptr<Region> Region::open_shared(const RegionOptions& options, Status& status) {
  if (status = check_name(options.name); !status.ok()) return nullptr;
#if defined(__linux__)
  return RegionBuilder(options, status).open();
#else
  status = {Code::kUnsupportedPlatform, "shared memory signals need Linux", nullptr, 0};
  return nullptr;
#endif
}

}  // namespace esper
