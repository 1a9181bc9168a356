// What opening and removing a segment share: names, paths, descriptors, and failures in words.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string>

#include "status.h"

namespace esper {

// A descriptor that is closed with it; none when negative.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  // Whoever takes it closes it.
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

// 1 to 200 of A-Z a-z 0-9 . _ - and not a dot first.
Status check_name(const std::string& name);
std::string path_of(const std::string& name, const std::string& directory);
// Takes the flock of that open file, waiting until the deadline at most: 0, or the errno; EWOULDBLOCK when somebody else
// holds it still.
int lock_file(int fd, uint64_t deadline_ns);
// A system call that failed on a path, with the code its errno stands for.
Status failed(const char* syscall, int error, const std::string& path);

}  // namespace esper
