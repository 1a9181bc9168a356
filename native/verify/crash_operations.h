// What the crash injector tries: the operations of the core, and operations with a known mistake in them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "create_cases.h"
#include "flag_operations.h"
#include "histogram_cases.h"
#include "planted.h"

namespace esper::verify {

struct Entry {
  const char* name;
  std::function<std::unique_ptr<CrashCase>(const std::string&)> make;
};

inline Entry flag_entry(const char* name, FlagSteps (*steps)()) {
  return {name, [=](const std::string& in) { return std::make_unique<FlagCase>("crash", in, steps()); }};
}
inline Entry histogram_entry(const char* name, bool claims, void (*record)(LatencyHistogram&) = nullptr) {
  return {name, [=](const std::string& in) { return std::make_unique<HistogramCase>("crash", in, claims, record); }};
}
inline Entry create_entry(const char* name, bool stale, void (*create)(const CreateCase&) = nullptr) {
  return {name, [=](const std::string& in) { return std::make_unique<CreateCase>("crash", in, stale, create); }};
}
inline Entry planted_entry(const char* name, void (*operate)(Flag&)) {
  return {name, [=](const std::string& in) { return std::make_unique<FlagCase>("crash", in, planted::with(operate)); }};
}

inline std::vector<Entry> operations() {
  return {flag_entry("trigger", trigger_steps),
          flag_entry("trigger-over", trigger_over_steps),
          flag_entry("trigger-after", trigger_after_steps),
          create_entry("create", false),
          create_entry("replace", true),
          flag_entry("acknowledge", acknowledge_steps),
          flag_entry("clear", clear_steps),
          flag_entry("late-clear", late_clear_steps),
          histogram_entry("record", false),
          histogram_entry("claim", true),
          flag_entry("join", join_steps),
          flag_entry("leave", leave_steps),
          flag_entry("phase", phase_steps),
          flag_entry("publish", publish_steps),
          flag_entry("repair", repair_steps)};
}

inline std::vector<Entry> planted_mistakes() {
  return {planted_entry("level-before-record", planted::level_before_record),
          planted_entry("complete-before-filled", planted::complete_before_filled),
          planted_entry("marked-before-applied", planted::marked_before_applied),
          planted_entry("lowered-by-a-lesser-one", planted::lowered_by_a_lesser_one),
          planted_entry("applied-made-complete-again", planted::applied_record_made_complete_again),
          planted_entry("payload-word-flipped", planted::payload_word_flipped),
          planted_entry("claimed-by-nobody-who-can-die", planted::claimed_by_nobody_who_can_die),
          planted_entry("filled-before-named", planted::filled_before_named),
          histogram_entry("counted-twice", false, planted::counted_twice),
          histogram_entry("counts-begun-anew", true, planted::counts_begun_anew),
          create_entry("built-under-its-name", false, planted::built_under_its_name),
          create_entry("ready-before-filled", false, planted::ready_before_filled)};
}

}  // namespace esper::verify
