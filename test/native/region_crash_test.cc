// [R-B7] Every row of the crash table in region.h: what a creator leaves that dies, and what the next opener makes of
// it.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "check.h"
#include "dead_owner.h"
#include "region_paths.h"

using namespace esper;
using namespace esper::test;

namespace {

struct Place {
  explicit Place(const char* what) {
    options.name = unique_name(what);
    options.attach_timeout_ms = 50;
    path = path_of(options.name, options.directory);
  }
  ~Place() { unlink(path.c_str()); }
  [[nodiscard]] std::shared_ptr<Region> open(Status& status) const { return Region::open_shared(options, status); }
  [[nodiscard]] std::shared_ptr<Region> open() const {
    Status status;
    auto region = open(status);
    CHECK(region != nullptr);
    return region;
  }
  RegionOptions options;
  std::string path;
};

bool is_new_and_usable(Region& region) {
  Flag flag(std::shared_ptr<Region>(&region, [](Region*) {}));
  const bool empty = flag.control().level == 0 && flag.control().generation == 0 && flag.history().empty();
  return empty && flag.trigger(request(4)).generation == 1;
}

bool write_whole(int fd, const void* bytes, size_t size) {
  return write(fd, bytes, size) == static_cast<ssize_t>(size);
}

// What a creator has in hand right before the link: every byte, no name.
int unnamed_segment(const Place& place) {
  const int fd = open(place.options.directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  auto region = private_region();
  return fd >= 0 && write_whole(fd, region->base(), region->size()) ? fd : -1;
}

void make_stale(const Place& place) {
  auto old = place.open();
  Flag(old).trigger(request(4));
  old->header()->boot_id[0] ^= 0xff;
  old->header()->crc32c = header_crc(*old->header());
}

void died_before_the_link() {
  const Place place("before-link");
  killed_after([&] {
    if (unnamed_segment(place) < 0) _exit(1);
  });
  CHECK(access(place.path.c_str(), F_OK) != 0 && errno == ENOENT);
  auto region = place.open();
  CHECK(region->created() && is_new_and_usable(*region));
}

void died_before_the_link_of_a_hidden_name() {
  const Place place("hidden");
  const std::string hidden = place.options.directory + "/.esper." + unique_name("salt");
  killed_after([&] {
    if (open(hidden.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600) < 0) _exit(1);
  });
  auto region = place.open();
  CHECK(region->created() && is_new_and_usable(*region));
  CHECK(unlink(hidden.c_str()) == 0);  // left behind, as the head of region.h says
}

void died_after_the_link() {
  const Place place("after-link");
  killed_after([&] {
    const std::string from = "/proc/self/fd/" + std::to_string(unnamed_segment(place));
    if (linkat(AT_FDCWD, from.c_str(), AT_FDCWD, place.path.c_str(), AT_SYMLINK_FOLLOW) != 0) _exit(1);
  });
  auto region = place.open();
  CHECK(!region->created() && is_new_and_usable(*region));
}

void died_replacing_a_stale_segment_before_the_unlink() {
  const Place place("stale");
  make_stale(place);
  killed_after([&] {
    const int fd = open(place.path.c_str(), O_RDWR);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) _exit(1);
  });
  auto region = place.open();
  CHECK(region->created() && is_new_and_usable(*region));
}

void died_replacing_a_stale_segment_after_the_unlink() {
  const Place place("stale");
  make_stale(place);
  killed_after([&] {
    const int fd = open(place.path.c_str(), O_RDWR);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || unlink(place.path.c_str()) != 0) _exit(1);
  });
  auto region = place.open();
  CHECK(region->created() && is_new_and_usable(*region));
}

void a_living_process_that_holds_the_lock_is_waited_for_until_the_deadline() {
  const Place place("stale");
  make_stale(place);
  const int fd = open(place.path.c_str(), O_RDWR | O_CLOEXEC);
  CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
  Status status;
  CHECK(place.open(status) == nullptr && status.code == Code::kStaleBoot);
  close(fd);
  CHECK(place.open()->created());
}

// A foreign creator that builds in place: how far it came, and what an opener is told.
void a_foreign_creator_died_before_ready() {
  auto whole = private_region();
  whole->header()->ready.store(0);
  for (const size_t written : {size_t{0}, size_t{8}, sizeof(Header), kFlagSegmentBytes}) {
    const Place place("foreign");
    killed_after([&] {
      const int fd = open(place.path.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
      const bool sized = written == 0 || ftruncate(fd, kFlagSegmentBytes) == 0;
      if (fd < 0 || !sized || !write_whole(fd, whole->base(), written)) _exit(1);
    });
    Status status;
    CHECK(place.open(status) == nullptr && status.code == Code::kHalfInitialised);
  }
}

}  // namespace

int main() {
  RUN(died_before_the_link);
  RUN(died_before_the_link_of_a_hidden_name);
  RUN(died_after_the_link);
  RUN(died_replacing_a_stale_segment_before_the_unlink);
  RUN(died_replacing_a_stale_segment_after_the_unlink);
  RUN(a_living_process_that_holds_the_lock_is_waited_for_until_the_deadline);
  RUN(a_foreign_creator_died_before_ready);
}
