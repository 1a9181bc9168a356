// Operations with a known mistake in them. The injector must find each, or it is not to be believed.
#pragma once

#include "create_cases.h"
#include "flag_operations.h"
#include "histogram_cases.h"

namespace esper::verify::planted {

struct Written {
  uint64_t ticket = 0;
  Payload payload;
};

inline Written claim_by_hand(Flag& flag, uint8_t level, uint32_t owner) {
  Written out;
  out.ticket = test::counters_of(flag.region()).next_ticket.fetch_add(1);
  const StateValue claimed{Phase::kClaimed, tag_of(out.ticket), owner};
  test::record_at(flag.region(), out.ticket).state.store(claimed.pack());
  const Request asked = test::request(level, kAskedReason);
  encode_request(asked, out.payload);
  seal_payload(asked, flag.region().header()->nonce, out.ticket, out.payload);
  return out;
}

inline void store_words(Flag& flag, const Written& what, size_t from, size_t to) {
  Record& record = test::record_at(flag.region(), what.ticket);
  for (size_t i = from; i < to; i++) {
    uint64_t word;
    std::memcpy(&word, reinterpret_cast<const char*>(&what.payload) + i * 8, 8);
    record.words[i].store(word);
  }
}

inline void store_state(Flag& flag, const Written& what, Phase phase, uint32_t extra) {
  test::record_at(flag.region(), what.ticket).state.store(StateValue{phase, tag_of(what.ticket), extra}.pack());
}

inline void store_control(Flag& flag, const Written& what, uint32_t level) {
  const ControlValue now = flag.control();
  test::control_of(flag.region()).word.store(ControlValue{now.generation + 1, level, tag_of(what.ticket)}.pack());
}

inline void level_before_record(Flag& flag) {
  const Written mine = claim_by_hand(flag, 4, test::self_owner());
  store_control(flag, mine, 4);
  store_words(flag, mine, 0, kPayloadWords);
  store_state(flag, mine, Phase::kApplied, flag.control().generation);
}

inline void complete_before_filled(Flag& flag) {
  const Written mine = claim_by_hand(flag, 4, test::self_owner());
  store_words(flag, mine, 0, kPayloadWords / 2);
  store_state(flag, mine, Phase::kComplete, 0);
  store_words(flag, mine, kPayloadWords / 2, kPayloadWords);
  flag.sweep();
}

inline void marked_before_applied(Flag& flag) {
  const Written mine = claim_by_hand(flag, 4, test::self_owner());
  store_words(flag, mine, 0, kPayloadWords);
  store_state(flag, mine, Phase::kApplied, flag.control().generation + 1);
  store_control(flag, mine, 4);
}

inline void lowered_by_a_lesser_one(Flag& flag) {
  const Written mine = claim_by_hand(flag, 1, test::self_owner());
  store_words(flag, mine, 0, kPayloadWords);
  store_state(flag, mine, Phase::kComplete, 0);
  store_control(flag, mine, 1);
}

inline void applied_record_made_complete_again(Flag& flag) {
  const uint64_t ticket = flag.ring().next_ticket() - 10;
  const StateValue complete{Phase::kComplete, tag_of(ticket), 0};
  test::record_at(flag.region(), ticket).state.store(complete.pack());
}

inline void payload_word_flipped(Flag& flag) {
  test::record_at(flag.region(), flag.ring().next_ticket() - 10).words[20].fetch_xor(1);
}

inline void claimed_by_nobody_who_can_die(Flag& flag) { claim_by_hand(flag, 4, kForeignOwner); }

inline void filled_before_named(Flag& flag) {
  const int index = flag.slots().claim();
  Slot& slot = flag.slots().at(index);
  slot.flags.store(kSlotMember);
  slot.filled.store(flag.slots().incarnation(index));
  flag.slots().describe(index, "trainer", "child", kSlotMember);
}

inline void store_double(std::atomic<uint64_t>& word, double value) { word.store(std::bit_cast<uint64_t>(value)); }

inline void counted_twice(LatencyHistogram& histogram) {
  histogram.record(kRecorded);
  histogram.record(kRecorded);
}

inline void counts_begun_anew(LatencyHistogram& histogram) {
  for (auto& count : histogram.stripe()->counts) {
    if (count.load() != 0) store_double(count, 0);
  }
  histogram.record(kRecorded);
}

// As many do it: open the name, give it a size, fill it in.
inline void built_under_its_name(const CreateCase& what) {
  const int fd = ::open(what.directory().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  const std::string from = "/proc/self/fd/" + std::to_string(fd);
  const int linked = linkat(AT_FDCWD, from.c_str(), AT_FDCWD, what.path().c_str(), AT_SYMLINK_FOLLOW);
  if (linked != 0 || posix_fallocate(fd, 0, kFlagSegmentBytes) != 0) _exit(1);
  void* base = mmap(nullptr, kFlagSegmentBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  initialise_segment(static_cast<uint8_t*>(base), SegmentKind::kEmergency, 0);
  static_cast<Header*>(base)->ready.store(kReady);
}

// The file has no name yet, but whoever finds the bytes is told that they are good before they are.
inline void ready_before_filled(const CreateCase& what) {
  const int fd = ::open(what.directory().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (posix_fallocate(fd, 0, kFlagSegmentBytes) != 0) _exit(1);
  void* base = mmap(nullptr, kFlagSegmentBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  static_cast<Header*>(base)->ready.store(kReady);
  initialise_segment(static_cast<uint8_t*>(base), SegmentKind::kEmergency, 0);
}

inline FlagSteps with(void (*operate)(Flag&)) {
  FlagSteps steps;
  steps.operate = operate;
  return steps;
}

}  // namespace esper::verify::planted
