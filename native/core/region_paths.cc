#include "region_paths.h"

#include <sys/file.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "identity.h"

namespace esper {
namespace {

constexpr long kLockPauseNs = 1000000;

}  // namespace

int lock_file(int fd, uint64_t deadline_ns) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if ((errno != EWOULDBLOCK && errno != EINTR) || monotonic_ns() >= deadline_ns) return errno;
    const timespec pause{0, kLockPauseNs};
    nanosleep(&pause, nullptr);
  }
  return 0;
}

Status failed(const char* syscall, int error, const std::string& path) {
  Code code = Code::kSystem;
  if (error == EACCES || error == EPERM || error == EROFS) code = Code::kPermission;
  if (error == ENOSPC || error == EDQUOT || error == ENOMEM || error == EFBIG) code = Code::kNoSpace;
  if (error == ENAMETOOLONG) code = Code::kBadName;
  return {code, path + ": " + syscall + ": " + std::strerror(error), syscall, error};
}

Status check_name(const std::string& name) {
  bool good = !name.empty() && name.size() <= 200 && name[0] != '.';
  for (const char c : name) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-');
  }
  if (good) return {};
  return {Code::kBadName, "a segment name is 1 to 200 of A-Z a-z 0-9 . _ - and does not begin with a dot", nullptr, 0};
}

std::string path_of(const std::string& name, const std::string& directory) {
  return directory + "/esper." + std::to_string(self_identity().uid) + "." + name;
}

}  // namespace esper
