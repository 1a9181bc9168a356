// Lowers the glibc that a prebuilt addon needs to 2.28, the one that Node's own binaries need. Linked into prebuilt
// addons only (`npm run prebuilds`); an addon built on the host where it runs has no use for it.
//
// The linker takes the newest version of each symbol that the building host has. glibc 2.32 to 2.34 gave new versions
// to functions that had moved or were macros before, and an older glibc refuses the whole addon for one of them. Each
// such function is defined here, hidden, so that the addon's calls end in it, by what every glibc since 2.28 has:
//
//   pthread_*                          the version of before, by name
//   pthread_sigmask                    sigprocmask, the same function of the calling thread on Linux (not the bare
//                                      system call, which would block the two signals that glibc needs itself)
//   stat, fstat, lstat                 macros before 2.33: the system calls, whose struct is glibc's on x86-64
//   mq_*                               in librt before 2.34, which Node does not load: the system calls
//   __libc_single_threaded             libstdc++ reads it to spare atomics while there is one thread: always "no"
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(__x86_64__) || !defined(__GLIBC__)
#error "for x86-64 and glibc only: the versions and structures below are theirs"
#endif

#define HIDDEN __attribute__((visibility("hidden")))

extern "C" {

int old_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
int old_pthread_join(pthread_t, void**);
int old_pthread_setname_np(pthread_t, const char*);
__asm__(".symver old_pthread_create, pthread_create@GLIBC_2.2.5");
__asm__(".symver old_pthread_join, pthread_join@GLIBC_2.2.5");
__asm__(".symver old_pthread_setname_np, pthread_setname_np@GLIBC_2.12");

HIDDEN char __libc_single_threaded = 0;

HIDDEN int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                          void* data) noexcept {
  return old_pthread_create(thread, attributes, run, data);
}

HIDDEN int pthread_join(pthread_t thread, void** result) { return old_pthread_join(thread, result); }

HIDDEN int pthread_setname_np(pthread_t thread, const char* name) noexcept {
  return old_pthread_setname_np(thread, name);
}

HIDDEN int pthread_sigmask(int how, const sigset_t* set, sigset_t* before) noexcept {
  return sigprocmask(how, set, before) == 0 ? 0 : errno;
}

HIDDEN int stat(const char* path, struct stat* out) noexcept { return static_cast<int>(syscall(SYS_stat, path, out)); }
HIDDEN int fstat(int fd, struct stat* out) noexcept { return static_cast<int>(syscall(SYS_fstat, fd, out)); }
HIDDEN int lstat(const char* path, struct stat* out) noexcept {
  return static_cast<int>(syscall(SYS_lstat, path, out));
}

// The kernel takes names without the slash that POSIX asks for.
HIDDEN mqd_t mq_open(const char* name, int flags, ...) noexcept {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  mq_attr* attributes = (flags & O_CREAT) != 0 ? va_arg(rest, mq_attr*) : nullptr;
  va_end(rest);
  return static_cast<mqd_t>(syscall(SYS_mq_open, name + 1, flags, mode, attributes));
}

HIDDEN int mq_unlink(const char* name) noexcept { return static_cast<int>(syscall(SYS_mq_unlink, name + 1)); }

HIDDEN int mq_send(mqd_t queue, const char* message, size_t size, unsigned priority) {
  return static_cast<int>(syscall(SYS_mq_timedsend, queue, message, size, priority, nullptr));
}

HIDDEN ssize_t mq_receive(mqd_t queue, char* message, size_t size, unsigned* priority) {
  return syscall(SYS_mq_timedreceive, queue, message, size, priority, nullptr);
}

}  // extern "C"
