// One case through its life: stepped once with a check at every change, then killed at its changes.
#pragma once

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "crash_case.h"
#include "tracee.h"

namespace esper::verify {

inline constexpr uint64_t kMostSteps = 2000000;  // an operation that takes more does not end
inline constexpr int kMostPrinted = 20;
inline constexpr size_t kWidestStore = 64;

// Asked to end: everything then goes its usual way out, so that no file and no queue stays behind.
inline volatile sig_atomic_t interrupted = 0;

struct Change {
  uint64_t step;
  uint64_t address;
  uint32_t occurrence;
  size_t offset;
};

struct Totals {
  uint64_t steps = 0;
  uint64_t changes = 0;
  uint64_t copies = 0;
  uint64_t kills = 0;
  uint64_t missed = 0;  // kills that did not come where they were meant to
  uint64_t violations = 0;
};

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "crash_injector: %s\n", why.c_str());
  std::exit(2);
}

class Injector {
 public:
  Injector(const char* name, CrashCase& what, bool quiet) : name_(name), case_(what), quiet_(quiet) {}

  // Once through the whole operation; every state in between is checked on copies.
  void step_through() {
    auto child = start();
    auto watch = case_.watch();
    const uint32_t owner = owner_of(child->pid());
    std::unordered_map<uint64_t, uint32_t> met;
    size_t offset = 0;
    while (child->state() == Tracee::State::kStopped && totals_.steps < kMostSteps && interrupted == 0) {
      const uint64_t address = child->address();
      const bool syscall = child->at_syscall();
      const uint32_t occurrence = ++met[address];
      child->step();
      totals_.steps++;
      if (!watch->changed(child->pid(), syscall, offset)) continue;
      changes_.push_back({totals_.steps, address, occurrence, offset});
      check_copy(*watch, owner, changes_.size() - 1);
    }
    if (interrupted != 0) give_up("interrupted");
    if (child->state() == Tracee::State::kFailed) report("while stepping", {child->failure()});
    if (child->state() == Tracee::State::kStopped) report("while stepping", {"it does not end"});
    if (done_flag().load() != 1) report("while stepping", {"it did not return"});
    totals_.changes = changes_.size();
    child.reset();
    watch.reset();
    check_real("after it ended");
  }

  // Killed at every `stride`th change, at the first one whatever the time.
  void kill_at_changes(size_t stride, const std::function<bool()>& time_left) {
    for (size_t index = 0; index < changes_.size() && (index == 0 || time_left()) && interrupted == 0;
         index += stride) {
      bool killed = false;
      for (int attempt = 0; attempt < 3 && !killed; attempt++) killed = kill_at(index);
      totals_.kills += killed;
      totals_.missed += !killed;
    }
  }

  [[nodiscard]] const Totals& totals() const { return totals_; }

 private:
  std::unique_ptr<Tracee> start() {
    case_.reset();
    done_flag().store(0);
    auto child = std::make_unique<Tracee>([this] { case_.prepare(); },
                                          [this] {
                                            case_.operate();
                                            done_flag().store(1);
                                          });
    if (child->state() != Tracee::State::kStopped) give_up(std::string(name_) + ": " + child->failure());
    return child;
  }
  static uint32_t owner_of(pid_t pid) {
    unsigned long long start = 0;
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    std::FILE* file = std::fopen(path, "r");
    const bool read = file != nullptr && std::fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                                                           "%*u %*u %*d %*d %*d %*d %*d %*d %llu", &start) == 1;
    if (file != nullptr) std::fclose(file);
    if (!read) give_up("the child's start time cannot be read");
    return owner_id(static_cast<uint32_t>(pid), start);
  }

  bool kill_at(size_t index) {
    const Change& change = changes_[index];
    auto child = start();
    auto watch = case_.watch();
    size_t offset = 0;
    if (child->run_to(change.address, change.occurrence) != Tracee::State::kStopped) return false;
    watch->changed(child->pid(), true, offset);
    child->step();
    const bool changed = watch->changed(child->pid(), true, offset);
    // Times and random bytes are others in each run, so that the first of a store's bytes may happen to stay.
    const bool there = changed && offset < change.offset + kWidestStore && change.offset < offset + kWidestStore;
    const bool alive = child->state() == Tracee::State::kStopped;
    child->kill();
    watch.reset();
    if (!there || !alive) return false;
    check_real("change " + std::to_string(index) + ", step " + std::to_string(change.step) + ", byte " +
               std::to_string(change.offset) + ", killed");
    return true;
  }

  void check_copy(const WatchedBytes& watch, uint32_t owner, size_t index) {
    Findings findings;
    case_.check_copy(watch, owner, done_flag().load() == 1, findings);
    totals_.copies++;
    const Change& change = changes_[index];
    report("change " + std::to_string(index) + ", step " + std::to_string(change.step) + ", byte " +
               std::to_string(change.offset) + ", copy",
           findings.texts());
  }
  void check_real(const std::string& where) {
    Findings findings;
    case_.check_real(done_flag().load() == 1, findings);
    report(where, findings.texts());
  }
  void report(const std::string& where, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      if (!quiet_ && totals_.violations < kMostPrinted) {
        std::fprintf(stderr, "%s: %s: %s\n", name_, where.c_str(), text.c_str());
      }
      totals_.violations++;
    }
  }

  const char* name_;
  CrashCase& case_;
  bool quiet_;
  Totals totals_;
  std::vector<Change> changes_;
};

}  // namespace esper::verify
