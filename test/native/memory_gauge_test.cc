// [R-E3] Memory usage out of files that are whole, garbage, cut, rewritten, truncated or gone.
#include "memory_gauge.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "check.h"

using namespace esper;
using namespace esper::test;

namespace {

std::array<char, 16384> scratch;

// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/esper-gauge-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Folder() {
    for (const char* file : {"usage", "stat", "other"}) ::unlink((path_ + "/" + file).c_str());
    ::rmdir(path_.c_str());
  }
  [[nodiscard]] std::string at(const char* file) const { return path_ + "/" + file; }
  void write(const char* file, const std::string& text) const { std::ofstream(at(file), std::ios::trunc) << text; }

 private:
  std::string path_;
};

GaugeSpec cgroup(const Folder& folder, const char* key) {
  GaugeSpec spec;
  spec.label = "test";
  spec.usage_path = folder.at("usage");
  spec.deduct_path = folder.at("stat");
  spec.deduct_key = key;
  spec.limit_bytes = 1000;
  return spec;
}

void numbers_are_found_by_key_and_field() {
  uint64_t out = 0;
  const std::string_view stat = "cache 5\ninactive_file 6\ntotal_cache 7\ntotal_inactive_file 8\n";
  CHECK(find_number(stat, "inactive_file", 0, out) && out == 6);
  CHECK(find_number(stat, "total_inactive_file", 0, out) && out == 8);
  CHECK(!find_number(stat, "file", 0, out) && !find_number(stat, "total", 0, out) && !find_number("", "cache", 0, out));
  CHECK(find_number("file_dirty 3\nfile 4\n", "file", 0, out) && out == 4);
  CHECK(find_number("MemTotal:       24683520 kB\n", "MemTotal:", 0, out) && out == 24683520);
  CHECK(find_number("10 20 30 40\n", "", 2, out) && out == 30);
  CHECK(!find_number("10 20\n", "", 2, out) && find_number("18446744073709551615\n", "", 0, out));
  CHECK(out == UINT64_MAX && !find_number("18446744073709551616\n", "", 0, out));
  for (const char* bad : {"", "\n", "max\n", "-5\n", "12x\n", "0x10\n", "1.5\n", "five\n", "12"}) {
    CHECK(!find_number(bad, "", 0, out));
  }
  CHECK(!find_number("inactive_file 12", "inactive_file", 0, out));  // cut inside the number, for all one knows
  CHECK(!find_number("inactive_file", "inactive_file", 0, out));
  CHECK(!find_number("inactive_file\n", "inactive_file", 0, out));
}

void use_is_what_is_left_without_the_deduction() {
  const Folder folder;
  folder.write("usage", "700\n");
  folder.write("stat", "anon 1\ninactive_file 200\n");
  MemoryGauge gauge(cgroup(folder, "inactive_file"));
  CHECK(gauge.read(scratch) && gauge.usage() == 500 && gauge.deducted() == 200);
  CHECK(gauge.fault() == GaugeFault::kNone);
  folder.write("stat", "inactive_file 900\n");  // read a moment after the usage: it may be more
  CHECK(gauge.read(scratch) && gauge.usage() == 0);
}

void one_file_may_have_both_in_units() {
  const Folder folder;
  folder.write("usage", "MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:  60 kB\n");
  GaugeSpec spec = cgroup(folder, "MemAvailable:");
  spec.usage_key = "MemTotal:";
  spec.deduct_path.clear();
  spec.unit_bytes = 1024;
  MemoryGauge gauge(spec);
  CHECK(gauge.read(scratch) && gauge.usage() == 40 * 1024);
  folder.write("usage", "MemTotal:  18446744073709551615 kB\nMemAvailable: 0 kB\n");  // more than 64 bits of bytes
  CHECK(gauge.read(scratch) && gauge.fault() == GaugeFault::kFormat && gauge.usage() == 40 * 1024);
}

void trouble_keeps_the_last_good_value_and_has_a_name() {
  const Folder folder;
  folder.write("usage", "700\n");
  folder.write("stat", "inactive_file 200\n");
  MemoryGauge gauge(cgroup(folder, "inactive_file"));
  CHECK(gauge.read(scratch) && gauge.usage() == 500);
  for (const char* bad : {"", "max\n", "garbage\n", "99"}) {
    folder.write("usage", bad);
    CHECK(gauge.read(scratch) && gauge.usage() == 500);
    CHECK(gauge.fault() == GaugeFault::kFormat && !gauge.fault_in_deduction());
  }
  CHECK(::truncate(folder.at("usage").c_str(), 0) == 0 && gauge.read(scratch) && gauge.fault() == GaugeFault::kFormat);
  folder.write("usage", "800\n");
  CHECK(gauge.read(scratch) && gauge.usage() == 600 && gauge.fault() == GaugeFault::kNone);
  folder.write("stat", "nothing of it\n");  // the latest deduction stands in
  CHECK(gauge.read(scratch) && gauge.usage() == 600 && gauge.fault() == GaugeFault::kFormat);
  CHECK(gauge.fault_in_deduction());
  ::unlink(folder.at("usage").c_str());
  CHECK(gauge.read(scratch) && gauge.usage() == 600);  // what is open stays
}

void without_a_good_value_there_is_none() {
  const Folder folder;
  MemoryGauge missing(cgroup(folder, "inactive_file"));
  CHECK(!missing.read(scratch) && missing.fault() == GaugeFault::kOpen && missing.error_number() == ENOENT);
  folder.write("usage", "700\n");
  MemoryGauge half(cgroup(folder, "inactive_file"));
  CHECK(!half.read(scratch) && half.fault() == GaugeFault::kOpen && half.fault_in_deduction());
  GaugeSpec directory = cgroup(folder, "");
  directory.usage_path = "/tmp";
  directory.deduct_path.clear();
  MemoryGauge unreadable(directory);
  CHECK(!unreadable.read(scratch) && unreadable.fault() == GaugeFault::kRead && unreadable.error_number() == EISDIR);
}

void a_moved_gauge_keeps_its_files() {
  const Folder folder;
  folder.write("usage", "700\n");
  folder.write("stat", "inactive_file 200\n");
  MemoryGauge from(cgroup(folder, "inactive_file"));
  CHECK(from.read(scratch));
  MemoryGauge to(std::move(from));
  CHECK(to.usage() == 500 && to.read(scratch) && to.usage() == 500 && to.limit() == 1000);
}

}  // namespace

int main() {
  RUN(numbers_are_found_by_key_and_field);
  RUN(use_is_what_is_left_without_the_deduction);
  RUN(one_file_may_have_both_in_units);
  RUN(trouble_keeps_the_last_good_value_and_has_a_name);
  RUN(without_a_good_value_there_is_none);
  RUN(a_moved_gauge_keeps_its_files);
}
