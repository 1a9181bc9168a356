// Preloaded (LD_PRELOAD): makes the Nth call of one system function fail, counting only calls that come from the code
// under test. Told what to do through paths given to access(2), which both C++ and JavaScript can call:
//
//   /esper-fault/arm/<function>/<nth>/<errno>/<once|on>   once: only that call; on: that one and all after it
//   /esper-fault/no-tmpfile                               every open with O_TMPFILE fails, as on some file systems
//   /esper-fault/fired                                    exists when an armed failure has happened
//   /esper-fault/off                                      all of it undone
//
// FAULT_SHIM_OBJECT   part of the file name of the executable or library whose calls count
#include <dlfcn.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr char kPrefix[] = "/esper-fault/";

struct Plan {
  char function[32];
  long nth;
  int error;
  bool on;
};

Plan plan;
std::atomic<bool> armed{false};
std::atomic<bool> no_tmpfile{false};
std::atomic<long> calls{0};
std::atomic<bool> fired{false};

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool ours(void* caller) {
  static const char* const object = std::getenv("FAULT_SHIM_OBJECT");
  Dl_info info{};
  return object != nullptr && dladdr(caller, &info) != 0 && info.dli_fname != nullptr &&
         std::strstr(info.dli_fname, object) != nullptr;
}

// The errno that this call must fail with; 0: let it through.
int fault(const char* function, void* caller) {
  if (!armed.load() || std::strcmp(function, plan.function) != 0 || !ours(caller)) return 0;
  const long call = ++calls;
  if (plan.on ? call < plan.nth : call != plan.nth) return 0;
  fired = true;
  return plan.error;
}

int command(const char* text) {
  if (std::strcmp(text, "fired") == 0) {
    errno = ENOENT;
    return fired ? 0 : -1;
  }
  if (std::strcmp(text, "no-tmpfile") == 0) {
    no_tmpfile = true;
    return 0;
  }
  armed = false;
  if (std::strcmp(text, "off") == 0) {
    no_tmpfile = false;
    return 0;
  }
  char mode[8] = {};
  const int fields = std::sscanf(text, "arm/%31[a-z_]/%ld/%d/%7s", plan.function, &plan.nth, &plan.error, mode);
  if (fields != 4) {
    errno = EINVAL;
    return -1;
  }
  plan.on = std::strcmp(mode, "on") == 0;
  calls = 0;
  fired = false;
  armed = true;
  return 0;
}

// Results of failing calls that report by errno.
template <typename Result>
Result refuse(int error, Result result) {
  errno = error;
  return result;
}

}  // namespace

#define CALLER __builtin_return_address(0)
#define EXPORT extern "C" __attribute__((visibility("default")))

// Functions that answer -1 and errno.
#define WRAP(name, parameters, arguments)                                                 \
  EXPORT int name parameters {                                                            \
    static const auto real = next<int(*) parameters>(#name);                              \
    if (const int error = fault(#name, CALLER); error != 0) return refuse(error, -1);     \
    return real arguments;                                                                \
  }
// Functions that answer the error number itself.
#define WRAP_CODE(name, parameters, arguments)                                            \
  EXPORT int name parameters {                                                            \
    static const auto real = next<int(*) parameters>(#name);                              \
    if (const int error = fault(#name, CALLER); error != 0) return error;                 \
    return real arguments;                                                                \
  }

WRAP(ftruncate, (int fd, off_t size) noexcept, (fd, size))
WRAP(fchmod, (int fd, mode_t mode) noexcept, (fd, mode))
WRAP(fstat, (int fd, struct stat* info) noexcept, (fd, info))
WRAP(stat, (const char* path, struct stat* info) noexcept, (path, info))
WRAP(lstat, (const char* path, struct stat* info) noexcept, (path, info))
WRAP(link, (const char* from, const char* to) noexcept, (from, to))
WRAP(linkat, (int a, const char* from, int b, const char* to, int flags) noexcept, (a, from, b, to, flags))
WRAP(unlink, (const char* path) noexcept, (path))
WRAP(flock, (int fd, int operation) noexcept, (fd, operation))
WRAP(mq_send, (mqd_t queue, const char* text, size_t size, unsigned priority), (queue, text, size, priority))
WRAP(mq_unlink, (const char* name) noexcept, (name))
WRAP(eventfd, (unsigned initial, int flags) noexcept, (initial, flags))
WRAP_CODE(posix_fallocate, (int fd, off_t from, off_t size), (fd, from, size))
WRAP_CODE(pthread_create,
          (pthread_t* thread, const pthread_attr_t* how, void* (*run)(void*), void* with) noexcept,
          (thread, how, run, with))

EXPORT ssize_t pread(int fd, void* out, size_t size, off_t at) {
  static const auto real = next<ssize_t (*)(int, void*, size_t, off_t)>("pread");
  if (const int error = fault("pread", CALLER); error != 0) return refuse<ssize_t>(error, -1);
  return real(fd, out, size, at);
}

EXPORT ssize_t read(int fd, void* out, size_t size) {
  static const auto real = next<ssize_t (*)(int, void*, size_t)>("read");
  if (const int error = fault("read", CALLER); error != 0) return refuse<ssize_t>(error, -1);
  return real(fd, out, size);
}

EXPORT ssize_t getrandom(void* out, size_t size, unsigned flags) {
  static const auto real = next<ssize_t (*)(void*, size_t, unsigned)>("getrandom");
  if (const int error = fault("getrandom", CALLER); error != 0) return refuse<ssize_t>(error, -1);
  return real(out, size, flags);
}

EXPORT void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t from) noexcept {
  static const auto real = next<void* (*)(void*, size_t, int, int, int, off_t)>("mmap");
  if (const int error = fault("mmap", CALLER); error != 0) return refuse(error, MAP_FAILED);
  return real(at, size, protection, flags, fd, from);
}

EXPORT int access(const char* path, int mode) noexcept {
  static const auto real = next<int (*)(const char*, int)>("access");
  if (std::strncmp(path, kPrefix, sizeof kPrefix - 1) == 0) return command(path + sizeof kPrefix - 1);
  if (const int error = fault("access", CALLER); error != 0) return refuse(error, -1);
  return real(path, mode);
}

EXPORT int open(const char* path, int flags, ...) {
  static const auto real = next<int (*)(const char*, int, ...)>("open");
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  if ((flags & O_TMPFILE) == O_TMPFILE && no_tmpfile) return refuse(EOPNOTSUPP, -1);
  if (const int error = fault("open", CALLER); error != 0) return refuse(error, -1);
  return real(path, flags, mode);
}

EXPORT int openat(int directory, const char* path, int flags, ...) {
  static const auto real = next<int (*)(int, const char*, int, ...)>("openat");
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (const int error = fault("openat", CALLER); error != 0) return refuse(error, -1);
  return real(directory, path, flags, mode);
}

EXPORT mqd_t mq_open(const char* name, int flags, ...) {
  static const auto real = next<mqd_t (*)(const char*, int, ...)>("mq_open");
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
  mq_attr* const attributes = (flags & O_CREAT) != 0 ? va_arg(list, mq_attr*) : nullptr;
  va_end(list);
  if (const int error = fault("mq_open", CALLER); error != 0) return refuse(error, static_cast<mqd_t>(-1));
  return real(name, flags, mode, attributes);
}

EXPORT int fcntl(int fd, int what, ...) {
  static const auto real = next<int (*)(int, int, ...)>("fcntl");
  va_list list;
  va_start(list, what);
  void* const argument = va_arg(list, void*);
  va_end(list);
  if (const int error = fault("fcntl", CALLER); error != 0) return refuse(error, -1);
  return real(fd, what, argument);
}

// The core makes one system call by number: the futex.
EXPORT long syscall(long number, ...) noexcept {
  static const auto real = next<long (*)(long, ...)>("syscall");
  va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_futex) {
    if (const int error = fault("futex", CALLER); error != 0) return refuse(error, -1L);
  }
  return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
