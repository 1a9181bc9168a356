// Create and attach: who is first creates, everybody else attaches, and nothing is ever cleared by opening it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "check.h"

using namespace esper;
using namespace esper::test;

namespace {

RegionOptions shared(const std::string& name) {
  RegionOptions options;
  options.name = name;
  options.attach_timeout_ms = 100;
  return options;
}

void remove(const std::string& name) {
  bool removed = false;
  CHECK(Region::unlink(name, "/dev/shm", removed).ok() && removed);
}

void the_second_open_attaches_and_clears_nothing() {
  const std::string name = unique_name("attach");
  Status status;
  auto first = Region::open_shared(shared(name), status);
  CHECK(first != nullptr && first->created());
  Flag(first).trigger(request(4, "live"));
  auto second = Region::open_shared(shared(name), status);
  CHECK(second != nullptr && !second->created());
  CHECK(Flag(second).control().level == 4);
  remove(name);
}

void of_many_who_race_one_creates() {
  for (int round = 0; round < 20; round++) {
    const std::string name = unique_name("race");
    int created = 0;
    pid_t children[8];
    for (pid_t& child : children) {
      child = fork();
      if (child != 0) continue;
      Status status;
      auto region = Region::open_shared(shared(name), status);
      _exit(region == nullptr ? 2 : region->created() ? 1 : 0);
    }
    for (const pid_t child : children) {
      int result = 0;
      CHECK(waitpid(child, &result, 0) == child && WIFEXITED(result) && WEXITSTATUS(result) < 2);
      created += WEXITSTATUS(result);
    }
    CHECK(created == 1);
    remove(name);
  }
}

void the_file_is_private_and_allocated() {
  const std::string name = unique_name("mode");
  Status status;
  auto region = Region::open_shared(shared(name), status);
  CHECK(region != nullptr);
  struct stat info {};
  CHECK(stat(region->path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600 && static_cast<size_t>(info.st_size) == kFlagSegmentBytes);
  CHECK(static_cast<size_t>(info.st_blocks) * 512 >= kFlagSegmentBytes);
  CHECK(!region->name_moved());
  remove(name);
  CHECK(region->name_moved());
}

void a_segment_of_an_earlier_boot_is_replaced() {
  const std::string name = unique_name("boot");
  Status status;
  auto old = Region::open_shared(shared(name), status);
  CHECK(old != nullptr);
  Flag(old).trigger(request(4));
  old->header()->boot_id[0] ^= 0xff;
  old->header()->crc32c = header_crc(*old->header());
  auto next = Region::open_shared(shared(name), status);
  CHECK(next != nullptr && next->created() && old->name_moved());
  CHECK(Flag(next).control().level == 0);
  remove(name);
}

void kinds_are_not_mixed() {
  const std::string name = unique_name("kind");
  Status status;
  auto region = Region::open_shared(shared(name), status);
  CHECK(region != nullptr);
  RegionOptions other = shared(name);
  other.kind = SegmentKind::kRollback;
  CHECK(Region::open_shared(other, status) == nullptr && status.code == Code::kWrongKind);
  remove(name);
}

void names_are_checked() {
  Status status;
  for (const char* bad : {"", "a/b", "..", ".hidden", "a b"}) {
    CHECK(Region::open_shared(shared(bad), status) == nullptr && status.code == Code::kBadName);
  }
  CHECK(Region::open_shared(shared(std::string(300, 'a')), status) == nullptr && status.code == Code::kBadName);
}

void no_directory_is_a_named_failure() {
  Status status;
  RegionOptions options = shared(unique_name("nowhere"));
  options.directory = "/nonexistent-directory";
  CHECK(Region::open_shared(options, status) == nullptr && !status.ok() && status.error_number == ENOENT);
}

}  // namespace

int main() {
  RUN(the_second_open_attaches_and_clears_nothing);
  RUN(of_many_who_race_one_creates);
  RUN(the_file_is_private_and_allocated);
  RUN(a_segment_of_an_earlier_boot_is_replaced);
  RUN(kinds_are_not_mixed);
  RUN(names_are_checked);
  RUN(no_directory_is_a_named_failure);
}
