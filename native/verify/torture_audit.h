// The end of an epoch: everybody is gone or drained, and the books must agree.
#pragma once

#include "torture_stage.h"

namespace esper::torture {

inline void Epoch::audit() {
  Flag flag(segments_.flag);
  const ControlValue control = flag.control();
  check_levels(*board_, options_.writers, [&] { return flag.control(); });
  check_generations(*board_, flag.history(), control);
  // Everything that ended well raised the generation once; what was killed inside did so once or not at all.
  const uint64_t applied = sum_of(&WriterBox::applied);
  if (control.generation < applied || control.generation > begun()) {
    violation(*board_, board_->lost, "generation %u, but %llu operations ended and %llu began", control.generation,
              static_cast<unsigned long long>(applied), static_cast<unsigned long long>(begun()));
  }
  for (uint32_t index = 0; index < options_.readers; index++) {
    const uint64_t seen = board_->readers[index].final_control.load();
    if (seen != control.pack()) {
      violation(*board_, board_->lost, "reader %u ended with control %016llx, it is %016llx", index,
                static_cast<unsigned long long>(seen), static_cast<unsigned long long>(control.pack()));
    }
    audit_reader(index);
  }
  audit_histogram();
}

// A reader that was there from the start is told every record whose trigger returned, but for those it counts as
// overwritten; and it counts no more than there were tickets.
inline void Epoch::audit_reader(uint32_t index) {
  const ReaderBox& box = board_->readers[index];
  if (box.from_start.load() == 0) return;
  const uint64_t tickets = std::min(counters().next_ticket.load(), kJournalTickets);
  uint64_t missing = 0;
  for (uint64_t ticket = 0; ticket < tickets; ticket++) {
    if (board_->completed[ticket].load() != 0 && board_->told[index][ticket].load() == 0) missing++;
  }
  if (missing > box.overruns.load()) {
    violation(*board_, board_->lost, "reader %u was not told %llu records, and counts %llu as overwritten", index,
              static_cast<unsigned long long>(missing), static_cast<unsigned long long>(box.overruns.load()));
  }
  if (box.told.load() + box.overruns.load() + box.holes.load() > tickets) {
    violation(*board_, board_->wrong, "reader %u counts more than the %llu tickets there were", index,
              static_cast<unsigned long long>(tickets));
  }
}

// A value in flight when its writer was killed may be in the sum and not in its bucket, or in neither.
inline void Epoch::audit_histogram() {
  LatencyHistogram histogram(segments_.histogram, HistogramRole::kReader);
  const HistogramSnapshot now = histogram.snapshot();
  double total = 0;
  for (const double count : now.counts) total += count;
  const auto within = [](double value, uint64_t low, uint64_t high) {
    return value >= static_cast<double>(low) && value <= static_cast<double>(high);
  };
  const uint64_t ended = sum_of(&WriterBox::values_ended);
  const uint64_t began = sum_of(&WriterBox::values_begun);
  const bool sums = within(now.sum_ns, sum_of(&WriterBox::sum_ended), sum_of(&WriterBox::sum_begun));
  if (!sums || !within(total, ended, began)) {
    violation(*board_, board_->lost, "the histogram holds %.0f values, %llu were recorded and %llu begun", total,
              static_cast<unsigned long long>(ended), static_cast<unsigned long long>(began));
  }
  tally_.values += static_cast<uint64_t>(total);
}

inline void Epoch::collect() {
  tally_.triggers += sum_of(&WriterBox::triggers);
  tally_.repairs += counters().repairs.load();
  for (const ReaderBox& box : board_->readers) {
    tally_.reads += box.told.load();
    tally_.overruns += box.overruns.load();
    tally_.holes += box.holes.load();
  }
  tally_.torn += board_->torn.load();
  tally_.lost += board_->lost.load();
  tally_.wrong += board_->wrong.load();
}

inline void Epoch::dump() const {
  const ControlValue control = ControlValue::unpack(control_word());
  std::fprintf(stderr, "control: generation %u, level %u, tag %u; next ticket %llu; clear asked for %u\n",
               control.generation, control.level, control.tag,
               static_cast<unsigned long long>(counters().next_ticket.load()), board_->clear_asked.load());
  for (uint32_t place = 0; place < options_.writers; place++) {
    const WriterBox& box = board_->writers[place];
    std::fprintf(stderr, "writer %u: pid %d, style %u, %s, begun %llu, ended %llu, stands %016llx\n", place,
                 writers_[place].pid, static_cast<uint32_t>(writers_[place].style),
                 writers_[place].stopped ? "stopped" : "running", static_cast<unsigned long long>(box.begun.load()),
                 static_cast<unsigned long long>(box.ended.load()), static_cast<unsigned long long>(box.stands.load()));
  }
  for (uint32_t index = 0; index < options_.readers; index++) {
    const ReaderBox& box = board_->readers[index];
    std::fprintf(stderr, "reader %u: pid %d, rounds %llu, told %llu, overruns %llu, holes %llu\n", index,
                 readers_[index].pid, static_cast<unsigned long long>(box.rounds.load()),
                 static_cast<unsigned long long>(box.told.load()), static_cast<unsigned long long>(box.overruns.load()),
                 static_cast<unsigned long long>(box.holes.load()));
  }
  const auto* records = reinterpret_cast<const Record*>(segments_.flag->base() + kRecordsOffset);
  for (uint32_t slot = 0; slot < kRecordCount; slot++) {
    const uint64_t state = records[slot].state.load();
    if (StateValue::unpack(state).phase == Phase::kApplied || state == 0) continue;
    std::fprintf(stderr, "record %u: state %016llx\n", slot, static_cast<unsigned long long>(state));
  }
}

}  // namespace esper::torture
