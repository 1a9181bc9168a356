#include "cursor.h"

namespace esper {

Cursor::Cursor(Ring& ring, From from) {
  const uint64_t next = ring.next_ticket();
  base_ = next > kRecordCount ? next - kRecordCount : 0;
  if (from == From::kOldest) return;
  // A record that is in the making now is applied after this cursor was opened, so it belongs to "what comes after".
  RecordView view;
  for (uint64_t ticket = base_; ticket < next; ticket++) {
    const ReadOutcome outcome = ring.read(ticket, view);
    const bool in_the_making =
        outcome == ReadOutcome::kPending || (outcome == ReadOutcome::kRecord && view.generation == 0);
    if (!in_the_making) settle(ticket);
  }
  advance();
}

bool Cursor::ready(const Ring& ring) const {
  const uint64_t next = ring.next_ticket();
  if (next - base_ > kRecordCount) return true;
  for (uint64_t ticket = base_; ticket < next; ticket++) {
    if (!done_.test(static_cast<size_t>(ticket - base_)) && ring.settled(ticket)) return true;
  }
  return false;
}

Batch Cursor::poll(Ring& ring, size_t max) {
  Batch batch;
  const uint64_t next = ring.next_ticket();
  skip_overwritten(next, batch);
  for (uint64_t ticket = base_; ticket < next && batch.records.size() < max; ticket++) {
    if (done_.test(static_cast<size_t>(ticket - base_))) continue;
    RecordView view;
    ReadOutcome outcome = ring.read(ticket, view);
    if (outcome == ReadOutcome::kRecord && view.generation == 0) {
      ring.repair(ticket);
      outcome = ring.read(ticket, view);
    }
    switch (outcome) {
      case ReadOutcome::kPending: continue;
      case ReadOutcome::kRecord: batch.records.push_back(view); break;
      case ReadOutcome::kOverwritten: batch.overruns++; break;
      case ReadOutcome::kHole:
      case ReadOutcome::kCorrupt: batch.holes++; break;
      case ReadOutcome::kVoid: break;
    }
    settle(ticket);
  }
  advance();
  return batch;
}

void Cursor::skip_overwritten(uint64_t next, Batch& batch) {
  if (next - base_ <= kRecordCount) return;
  const uint64_t oldest = next - kRecordCount;
  const uint64_t jump = oldest - base_;
  if (jump >= kRecordCount) {
    batch.overruns += jump - done_.count();
    done_.reset();
  } else {
    for (uint64_t i = 0; i < jump; i++) batch.overruns += done_.test(static_cast<size_t>(i)) ? 0 : 1;
    done_ >>= static_cast<size_t>(jump);
  }
  base_ = oldest;
}

void Cursor::advance() {
  size_t settled = 0;
  while (settled < kRecordCount && done_.test(settled)) settled++;
  done_ >>= settled;
  base_ += settled;
}

}  // namespace esper
