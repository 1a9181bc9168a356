// One execution: a small segment, threads that use it, and what must hold while they do and afterwards.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cursor.h"
#include "region.h"
#include "slots.h"
#include "weak_machine.h"

namespace esper::weak {

struct Returned {
  uint64_t ticket;
  uint32_t generation;
  uint32_t level;
};

class World {
 public:
  explicit World(uint64_t seed);

  // The first thing that was wrong, or empty.
  const std::string& run();

 private:
  void writer(uint32_t operations);
  void clearer();
  void observer();
  void lookup();
  void poller(uint32_t rounds);
  void sweeper();
  void participant();
  void slot_observer();

  void build_ring();
  void build_slots();
  void audit_ring();
  void audit_cursors(Ring& ring);
  void audit_sweepers(Ring& ring);
  void check_record(uint64_t ticket, ReadOutcome outcome, const RecordView& view);
  void take(const Batch& batch, uint32_t reader);
  void wrong(const std::string& what);
  [[nodiscard]] uint64_t tickets_now();

  Random random_;
  uint64_t seed_;
  std::vector<std::function<void()>> threads_;
  uint32_t kills_ = 0;
  std::vector<Returned> returned_;
  uint32_t record_less_ = 0;
  struct Consumer {
    std::unique_ptr<Cursor> cursor;
    uint32_t thread = 0;
    uint64_t first = 0;  // ticket from which on it owes everything
    std::set<uint64_t> told;
    uint64_t overruns = 0;
    uint64_t holes = 0;
  };
  std::vector<Consumer> consumers_;
  struct Sweeper {
    uint32_t thread = 0;
    uint64_t settled = 0;
  };
  std::vector<Sweeper> sweepers_;
  std::string wrong_;
};

}  // namespace esper::weak
