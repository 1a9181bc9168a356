// One epoch of the torture: a fresh segment, its readers and writers, and the parent that kills, stops, replaces, and
// holds everybody's books against the segment at the end.
#pragma once

#include <sys/wait.h>

#include <string>

#include "torture_reader.h"

namespace esper::torture {

struct Options {
  uint64_t kills = 10000;
  double seconds = 280;
  uint64_t seed = 1;
  uint32_t writers = 4;
  uint32_t readers = 3;
};

struct Tally {
  uint64_t kills = 0, inside = 0, watcher_kills = 0, stops = 0, laps = 0, triggers = 0, reads = 0, repairs = 0,
           overruns = 0, holes = 0, values = 0, hangs = 0, torn = 0, lost = 0, wrong = 0, epochs = 0;
  [[nodiscard]] bool clean() const { return hangs + torn + lost + wrong == 0; }
};

inline constexpr uint64_t kHangNs = 30000000000;  // two busy processors are shared by all of them, and by strangers
inline constexpr uint32_t kKillsPerEpoch = 250;

inline volatile sig_atomic_t interrupted = 0;

struct Child {
  pid_t pid = 0;
  Style style = Style::kTight;
  uint64_t go_at_ns = 0;
  bool stopped = false;
  bool long_stop = false;
  uint64_t continue_ns = 0;
  uint64_t ticket_at_stop = 0;
  uint64_t progress = 0;
  uint64_t progress_ns = 0;
};

class Epoch {
 public:
  Epoch(const Options& options, const std::string& name, uint64_t seed, Tally& tally)
      : options_(options), name_(name), random_{seed}, tally_(tally), board_(map_board()),
        tight_(random_.below(2) == 0) {}

  ~Epoch() {
    for (Child& child : writers_) end(child);
    for (Child& child : readers_) end(child);
    segments_ = {};
    bool removed = false;
    Region::unlink(name_, "/dev/shm", removed);
    Region::unlink(name_ + "-h", "/dev/shm", removed);
    if (board_ != nullptr) munmap(board_, sizeof(Board));
  }
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;

  // False when it could not even begin.
  bool begin() {
    RegionOptions options;
    options.name = name_;
    Status status;
    segments_.flag = board_ != nullptr ? Region::open_shared(options, status) : nullptr;
    options.kind = SegmentKind::kHistogram;
    options.name = name_ + "-h";
    options.stripes = options_.writers;  // each must be taken over from the dead at once
    segments_.histogram = segments_.flag != nullptr ? Region::open_shared(options, status) : nullptr;
    if (segments_.histogram == nullptr) {
      std::fprintf(stderr, "torture: no segment: %s\n", status.message.c_str());
      return false;
    }
    for (uint32_t index = 0; index < options_.readers; index++) start_reader(index, true);
    for (uint32_t index = 0; index < options_.readers; index++) {
      while (board_->readers[index].rounds.load() == 0 && !hung(readers_[index], 0)) nap_us(100);
    }
    for (uint32_t place = 0; place < options_.writers; place++) start_writer(place);
    return true;
  }

  // Kills until `kills` of the whole run are reached, this epoch has had its share, or the time is over.
  void run(uint64_t kills, uint64_t until_ns) {
    const uint64_t last = std::min(kills, tally_.kills + kKillsPerEpoch);
    while (tally_.kills < last && interrupted == 0 && violations() == 0 && monotonic_ns() < until_ns) {
      continue_the_stopped();
      if (watchdog()) return;
      const uint32_t place = random_.below(options_.writers);
      const uint32_t what = random_.below(100);
      if (what < 8) stop(place);
      else if (what < 10 && options_.readers > 1) replace_reader(1 + random_.below(options_.readers - 1));
      else kill_writer(place);
      const ControlValue control = ControlValue::unpack(control_word());
      check_levels(*board_, options_.writers, [this] { return ControlValue::unpack(control_word()); });
      if (control.generation > begun()) {
        violation(*board_, board_->wrong, "generation %u after %llu operations", control.generation,
                  static_cast<unsigned long long>(begun()));
      }
    }
  }

  // Ends the writers, lets the readers drain, compares.
  void finish() {
    for (uint32_t place = 0; place < options_.writers; place++) end(writers_[place]);
    if (tally_.hangs == 0) drain();
    if (tally_.hangs == 0) audit();
    tally_.epochs++;
    collect();
  }

  [[nodiscard]] const char* report() const { return board_->report; }
  void dump() const;

 private:
  [[nodiscard]] uint64_t violations() const { return board_->torn + board_->lost + board_->wrong; }
  [[nodiscard]] uint64_t control_word() const {
    return reinterpret_cast<Control*>(segments_.flag->base() + kControlOffset)->word.load(std::memory_order_acquire);
  }
  [[nodiscard]] Counters& counters() const {
    return *reinterpret_cast<Counters*>(segments_.flag->base() + kCountersOffset);
  }
  [[nodiscard]] uint64_t sum_of(std::atomic<uint64_t> WriterBox::* member) const {
    uint64_t sum = 0;
    for (const WriterBox& box : board_->writers) sum += (box.*member).load();
    return sum;
  }
  [[nodiscard]] uint64_t begun() const { return sum_of(&WriterBox::begun); }

  void start_writer(uint32_t place) {
    WriterBox& box = board_->writers[place];
    Child& child = writers_[place];
    child = {};
    const uint32_t style = random_.below(8);
    child.style = style < 4 ? Style::kSingle : style < 6 || !tight_ ? Style::kPaced : Style::kTight;
    const WriterOrders orders{place, child.style, place == 0, random_.below(16) == 0, random_.next()};
    box.ready.store(0);
    box.resting.store(0);
    box.go.store(child.style == Style::kSingle ? 0 : 1);
    child.progress_ns = monotonic_ns();
    child.pid = fork();
    if (child.pid == 0) run_writer(*board_, segments_, orders);
  }

  void start_reader(uint32_t index, bool from_start) {
    Child& child = readers_[index];
    child = {};
    const ReaderOrders orders{index, options_.writers, index % 2 == 1, from_start, random_.next()};
    child.progress_ns = monotonic_ns();
    child.pid = fork();
    if (child.pid == 0) run_reader(*board_, segments_, orders);
  }

  // Its books begin anew: what the dead one was told is of no use to the next, which owes nothing.
  void replace_reader(uint32_t index) {
    if (index % 2 == 0) return;  // only those that sleep on a queue; the others owe every record
    end(readers_[index]);
    tally_.watcher_kills++;
    ReaderBox& box = board_->readers[index];
    tally_.reads += box.told.exchange(0);
    box.overruns.store(0);
    box.holes.store(0);
    for (uint64_t ticket = 0; ticket < std::min(counters().next_ticket.load(), kJournalTickets); ticket++) {
      board_->told[index][ticket].store(0, std::memory_order_relaxed);
    }
    start_reader(index, false);
  }

  static void end(Child& child) {
    if (child.pid <= 0) return;
    kill(child.pid, SIGKILL);
    waitpid(child.pid, nullptr, 0);
    child.pid = 0;
  }

  static void spin_ns(uint64_t ns) {
    const uint64_t until = monotonic_ns() + ns;
    while (monotonic_ns() < until) {
    }
  }

  // A writer that waits for "go" is killed within its first microseconds of work; any other at any moment.
  void kill_writer(uint32_t place) {
    Child& child = writers_[place];
    WriterBox& box = board_->writers[place];
    for (int i = 0; i < 200 && box.ready.load() == 0 && !child.stopped; i++) nap_us(20);
    if (child.style == Style::kSingle) {
      box.go.store(1, std::memory_order_release);
      spin_ns(random_.below(30000));
    } else if (random_.below(2) == 0) {
      nap_us(random_.below(300));
    } else {
      spin_ns(random_.below(50000));
    }
    const uint64_t inside = box.begun.load();
    end(child);
    tally_.kills++;
    if (inside != 0 && box.begun.load() != box.ended.load()) tally_.inside++;
    // What it began and did not end is settled: applied by now or never, see audit().
    box.ended.store(box.begun.load());
    start_writer(place);
  }

  void stop(uint32_t place) {
    Child& child = writers_[place];
    if (child.stopped) return;
    kill(child.pid, SIGSTOP);
    child.stopped = true;
    child.long_stop = random_.below(3) == 0;
    child.ticket_at_stop = counters().next_ticket.load();
    child.continue_ns = monotonic_ns() + (child.long_stop ? 200000000 : 100000 + random_.below(4000000));
    tally_.stops++;
  }

  // A long stop lasts until the others have gone round the ring, or 0.2 s.
  void continue_the_stopped() {
    for (uint32_t place = 0; place < options_.writers; place++) {
      Child& child = writers_[place];
      const bool lapped = counters().next_ticket.load() - child.ticket_at_stop > 2 * kRecordCount;
      if (!child.stopped || (monotonic_ns() < child.continue_ns && !(child.long_stop && lapped))) continue;
      if (lapped) tally_.laps++;
      kill(child.pid, SIGCONT);
      child.stopped = false;
      child.progress_ns = monotonic_ns();
    }
  }

  bool hung(Child& child, uint64_t progress) {
    const uint64_t now = monotonic_ns();
    if (progress != child.progress || child.progress_ns == 0) {
      child.progress = progress;
      child.progress_ns = now;
    }
    if (now - child.progress_ns < kHangNs) return false;
    if (tally_.hangs++ == 0) std::fprintf(stderr, "torture: process %d made no progress for 30 s\n", child.pid);
    return true;
  }

  bool watchdog() {
    for (uint32_t place = 0; place < options_.writers; place++) {
      const WriterBox& box = board_->writers[place];
      const bool works = box.go.load() != 0 && box.resting.load() == 0 && !writers_[place].stopped;
      if (!works) writers_[place].progress_ns = 0;
      if (works && hung(writers_[place], box.begun.load() + box.ended.load())) return true;
    }
    for (uint32_t index = 0; index < options_.readers; index++) {
      if (hung(readers_[index], board_->readers[index].rounds.load())) return true;
    }
    return false;
  }

  void drain() {
    board_->draining.store(1, std::memory_order_release);
    for (uint32_t index = 0; index < options_.readers; index++) {
      while (board_->readers[index].drained.load() == 0) {
        if (hung(readers_[index], board_->readers[index].rounds.load())) return;
        nap_us(200);
      }
      waitpid(readers_[index].pid, nullptr, 0);
      readers_[index].pid = 0;
    }
  }

  void audit();
  void audit_reader(uint32_t index);
  void audit_histogram();
  void collect();

  const Options& options_;
  std::string name_;
  Random random_;
  Tally& tally_;
  Board* board_;
  bool tight_;  // half of the epochs lap their readers, in the others the readers keep up and owe nearly everything
  Segments segments_;
  Child writers_[kMaxWriters];
  Child readers_[kMaxReaders];
};

}  // namespace esper::torture
