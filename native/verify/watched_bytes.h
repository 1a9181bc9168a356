// The bytes that an operation works on, looked at from outside after every instruction: a segment that is mapped here
// too, or a file that its creator has not given a name yet and that is found among the creator's descriptors.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace esper::verify {

class WatchedBytes {
 public:
  WatchedBytes(const uint8_t* base, size_t size) : base_(base), size_(size) { take(); }
  // `directory` ends without a slash; `path` is the name that the file is to get there.
  WatchedBytes(std::string directory, std::string path) : directory_(std::move(directory)), path_(std::move(path)) {
    named_ = inode_of(path_);
  }
  ~WatchedBytes() {
    unmap();
    if (fd_ >= 0) close(fd_);
  }
  WatchedBytes(const WatchedBytes&) = delete;
  WatchedBytes& operator=(const WatchedBytes&) = delete;

  [[nodiscard]] const std::vector<uint8_t>& bytes() const { return before_; }
  // Inode that the name leads to, 0 when there is none. Only for a file in the making.
  [[nodiscard]] uint64_t named() const { return named_; }

  // Whether something differs from the last call, and where first. A name, or a size, differs at `size`.
  bool changed(pid_t pid, bool after_syscall, size_t& offset) {
    bool other = false;
    if (!directory_.empty() && after_syscall) other = look_again(pid);
    if (other || std::memcmp(base_ == nullptr ? before_.data() : base_, before_.data(), before_.size()) != 0) {
      offset = 0;
      while (offset < before_.size() && base_[offset] == before_[offset]) offset++;
      take();
      return true;
    }
    return false;
  }

 private:
  void take() { before_.assign(base_, base_ + size_); }
  void unmap() {
    if (!directory_.empty() && base_ != nullptr) munmap(const_cast<uint8_t*>(base_), size_);
  }
  static uint64_t inode_of(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_ino) : 0;
  }

  bool look_again(pid_t pid) {
    const uint64_t named = inode_of(path_);
    bool other = named != named_;
    named_ = named;
    if (fd_ < 0) find(pid);
    struct stat info {};
    if (fd_ < 0 || fstat(fd_, &info) != 0 || static_cast<size_t>(info.st_size) == size_) return other;
    unmap();
    size_ = static_cast<size_t>(info.st_size);
    void* base = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_, 0);
    base_ = base == MAP_FAILED ? nullptr : static_cast<const uint8_t*>(base);
    if (base_ == nullptr) size_ = 0;
    return true;
  }

  // An unnamed file shows as "<directory>/#<inode> (deleted)".
  void find(pid_t pid) {
    const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
    DIR* entries = opendir(folder.c_str());
    if (entries == nullptr) return;
    const std::string unnamed = directory_ + "/#";
    for (const dirent* entry; fd_ < 0 && (entry = readdir(entries)) != nullptr;) {
      char target[512];
      const std::string link = folder + "/" + entry->d_name;
      const ssize_t length = readlink(link.c_str(), target, sizeof target);
      if (length <= 0 || std::string(target, static_cast<size_t>(length)).compare(0, unnamed.size(), unnamed) != 0) {
        continue;
      }
      fd_ = open(link.c_str(), O_RDONLY | O_CLOEXEC);
    }
    closedir(entries);
  }

  std::string directory_;
  std::string path_;
  const uint8_t* base_ = nullptr;
  size_t size_ = 0;
  int fd_ = -1;
  uint64_t named_ = 0;
  std::vector<uint8_t> before_;
};

}  // namespace esper::verify
