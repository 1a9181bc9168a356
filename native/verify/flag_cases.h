// Operations on a flag segment: a ring that is full of applied records, a hole of the dead, a dead participant, and a
// live watcher with a queue.
#pragma once

#include <functional>

#include "crash_case.h"

namespace esper::verify {

// Of the dead participant: every byte of its slot is another one than the next owner writes.
inline const std::string kDeadRole(kRoleBytes, 'd');
inline const std::string kDeadName(kNameBytes, 'd');
inline constexpr char kAskedReason[] = "the loss is not finite \xe2\x80\x94 stop at once";

// What a reader found after the sweep that every open begins with.
struct FlagLook {
  const FlagFacts& before;
  const FlagFacts& after;
  Flag& flag;
  bool done;
  bool dead;  // the child, or its stand-in
};

struct FlagSteps {
  std::function<void(Flag&)> stage;    // parent, on top of the usual state
  std::function<void(Flag&)> prepare;  // child
  std::function<void(Flag&)> operate;  // child
  std::function<void(const FlagLook&, Findings&)> check;
  bool opens = false;  // opening the flag is the operation
};

class FlagCase : public CrashCase {
 public:
  FlagCase(const std::string& name, const std::string& directory, FlagSteps steps)
      : CrashCase(name, directory), steps_(std::move(steps)), region_(open(options(SegmentKind::kEmergency))),
        watcher_(region_) {
    const int slot = watcher_.join("watcher", "parent");
    watcher_.want_wake(true);
    CHECK(slot >= 0);
    receiver_.open(*region_->header(), watcher_.slots().at(slot), static_cast<uint32_t>(slot));
    fill_ring();
    leave_a_dead_participant();
    watcher_.mark_seen(watcher_.control().generation);
    before_ = observe(watcher_);
    if (steps_.stage) steps_.stage(watcher_);
    pristine_.assign(region_->base(), region_->base() + region_->size());
  }
  ~FlagCase() override {
    bool removed = false;
    (void)Region::unlink(name(), directory(), removed);
  }

  void reset() override { std::memcpy(region_->base(), pristine_.data(), pristine_.size()); }
  void prepare() override {
    child_region_ = open(options(SegmentKind::kEmergency));
    self_identity();
    if (steps_.opens) return;
    child_ = new Flag(child_region_);
    if (steps_.prepare) steps_.prepare(*child_);
  }
  void operate() override {
    if (steps_.opens) child_ = new Flag(child_region_);
    if (steps_.operate) steps_.operate(*child_);
  }
  [[nodiscard]] std::unique_ptr<WatchedBytes> watch() const override {
    return std::make_unique<WatchedBytes>(region_->base(), region_->size());
  }
  void check_copy(const WatchedBytes& watched, uint32_t child, bool done, Findings& findings) override {
    check(copy_of(watched.bytes(), SegmentKind::kEmergency), done, false, findings);
    auto region = copy_of(watched.bytes(), SegmentKind::kEmergency);
    replace_owner(*region, child, gone_owner());
    check(region, done, true, findings);
  }
  void check_real(bool done, Findings& findings) override {
    check(open(options(SegmentKind::kEmergency)), done, true, findings);
  }

 private:
  void fill_ring() {
    Flag flag(region_);
    // Every word of an older record differs from the next one's, so that a mixture of the two would be seen.
    const std::string text(kReasonBytes, '\xff');
    Request older = test::request(1, text);
    older.tier = 0xff;
    older.step = older.deadline_ns = UINT64_MAX;
    older.cleared_generation = older.cleared_level = older.reason_given_size = UINT32_MAX;
    older.signal_id = older.subject = older.origin = older.run_id = text;
    for (uint32_t i = 0; i < kRecordCount; i++) flag.ring().raise(older);
    flag.ring().mark_published(flag.ring().raise(test::request(2, "holds the level")).ticket);
    const uint64_t hole = test::counters_of(*region_).next_ticket.fetch_add(1);
    const StateValue claimed{Phase::kClaimed, tag_of(hole), gone_owner()};
    test::record_at(*region_, hole).state.store(claimed.pack());
    flag.ring().raise(test::request(1, "newest"));
  }
  void leave_a_dead_participant() {
    Flag other(open(options(SegmentKind::kEmergency)));  // an open of its own: what it locks ends with it
    const int slot = other.join(kDeadRole, kDeadName);
    CHECK(slot >= 0);
    other.slots().at(slot).owner.store(uint64_t{1} << 32 | gone_owner());  // so `other` has nothing to give back
  }
  static void replace_owner(Region& region, uint32_t from, uint32_t to) {
    for (uint64_t ticket = 0; ticket < kRecordCount; ticket++) {
      auto& word = test::record_at(region, ticket).state;
      StateValue state = StateValue::unpack(word.load());
      if (state.phase != Phase::kClaimed || state.extra != from) continue;
      state.extra = to;
      word.store(state.pack());
    }
    auto* slots = reinterpret_cast<Slot*>(region.base() + kSlotsOffset);
    for (uint32_t index = 0; index < kSlotCount; index++) {
      const uint64_t word = slots[index].owner.load();
      if (static_cast<uint32_t>(word) == from) slots[index].owner.store((word >> 32) << 32 | to);
    }
  }

  void check(const std::shared_ptr<Region>& region, bool done, bool dead, Findings& findings) {
    Ring raw(region->base());
    const ControlValue shown = raw.control();
    check_named(raw, findings);
    Flag flag(region);
    const FlagFacts after = observe(flag);
    findings.expect(shown.level == after.control.level || shown.generation != after.control.generation,
                    "the level changed without a generation");
    findings.expect(!dead || after.held == 0, "a record of the dead is still waited for");
    check_records(after, findings);
    check_kept(before_, after, findings);
    check_settled(region, findings);
    check_cursor(flag, after, findings);
    check_members(flag, {"watcher/parent", kDeadRole + "/" + kDeadName, "trainer/child"}, findings);
    if (steps_.check) steps_.check({before_, after, flag, done, dead}, findings);
    check_usable(region, dead, findings);
    check_a_lap(region, after.held, findings);
  }

  FlagSteps steps_;
  std::shared_ptr<Region> region_;
  Flag watcher_;
  WakeReceiver receiver_;
  FlagFacts before_;
  std::vector<uint8_t> pristine_;
  std::shared_ptr<Region> child_region_;  // of the child, which never destroys them
  Flag* child_ = nullptr;
};

// Applied once or not at all; when it has returned, or always, once.
inline void expect_applied(const FlagLook& look, bool always, uint32_t level, uint8_t kind, Findings& findings) {
  const uint32_t applied = look.after.control.generation - look.before.control.generation;
  findings.expect(applied <= 1, "applied " + std::to_string(applied) + " times");
  findings.expect(applied == 1 || !(always || look.done), "it was not applied");
  const uint32_t expected = applied == 0 ? look.before.control.level : level;
  findings.expect(look.after.control.level == expected, "the level is " + std::to_string(look.after.control.level) +
                                                            " in place of " + std::to_string(expected));
  bool found = false;
  for (const auto& [ticket, record] : look.after.records) {
    found = found || (record.kind == kind && record.reason == kAskedReason &&
                      record.generation == look.after.control.generation);
  }
  findings.expect(found == (applied == 1), found ? "its record is there and it was not applied"
                                                 : "it was applied and its record is not there");
}

inline void expect_control_kept(const FlagLook& look, Findings& findings) {
  findings.expect(look.after.control.pack() == look.before.control.pack(), "control changed");
}

inline ClearRequest clear_of(Flag& flag, bool force) {
  ClearRequest clear;
  clear.generation = flag.control().generation;
  clear.level = flag.control().level;
  clear.force = force;
  clear.reason = kAskedReason;
  return clear;
}

// Where a participant of that name is, -1 when nobody lists it.
inline int listed(Flag& flag, const std::string& name) {
  for (const SlotView& member : flag.slots().members()) {
    if (member.name == name) return static_cast<int>(member.index);
  }
  return -1;
}

}  // namespace esper::verify
