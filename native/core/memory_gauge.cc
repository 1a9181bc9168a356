#include "memory_gauge.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace esper {
namespace {

constexpr int kReadTries = 8;  // against a storm of signals

bool is_blank(char one) { return one == ' ' || one == '\t'; }
bool is_digit(char one) { return one >= '0' && one <= '9'; }

size_t skip_blanks(std::string_view text, size_t at) {
  while (at < text.size() && is_blank(text[at])) at++;
  return at;
}

// Reads the digits at `at` and moves behind them. What follows must be there, and no part of the number.
bool take_number(std::string_view text, size_t& at, uint64_t& out) {
  const size_t begin = at;
  uint64_t value = 0;
  for (; at < text.size() && is_digit(text[at]); at++) {
    const auto digit = static_cast<uint64_t>(text[at] - '0');
    if (value > (std::numeric_limits<uint64_t>::max() - digit) / 10) return false;
    value = value * 10 + digit;
  }
  if (at == begin || at == text.size()) return false;
  if (!is_blank(text[at]) && text[at] != '\n') return false;
  out = value;
  return true;
}

bool number_in_line(std::string_view text, size_t at, uint32_t field, uint64_t& out) {
  for (uint32_t i = 0;; i++) {
    at = skip_blanks(text, at);
    if (!take_number(text, at, out)) return false;
    if (i == field) return true;
  }
}

bool load(int fd, std::span<char> scratch, std::string_view& text) {
  for (int i = 0; i < kReadTries; i++) {
    const ssize_t got = ::pread(fd, scratch.data(), scratch.size(), 0);
    if (got >= 0) {
      text = {scratch.data(), static_cast<size_t>(got)};
      return true;
    }
    if (errno != EINTR) return false;
  }
  return false;
}

}  // namespace

bool find_number(std::string_view text, std::string_view key, uint32_t field, uint64_t& out) {
  if (key.empty()) return number_in_line(text, 0, field, out);
  for (size_t line = 0; line < text.size();) {
    const size_t after = line + key.size();
    if (text.substr(line, key.size()) == key && after < text.size() && is_blank(text[after])) {
      return number_in_line(text, after, field, out);
    }
    const size_t end = text.find('\n', line);
    if (end == std::string_view::npos) return false;
    line = end + 1;
  }
  return false;
}

MemoryGauge::MemoryGauge(GaugeSpec spec) : spec_(std::move(spec)) {
  usage_file_ = open_file(spec_.usage_path);
  if (!spec_.deduct_path.empty()) deduct_file_ = open_file(spec_.deduct_path);
}

MemoryGauge::~MemoryGauge() {
  if (usage_file_.fd >= 0) ::close(usage_file_.fd);
  if (deduct_file_.fd >= 0) ::close(deduct_file_.fd);
}

MemoryGauge::MemoryGauge(MemoryGauge&& other) noexcept { *this = std::move(other); }

MemoryGauge& MemoryGauge::operator=(MemoryGauge&& other) noexcept {
  std::swap(spec_, other.spec_);
  std::swap(usage_file_, other.usage_file_);
  std::swap(deduct_file_, other.deduct_file_);
  std::swap(usage_, other.usage_);
  std::swap(deducted_, other.deducted_);
  std::swap(has_value_, other.has_value_);
  std::swap(has_deduction_, other.has_deduction_);
  std::swap(fault_, other.fault_);
  std::swap(error_number_, other.error_number_);
  std::swap(fault_in_deduction_, other.fault_in_deduction_);
  return *this;
}

// Not blocking: a path that leads to a pipe must not stop the caller for good.
MemoryGauge::File MemoryGauge::open_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  return fd >= 0 ? File{fd, 0} : File{-1, errno};
}

bool MemoryGauge::fail(GaugeFault fault, int error_number, bool in_deduction) {
  fault_ = fault;
  error_number_ = error_number;
  fault_in_deduction_ = in_deduction;
  return false;
}

bool MemoryGauge::read_usage(std::span<char> scratch, std::string_view& text, uint64_t& out) {
  if (usage_file_.fd < 0) return fail(GaugeFault::kOpen, usage_file_.open_error, false);
  if (!load(usage_file_.fd, scratch, text)) return fail(GaugeFault::kRead, errno, false);
  if (find_number(text, spec_.usage_key, spec_.usage_field, out) && fits(out)) return true;
  return fail(GaugeFault::kFormat, 0, false);
}

// `text`: the usage's file.
bool MemoryGauge::read_deduction(std::span<char> scratch, std::string_view text, uint64_t& out) {
  if (!spec_.deduct_path.empty()) {
    if (deduct_file_.fd < 0) return fail(GaugeFault::kOpen, deduct_file_.open_error, true);
    if (!load(deduct_file_.fd, scratch, text)) return fail(GaugeFault::kRead, errno, true);
  }
  if (find_number(text, spec_.deduct_key, 0, out) && fits(out)) return true;
  return fail(GaugeFault::kFormat, 0, true);
}

bool MemoryGauge::read(std::span<char> scratch) {
  fault_ = GaugeFault::kNone;
  error_number_ = 0;
  std::string_view text;
  uint64_t used = 0;
  if (!read_usage(scratch, text, used)) return has_value_;
  if (!spec_.deduct_key.empty()) {
    uint64_t deducted = 0;
    if (read_deduction(scratch, text, deducted)) {
      deducted_ = deducted * spec_.unit_bytes;
      has_deduction_ = true;
    } else if (!has_deduction_) {
      // Without any, page cache would pass for use: no value is better than an alarm that is none.
      return has_value_;
    }
  }
  usage_ = used * spec_.unit_bytes - std::min(used * spec_.unit_bytes, deducted_);
  has_value_ = true;
  return true;
}

}  // namespace esper
