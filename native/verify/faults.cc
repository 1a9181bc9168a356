// Makes every system call of the core fail in turn, once and for good, with every error that matters, while a segment
// is created, attached, triggered, watched, armed, recorded into and removed. Needs the fault shim preloaded.
//
// Usage: verify_faults SECONDS          all of it; stops early, and says so, when the time is up
//        verify_faults short            each call site once, and all from the first on, with one error
//        verify_faults one OPERATION FUNCTION NTH ERRNO once|on      one case, to repeat it
// Prints one line of JSON; ends 1 when something that must not be was found.
#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "fault_operations.h"

using namespace esper;
using namespace esper::verify;

namespace {

constexpr const char* kFunctions[] = {
    "open",     "openat", "read",    "pread", "ftruncate", "fchmod",          "posix_fallocate", "fstat",
    "stat",     "lstat",  "mmap",    "link",  "linkat",    "unlink",          "flock",           "access",
    "fcntl",    "mq_open", "mq_send", "mq_unlink", "futex", "pthread_create", "eventfd", "getrandom"};
constexpr int kErrors[] = {ENOSYS, ENOSPC, EMFILE, EINTR, EACCES, ENOMEM, EAGAIN, EIO};
constexpr int kMaxSites = 64;         // a watcher's thread calls its futex for as long as it lives
constexpr unsigned kHangSeconds = 20;  // an operation that takes this long hangs

enum Ending { kHeld = 0, kRefused = 1, kNotReached = 2, kBroken = 3 };

struct Case {
  const Operation* operation;
  const char* function;
  int nth;
  int error;
  bool on;
};

std::string folder;

bool tell_shim(const std::string& what) { return access(("/esper-fault/" + what).c_str(), F_OK) == 0; }

int count_entries(const char* path) {
  DIR* directory = opendir(path);
  if (directory == nullptr) return -1;
  int count = 0;
  while (readdir(directory) != nullptr) count++;
  closedir(directory);
  return count;
}

// Whatever the failure left, the next process gets a segment that works: attaches to it, or makes it.
void next_process_works(Bench& bench) {
  Status status;
  auto region = Region::open_shared(bench.options, status);
  if (region == nullptr) return bench.fail("left behind what nobody can attach to: " + status.message);
  if (bench.options.kind == SegmentKind::kHistogram) return;
  Flag flag(region);
  flag.trigger(halt());
  if (flag.control().level != 4 || flag.history().empty()) bench.fail("left behind a segment that does not work");
}

void empty_folder() {
  if (DIR* directory = opendir(folder.c_str()); directory != nullptr) {
    while (const dirent* entry = readdir(directory)) ::unlink((folder + "/" + entry->d_name).c_str());
    closedir(directory);
  }
}

// In a process of its own: a crash, a hang and a leaked descriptor are its own too.
[[noreturn]] void run_here(const Case& it) {
  alarm(kHangSeconds);
  Bench bench;
  bench.options.directory = folder;
  bench.options.name = "case";
  bench.options.attach_timeout_ms = 3;
  bench.passing_error = it.error == EINTR || it.error == EAGAIN;
  const int descriptors = count_entries("/proc/self/fd");
  it.operation->before(bench);
  if (it.operation->no_tmpfile) tell_shim("no-tmpfile");
  char plan[128];
  std::snprintf(plan, sizeof plan, "arm/%s/%d/%d/%s", it.function, it.nth, it.error, it.on ? "on" : "once");
  bool held = false;
  // A thread of its own: each thread reads who it is once, and that reading must fail here too.
  std::thread([&] {
    if (!tell_shim(plan)) bench.fail("the fault shim is not loaded");
    held = it.operation->during(bench);
  }).join();
  const bool reached = tell_shim("fired");
  if (!held && reached && (bench.status.ok() || bench.status.message.empty())) bench.fail("refused without a reason");
  // Only what it says itself may keep it from working, so the handles go while the failure lasts.
  bench.release();
  tell_shim("off");
  if (it.operation->during == attach_to_half_built) {
    ::unlink((folder + "/esper." + std::to_string(geteuid()) + ".case").c_str());
  }
  next_process_works(bench);
  if (count_entries("/proc/self/fd") != descriptors) bench.fail("a file descriptor is left open");
  bool removed = false;
  Region::unlink(bench.options.name, folder, removed);
  // A name that the system refuses to take back stays: nobody can help that.
  const bool may_stay = it.operation->no_tmpfile && std::strcmp(it.function, "unlink") == 0;
  if (count_entries(folder.c_str()) != 2 && !may_stay) bench.fail("a file is left behind");
  if (may_stay) empty_folder();
  if (!bench.wrong.empty()) {
    std::fprintf(stderr, "%s\n", bench.wrong.c_str());
    _exit(kBroken);
  }
  _exit(!reached ? kNotReached : held ? kHeld : kRefused);
}

Ending run_case(const Case& it) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) run_here(it);
  int result = 0;
  while (waitpid(child, &result, 0) != child) {
  }
  if (WIFEXITED(result) && WEXITSTATUS(result) < kBroken) return static_cast<Ending>(WEXITSTATUS(result));
  std::fprintf(stderr, "violation: %s; repeat: verify_faults one '%s' %s %d %d %s\n",
               !WIFSIGNALED(result)             ? "see above"
               : WTERMSIG(result) == SIGALRM ? "it hangs"
                                             : strsignal(WTERMSIG(result)),
               it.operation->name, it.function, it.nth, it.error, it.on ? "on" : "once");
  empty_folder();
  return kBroken;
}

struct Count {
  const char* operation;
  long injected = 0;
  long held = 0;
  long refused = 0;
  long broken = 0;
};

// Failures injected by function: one that the shim does not reach any more must not go unnoticed.
long injected_into[std::size(kFunctions)] = {};

// Every call of one function by one operation, with one error. False when the first is not reached.
bool every_site(Case it, uint64_t until_ns, Count& count, int sites = kMaxSites) {
  for (it.nth = 1; it.nth <= sites && monotonic_ns() < until_ns; it.nth++) {
    const Ending ending = run_case(it);
    if (ending == kNotReached) return it.nth > 1;
    count.injected++;
    count.held += ending == kHeld ? 1 : 0;
    count.refused += ending == kRefused ? 1 : 0;
    count.broken += ending == kBroken ? 1 : 0;
  }
  return true;
}

bool all(uint64_t until_ns, bool brief, std::vector<Count>& counts) {
  for (const Operation& operation : kOperations) {
    Count& count = counts.emplace_back(Count{operation.name});
    for (size_t at = 0; at < std::size(kFunctions); at++) {
      const char* function = kFunctions[at];
      const long before = count.injected;
      bool called = true;
      for (size_t e = 0; e < (brief ? 1 : std::size(kErrors)) && called; e++) {
        called = every_site({&operation, function, 1, kErrors[e], false}, until_ns, count);
        // In brief, from the first call on is enough: a thread that spins where its futex is refused for good.
        if (called) every_site({&operation, function, 1, kErrors[e], true}, until_ns, count, brief ? 1 : kMaxSites);
      }
      injected_into[at] += count.injected - before;
    }
  }
  return monotonic_ns() < until_ns;
}

int repeat_one(char** arguments) {
  const auto operation = std::find_if(std::begin(kOperations), std::end(kOperations),
                                      [&](const Operation& it) { return std::strcmp(it.name, arguments[0]) == 0; });
  if (operation == std::end(kOperations)) return 2;
  static constexpr const char* kEndings[] = {"it held", "it was refused by name", "never reached", "violation"};
  const Ending ending = run_case({operation, arguments[1], std::atoi(arguments[2]), std::atoi(arguments[3]),
                                  std::strcmp(arguments[4], "on") == 0});
  std::printf("%s\n", kEndings[ending]);
  return ending == kBroken ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  folder = "/dev/shm/esper-faults-" + std::to_string(getpid());
  const bool one = argc == 7 && std::strcmp(argv[1], "one") == 0;
  const bool brief = argc == 2 && std::strcmp(argv[1], "short") == 0;
  const double seconds = brief ? 60 : argc == 2 ? std::atof(argv[1]) : 0;
  if ((!one && seconds <= 0) || mkdir(folder.c_str(), 0700) != 0) {
    std::fprintf(stderr, "usage: verify_faults SECONDS | short | one OPERATION FUNCTION NTH ERRNO once|on\n");
    return 2;
  }
  int result = 0;
  if (one) {
    result = repeat_one(argv + 2);
  } else {
    std::vector<Count> counts;
    const bool finished = all(monotonic_ns() + static_cast<uint64_t>(seconds * 1e9), brief, counts);
    std::printf("{\"finished\": %s, \"operations\": [", finished ? "true" : "false");
    for (const Count& count : counts) {
      std::printf("%s{\"name\": \"%s\", \"injected\": %ld, \"held\": %ld, \"refused\": %ld, \"broken\": %ld}",
                  &count == counts.data() ? "" : ", ", count.operation, count.injected, count.held, count.refused,
                  count.broken);
      if (count.broken > 0) result = 1;
    }
    std::printf("], \"functions\": {");
    for (size_t at = 0; at < std::size(kFunctions); at++) {
      std::printf("%s\"%s\": %ld", at == 0 ? "" : ", ", kFunctions[at], injected_into[at]);
    }
    std::printf("}}\n");
  }
  empty_folder();
  rmdir(folder.c_str());
  return result;
}
