// Writers and readers of one segment in processes of their own, SIGKILL and SIGSTOP at random moments, and everything
// that must hold whatever dies: no torn record, no lost level, no hang, no lost value.
#include <dirent.h>
#include <getopt.h>

#include <cinttypes>
#include <cstdlib>
#include <cstring>

#include "torture_audit.h"

using namespace esper;
using namespace esper::torture;

namespace {

constexpr const char* kUsage =
    "Usage: verify_torture [--kills N] [--seconds S] [--seed S] [--writers N] [--readers N] [--short]\n"
    "Kills writers of a shared segment until N are dead or the time is over (default: 10000 and 280 s; --short: 100\n"
    "and 20 s). Prints one line of JSON. Ends 0 when nothing was torn, lost or hung, 1 when something was.\n";

bool read_number(const char* text, double low, double high, double& out) {
  char* end = nullptr;
  out = std::strtod(text, &end);
  return end != text && *end == '\0' && out >= low && out <= high;
}

bool read_options(int count, char** arguments, Options& options) {
  static const option kLong[] = {{"kills", 1, nullptr, 'k'},   {"seconds", 1, nullptr, 's'}, {"seed", 1, nullptr, 'r'},
                                 {"writers", 1, nullptr, 'w'}, {"readers", 1, nullptr, 'd'}, {"short", 0, nullptr, 'q'},
                                 {"help", 0, nullptr, 'h'},    {nullptr, 0, nullptr, 0}};
  double value = 0;
  for (int letter; (letter = getopt_long(count, arguments, "", kLong, nullptr)) != -1;) {
    bool good = true;
    if (letter == 'k' && (good = read_number(optarg, 1, 1e9, value))) options.kills = static_cast<uint64_t>(value);
    if (letter == 's') good = read_number(optarg, 0.1, 1e6, options.seconds);
    if (letter == 'r' && (good = read_number(optarg, 0, 9e15, value))) options.seed = static_cast<uint64_t>(value);
    if (letter == 'w' && (good = read_number(optarg, 1, kMaxWriters, value))) {
      options.writers = static_cast<uint32_t>(value);
    }
    if (letter == 'd' && (good = read_number(optarg, 1, kMaxReaders, value))) {
      options.readers = static_cast<uint32_t>(value);
    }
    if (letter == 'q') {
      options.kills = 100;
      options.seconds = 20;
    }
    if (letter == 'h') {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (letter == '?' || !good) return false;
  }
  return optind == count;
}

// Segments of runs that were killed themselves.
void remove_leftovers() {
  const std::string prefix = "esper." + std::to_string(geteuid()) + ".torture-";
  DIR* directory = opendir("/dev/shm");
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    const std::string file = entry->d_name;
    if (file.compare(0, prefix.size(), prefix) != 0) continue;
    const auto pid = static_cast<pid_t>(std::atol(file.c_str() + prefix.size()));
    bool removed = false;
    if (pid > 0 && kill(pid, 0) != 0) Region::unlink(file.substr(prefix.find("torture-")), "/dev/shm", removed);
  }
  closedir(directory);
}

void print_tally(const Tally& t, uint64_t seed) {
  std::printf("{\"kills\":%" PRIu64 ",\"inside\":%" PRIu64 ",\"watcherKills\":%" PRIu64 ",\"stops\":%" PRIu64
              ",\"laps\":%" PRIu64 ",\"triggers\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"repairs\":%" PRIu64
              ",\"overruns\":%" PRIu64 ",\"holes\":%" PRIu64 ",\"values\":%" PRIu64 ",\"epochs\":%" PRIu64
              ",\"torn\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"wrong\":%" PRIu64 ",\"hangs\":%" PRIu64 ",\"seed\":%" PRIu64
              "}\n",
              t.kills, t.inside, t.watcher_kills, t.stops, t.laps, t.triggers, t.reads, t.repairs, t.overruns, t.holes,
              t.values, t.epochs, t.torn, t.lost, t.wrong, t.hangs, seed);
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  if (!read_options(count, arguments, options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  struct sigaction on_end {};
  on_end.sa_handler = [](int) { interrupted = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &on_end, nullptr);
  remove_leftovers();

  Tally tally;
  Random seeds{options.seed};
  const uint64_t until_ns = monotonic_ns() + static_cast<uint64_t>(options.seconds * 1e9);
  while (interrupted == 0 && tally.clean() && tally.kills < options.kills && monotonic_ns() < until_ns) {
    const std::string name = "torture-" + std::to_string(getpid()) + "-" + std::to_string(tally.epochs);
    Epoch epoch(options, name, seeds.next(), tally);
    if (!epoch.begin()) return 2;
    epoch.run(options.kills, until_ns);
    epoch.finish();
    if (tally.clean()) continue;
    std::fprintf(stderr, "torture: seed %" PRIu64 ", epoch %" PRIu64 ": %s\n", options.seed, tally.epochs - 1,
                 epoch.report());
    epoch.dump();
  }
  print_tally(tally, options.seed);
  return tally.clean() ? 0 : 1;
}
