// Crash at every instruction. A child does one operation on a segment and is stepped through it; after every
// instruction that changed the segment a fresh reader checks a copy of it, and in another run the child is killed
// exactly there and the real segment is checked.
#include <cstdio>

#if defined(__x86_64__) && defined(__linux__)

#include <getopt.h>

#include <cinttypes>
#include <filesystem>

#include "crash_operations.h"
#include "injector.h"

using namespace esper;
using namespace esper::verify;

namespace {

struct Options {
  std::string operation;
  double seconds = 0;  // 0: as long as it takes
  bool brief = false;
  bool self_test = false;
};

// A private directory on shared memory, gone at the end.
class Directory {
 public:
  Directory() {
    char path[] = "/dev/shm/esper-crash-XXXXXX";
    if (mkdtemp(path) != nullptr) path_ = path;
  }
  ~Directory() {
    if (!path_.empty() && getpid() == owner_) std::filesystem::remove_all(path_);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  pid_t owner_ = getpid();
  std::string path_;
};

// Destroyed by exit() too, the case before its directory.
const std::string& directory() {
  static const Directory made;
  if (made.path().empty()) {
    std::fputs("crash_injector: no directory can be made in /dev/shm\n", stderr);
    std::_Exit(2);
  }
  return made.path();
}
std::unique_ptr<CrashCase>& present_case() {
  static std::unique_ptr<CrashCase> present;
  return present;
}

CrashCase& begin(const Entry& entry) {
  present_case().reset();  // its name is the next one's
  present_case() = entry.make(directory());
  return *present_case();
}

int run_operations(const Options& options) {
  const double until = static_cast<double>(monotonic_ns()) / 1e9 + options.seconds;
  const auto time_left = [&] { return options.seconds <= 0 || static_cast<double>(monotonic_ns()) / 1e9 < until; };
  bool found = false;
  uint64_t violations = 0;
  std::string json;
  for (const Entry& entry : operations()) {
    if (!options.operation.empty() && options.operation != entry.name) continue;
    found = true;
    Injector injector(entry.name, begin(entry), false);
    injector.step_through();
    injector.kill_at_changes(options.brief ? 8 : 1, time_left);
    const Totals& totals = injector.totals();
    char text[320];
    std::snprintf(text, sizeof text,
                  "%s{\"name\":\"%s\",\"steps\":%" PRIu64 ",\"changes\":%" PRIu64 ",\"copies\":%" PRIu64
                  ",\"kills\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"violations\":%" PRIu64 "}",
                  json.empty() ? "" : ",", entry.name, totals.steps, totals.changes, totals.copies, totals.kills,
                  totals.missed, totals.violations);
    json += text;
    violations += totals.violations;
  }
  if (!found) give_up("there is no operation " + options.operation);
  std::printf("{\"operations\":[%s],\"stopped_early\":%s}\n", json.c_str(), time_left() ? "false" : "true");
  return violations == 0 ? 0 : 1;
}

// Every planted mistake must be found.
int run_self_test() {
  int planted = 0;
  int found = 0;
  std::string missed;
  for (const Entry& entry : planted_mistakes()) {
    Injector injector(entry.name, begin(entry), true);
    injector.step_through();
    planted++;
    if (injector.totals().violations > 0) {
      found++;
    } else {
      missed += std::string(missed.empty() ? "\"" : ",\"") + entry.name + "\"";
    }
  }
  std::printf("{\"self_test\":{\"planted\":%d,\"found\":%d,\"missed\":[%s]}}\n", planted, found, missed.c_str());
  return found == planted ? 0 : 1;
}

const char kUsage[] =
    "Usage: verify_crash_injector [options]\n"
    "\n"
    "Steps a child through operations on a segment, and checks and kills at every instruction that changes it.\n"
    "\n"
    "  --operation NAME  that one: trigger, trigger-over, trigger-after, create, replace, acknowledge, clear,\n"
    "                    late-clear, record, claim, join, leave, phase, publish, repair\n"
    "  --seconds N       no real kills beyond that time; the result says so\n"
    "  --short           real kills at every 8th change only\n"
    "  --self-test       operations with planted mistakes, each of which must be found\n"
    "  --help            this text\n"
    "\n"
    "Ends 0 when all is well, 1 when something did not hold, 2 when it could not be tried.\n";

Options parse(int argc, char** argv) {
  static const option known[] = {{"operation", required_argument, nullptr, 'o'},
                                 {"seconds", required_argument, nullptr, 's'},
                                 {"short", no_argument, nullptr, 'b'},
                                 {"self-test", no_argument, nullptr, 't'},
                                 {"help", no_argument, nullptr, 'h'},
                                 {nullptr, 0, nullptr, 0}};
  Options out;
  for (int c; (c = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    if (c == 'o') out.operation = optarg;
    if (c == 's') out.seconds = std::atof(optarg);
    if (c == 'b') out.brief = true;
    if (c == 't') out.self_test = true;
    if (c == 's' && out.seconds <= 0) give_up("--seconds takes a number above 0");
    if (c == 'h') {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (c == '?') std::exit(2);
  }
  if (optind < argc) give_up(std::string("what is ") + argv[optind] + "?");
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    std::signal(number, [](int) { interrupted = 1; });
  }
  gone_owner();
  directory();
  present_case();
  const int result = options.self_test ? run_self_test() : run_operations(options);
  if (interrupted != 0) give_up("interrupted");
  return result;
}

#else

int main() {
  std::fputs("crash_injector: it steps x86-64 instructions on Linux, and this is something else\n", stderr);
  return 2;
}

#endif
