// Create and attach: who is first creates, everybody else attaches, and nothing is ever cleared by opening it.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

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

// In a process of its own, which then has no descriptor left.
void without_descriptors(const std::function<void()>& run) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    run();
    _exit(0);
  }
  int result = 0;
  CHECK(waitpid(child, &result, 0) == child && WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

// What create.pml calls remove_if_same: somebody replaces the segment between our look at it and our lock.
void an_unlink_does_not_take_what_was_put_there_meanwhile() {
  const std::string name = unique_name("unlink");
  Status status;
  auto first = Region::open_shared(shared(name), status);
  CHECK(first != nullptr);
  const int replacer = open(first->path().c_str(), O_RDWR | O_CLOEXEC);
  CHECK(replacer >= 0 && flock(replacer, LOCK_EX) == 0);
  bool removed = false;
  Status unlinked;
  std::thread operator_thread([&] { unlinked = Region::unlink(name, "/dev/shm", removed); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(unlink(first->path().c_str()) == 0);
  auto second = Region::open_shared(shared(name), status);
  CHECK(second != nullptr && second->created());
  const int next_replacer = open(second->path().c_str(), O_RDWR | O_CLOEXEC);
  CHECK(next_replacer >= 0 && flock(next_replacer, LOCK_EX) == 0);
  close(replacer);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(!second->name_moved());  // it is looked at, and locked, anew
  close(next_replacer);
  operator_thread.join();
  CHECK(unlinked.ok() && removed && second->name_moved());
  CHECK(Region::unlink(name, "/dev/shm", removed).ok() && !removed);
}

void an_unlink_waits_a_second_for_the_lock_and_then_fails() {
  const std::string name = unique_name("stopped");
  Status status;
  auto region = Region::open_shared(shared(name), status);
  const int stopped = open(region->path().c_str(), O_RDWR | O_CLOEXEC);
  CHECK(stopped >= 0 && flock(stopped, LOCK_EX) == 0);
  bool removed = true;
  const Status refused = Region::unlink(name, "/dev/shm", removed);
  CHECK(refused.error_number == EWOULDBLOCK && !removed && !region->name_moved());
  close(stopped);
  remove(name);
}

void an_unlink_that_cannot_lock_does_not_go_on_without() {
  const std::string name = unique_name("emfile");
  Status status;
  auto region = Region::open_shared(shared(name), status);
  CHECK(region != nullptr);
  without_descriptors([&] {
    bool removed = true;
    const Status refused = Region::unlink(name, "/dev/shm", removed);
    CHECK(refused.error_number == EMFILE && !removed);
  });
  CHECK(!region->name_moved());
  remove(name);
}

void an_unlink_of_what_is_no_segment_does_not_block() {
  const std::string name = unique_name("fifo");
  const std::string path = "/dev/shm/esper." + std::to_string(geteuid()) + "." + name;
  CHECK(mkfifo(path.c_str(), 0600) == 0);
  remove(name);
  CHECK(access(path.c_str(), F_OK) != 0);
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
  RUN(an_unlink_does_not_take_what_was_put_there_meanwhile);
  RUN(an_unlink_waits_a_second_for_the_lock_and_then_fails);
  RUN(an_unlink_that_cannot_lock_does_not_go_on_without);
  RUN(an_unlink_of_what_is_no_segment_does_not_block);
}
