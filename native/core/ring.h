// The record ring and the control word: what a flag is, apart from who watches it.
//
// Purpose        a level that every process of the host sees at once, and the record of who raised it and why
// Who may call   any thread of any process that maps the segment; all operations are lock-free and bounded
//
// Protocol of trigger (numbered writes)
//   1  ticket    = next_ticket.fetch_add(1)
//   2  claim     record[ticket % N].state: CAS (older) -> claimed(ticket, owner); owner and claim are one word
//   3  fill      published mark, payload words
//   4  complete  state: CAS claimed -> complete(ticket)
//   5  apply     control: CAS w -> (generation + 1, max(level, mine), ticket)
//   6  mark      state: CAS complete -> applied(ticket, generation)
//   7  wake      (wake.h)
// Before 5 replaces control, the record that control names is marked (its step 6 done for it). Hence: a record is
// applied exactly if it is marked or control names it, whoever died in between, and none is applied twice.
// A clear takes the same steps with another step 5: control must still be (generation, level) as the caller saw, and
// becomes level 0; when it is not, the record becomes void. A trigger that races a clear wins.
//
// Memory orders: payload words are stored release and loaded acquire, so no fence is needed and ThreadSanitizer sees
// everything. A reader that loads a word of a later claim then sees that claim in `state` and drops the copy.
//
// Crash table: what a death right after a step leaves, and who mends it
//   1  a ticket nobody claims: cursors hand out later records and pass this one when its slot is reused
//   2, 3  claimed, owner dead: a hole; cursors pass it, the next lap takes the slot over. The trigger never returned.
//         A hole only if the claim still stands after its owner was found dead: it may have completed it in between.
//   4  complete, not applied: any sweep (reader, watcher's re-check, later trigger, attach) applies it: never lost,
//      also when the next lap's ticket for its slot was taken by somebody who died before the claim
//   5  applied, not marked: control names it; whoever replaces control marks it first
//   6  not woken: the watchers' bounded re-check finds the new generation
// Owner ids are judged only from the pid namespace they belong to; from another one every owner counts as alive.
// A writer that is stopped mid-fill keeps its slot: others skip to the next ticket rather than write over it. One
// that is stopped before its claim for a whole lap fails the claim and starts again with a new ticket.
//
// Bounds: trigger tries at most N tickets. If every slot of the ring is held by a stopped writer, the level is raised
// without a record (RecordLess in the result): a HALT is never held back by the bookkeeping.
#pragma once

#include <cstdint>
#include <optional>

#include "control_word.h"
#include "identity.h"
#include "payload.h"
#include "shm_layout.h"

namespace esper {

enum class ReadOutcome {
  kRecord,       // `out` holds a whole record
  kPending,      // not written yet, or its living writer is inside it
  kOverwritten,  // a later ticket has the slot
  kHole,         // its writer died inside it
  kVoid,         // a clear that lost its race
  kCorrupt,      // checksum wrong
};

struct Raised {
  uint64_t ticket = 0;
  uint32_t generation = 0;
  bool record_less = false;
  bool woke = false;  // a watcher other than the caller's own was sent a hint (Flag sets it)
  uint64_t monotonic_ns = 0;
  uint64_t wall_ns = 0;
  char signal_id[kSignalIdBytes] = {};
  uint8_t signal_id_size = 0;
};

enum class ApplyOutcome { kAppliedHere, kAppliedAlready, kVoid, kGone };

class Ring {
 public:
  explicit Ring(uint8_t* base);

  [[nodiscard]] ControlValue control() const;
  [[nodiscard]] const std::atomic<uint32_t>* generation_word() const;
  [[nodiscard]] uint64_t next_ticket() const;
  [[nodiscard]] Counters& counters() const { return *counters_; }

  // Steps 1-6. The caller wakes.
  Raised raise(const Request& request);
  // The same for a clear; `outcome` tells whether it lowered the level.
  Raised clear(const Request& request, ApplyOutcome& outcome);

  ReadOutcome read(uint64_t ticket, RecordView& out) const;
  // True when read() has an answer that a consumer is told: a record, a hole, or that it was overwritten.
  [[nodiscard]] bool settled(uint64_t ticket) const;
  // Applies a complete record. True when this call changed control.
  bool repair(uint64_t ticket);
  // Repairs every complete record not applied yet; true when control changed.
  bool sweep(uint64_t& settled);
  // True when this call marked it; false when it is marked or overwritten.
  bool mark_published(uint64_t ticket);

 private:
  std::optional<uint64_t> claim();
  bool try_claim(uint64_t ticket);
  void fill(uint64_t ticket, const Payload& payload, bool published);
  ApplyOutcome apply(uint64_t ticket, uint32_t& generation);
  void mark(ControlValue named);
  [[nodiscard]] StateValue look(uint64_t ticket, bool& dead) const;
  Raised write(const Request& request, ApplyOutcome& outcome);
  [[nodiscard]] Record& slot(uint64_t ticket) const { return records_[ticket % kRecordCount]; }

  Header* header_;
  Control* control_;
  Counters* counters_;
  Record* records_;
  Liveness liveness_;
  uint32_t self_owner_;
};

}  // namespace esper
