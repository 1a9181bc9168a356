// A child that is run one instruction at a time, or up to one instruction and then killed. x86-64 Linux.
//
// The child is forked, not executed: its code is where the parent's is, so an address that was noted in one run is
// the same instruction in the next.
#pragma once

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

namespace esper::verify {

inline constexpr int kPtraceRefused = 77;

class Tracee {
 public:
  enum class State { kStopped, kExited, kFailed };

  // `prepare` runs freely, `operate` is what is stepped; the child ends after it.
  Tracee(const std::function<void()>& prepare, const std::function<void()>& operate) {
    pid_ = fork();
    if (pid_ == 0) {
      if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(kPtraceRefused);
      prepare();
      raise(SIGSTOP);
      operate();
      _exit(0);
    }
    if (pid_ < 0) {
      fail(std::string("fork: ") + std::strerror(errno));
      return;
    }
    await();
    if (state_ != State::kStopped || signal_ != SIGSTOP) {
      if (refused_) failure_ = "ptrace is not permitted here";
      if (state_ != State::kFailed) fail("the child ended while preparing");
      return;
    }
    // Whoever interrupts this program must not leave a stopped child behind.
    if (ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL) != 0) fail(std::strerror(errno));
  }
  ~Tracee() { kill(); }
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

  // Of the instruction that comes next.
  [[nodiscard]] uint64_t address() const {
    errno = 0;
    return static_cast<uint64_t>(ptrace(PTRACE_PEEKUSER, pid_, offsetof(user, regs.rip), nullptr));
  }
  [[nodiscard]] bool at_syscall() const { return (peek(address()) & 0xffff) == 0x050f; }

  State step() {
    if (state_ != State::kStopped) return state_;
    if (ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0) return fail(std::strerror(errno));
    return await_trap();
  }

  // Runs until the instruction at `target` is about to be executed for the `occurrence`th time. Each round of a
  // repeated string instruction counts as one, as it does when stepping.
  State run_to(uint64_t target, uint32_t occurrence) {
    uint32_t met = 0;
    while (state_ == State::kStopped) {
      const uint64_t original = peek(target);
      poke(target, (original & ~uint64_t{0xff}) | 0xcc);
      if (ptrace(PTRACE_CONT, pid_, nullptr, nullptr) != 0) return fail(std::strerror(errno));
      if (await_trap() != State::kStopped) return state_;
      poke(target, original);
      if (ptrace(PTRACE_POKEUSER, pid_, offsetof(user, regs.rip), target) != 0) return fail(std::strerror(errno));
      do {
        if (++met == occurrence) return state_;
        step();
      } while (state_ == State::kStopped && address() == target);
    }
    return state_;
  }

  // Really dead afterwards, and reaped: its pid names nobody.
  void kill() {
    if (pid_ <= 0 || reaped_) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, __WALL) == pid_ && !WIFEXITED(status) && !WIFSIGNALED(status)) {
    }
    reaped_ = true;
    state_ = State::kExited;
  }

 private:
  State fail(const std::string& why) {
    failure_ = why;
    return state_ = State::kFailed;
  }
  [[nodiscard]] uint64_t peek(uint64_t at) const {
    return static_cast<uint64_t>(ptrace(PTRACE_PEEKTEXT, pid_, at, nullptr));
  }
  void poke(uint64_t at, uint64_t word) const { ptrace(PTRACE_POKETEXT, pid_, at, word); }

  State await() {
    int status = 0;
    while (waitpid(pid_, &status, __WALL) < 0) {
      if (errno != EINTR) return fail(std::string("waitpid: ") + std::strerror(errno));
    }
    if (WIFSTOPPED(status)) {
      signal_ = WSTOPSIG(status);
      return state_ = State::kStopped;
    }
    reaped_ = true;
    refused_ = WIFEXITED(status) && WEXITSTATUS(status) == kPtraceRefused;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return state_ = State::kExited;
    const int number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    return fail((WIFEXITED(status) ? "the child ended with " : "the child died of signal ") + std::to_string(number));
  }
  State await_trap() {
    if (await() != State::kStopped || signal_ == SIGTRAP) return state_;
    return fail("the child met signal " + std::to_string(signal_));
  }

  pid_t pid_ = -1;
  State state_ = State::kFailed;
  int signal_ = 0;
  bool reaped_ = false;
  bool refused_ = false;
  std::string failure_;
};

}  // namespace esper::verify
