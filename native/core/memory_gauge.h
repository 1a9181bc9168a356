// How much of a memory limit is used, read out of files: a cgroup's, /proc/self/statm, /proc/meminfo. Which files, and
// what in them, is said by the caller: the cgroup versions are known to src/faults/memory alone.
//
// Who may call   one thread at a time. read() allocates nothing: it runs when memory is about to end.
// Files are opened once and read by pread: an open could fail for want of memory or descriptors when it matters most,
// and costs more than the read. What that means for files that change under it:
//   rewritten in place   the next read sees it; a number without anything after it is refused as cut (the kernel ends
//                        every line), so a half-written one is not taken for a smaller one
//   truncated            an empty read: kFormat
//   removed              a plain file goes on as it was; a removed cgroup's fails with ENODEV: kRead
//   replaced             the old one is read until the caller configures anew, which it does at an interval
// A gauge that cannot be read keeps its last good value; `fault` says why it is old.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace esper {

struct GaugeSpec {
  std::string label;           // for reasons: "cgroup v2 /sys/fs/cgroup/app"
  std::string usage_path;
  std::string usage_key;       // of the line that has the number; empty: the first line
  uint32_t usage_field = 0;    // number of that line, from 0, the key not counted
  std::string deduct_path;     // what is used and can be had back at once; empty: none, or in the file of the usage
  std::string deduct_key;      // empty: nothing is deducted
  uint64_t unit_bytes = 1;     // of both numbers
  uint64_t limit_bytes = 0;
};

enum class GaugeFault : uint32_t { kNone, kOpen, kRead, kFormat };

// The number that follows `key` at the beginning of a line, `field` numbers further on. False when there is none, when
// it does not fit 64 bits, or when the text ends with it.
bool find_number(std::string_view text, std::string_view key, uint32_t field, uint64_t& out);

class MemoryGauge {
 public:
  MemoryGauge() = default;
  explicit MemoryGauge(GaugeSpec spec);
  ~MemoryGauge();
  MemoryGauge(MemoryGauge&& other) noexcept;
  MemoryGauge& operator=(MemoryGauge&& other) noexcept;

  // `scratch` takes the text of a file. True when there is a value, also an old one; the accessors then tell the rest.
  bool read(std::span<char> scratch);

  [[nodiscard]] const GaugeSpec& spec() const { return spec_; }
  [[nodiscard]] uint64_t limit() const { return spec_.limit_bytes; }
  [[nodiscard]] uint64_t usage() const { return usage_; }
  [[nodiscard]] uint64_t deducted() const { return deducted_; }
  // Of the last read; kNone when it was whole.
  [[nodiscard]] GaugeFault fault() const { return fault_; }
  [[nodiscard]] int error_number() const { return error_number_; }
  // Whether it was the file of the deduction that could not be read.
  [[nodiscard]] bool fault_in_deduction() const { return fault_in_deduction_; }

 private:
  struct File {
    int fd = -1;
    int open_error = 0;
  };

  static File open_file(const std::string& path);
  bool fail(GaugeFault fault, int error_number, bool in_deduction);
  bool read_usage(std::span<char> scratch, std::string_view& text, uint64_t& out);
  bool read_deduction(std::span<char> scratch, std::string_view text, uint64_t& out);
  [[nodiscard]] bool fits(uint64_t number) const { return number <= UINT64_MAX / spec_.unit_bytes; }

  GaugeSpec spec_;
  File usage_file_;
  File deduct_file_;
  uint64_t usage_ = 0;
  uint64_t deducted_ = 0;
  bool has_value_ = false;
  bool has_deduction_ = false;
  bool fault_in_deduction_ = false;
  GaugeFault fault_ = GaugeFault::kNone;
  int error_number_ = 0;
};

}  // namespace esper
