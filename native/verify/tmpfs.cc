// On a /dev/shm of its own that is far too small: creates segments until it is full. The answer must be kNoSpace, never
// a SIGBUS; what exists goes on working to its last byte; a file with holes is refused; room that is made is used.
//
// Usage: verify_tmpfs DIRECTORY SEGMENTS     SEGMENTS: how many flag segments fit
// Prints one line of JSON; ends 1 when something that must not be was found (a signal says the same).
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "flag.h"
#include "latency_histogram.h"

using namespace esper;

namespace {

int violations = 0;

void must(bool holds, const char* what) {
  if (holds) return;
  violations++;
  std::fprintf(stderr, "violation: %s\n", what);
}

RegionOptions options_for(const char* directory, int number) {
  RegionOptions options;
  options.directory = directory;
  options.name = "tmpfs-" + std::to_string(number);
  options.attach_timeout_ms = 20;
  return options;
}

int count_files(const char* directory) {
  DIR* listing = opendir(directory);
  if (listing == nullptr) return -1;
  int count = -2;  // . and ..
  while (readdir(listing) != nullptr) count++;
  closedir(listing);
  return count;
}

// Every page is written: where one has no block behind it, this is the SIGBUS.
void write_every_page(Region& region) {
  for (size_t at = 0; at < region.size(); at += 4096) {
    volatile uint8_t& byte = region.base()[at];
    byte = byte;
  }
}

void works_on(const std::shared_ptr<Region>& region) {
  write_every_page(*region);
  Flag flag(region);
  Request request;
  request.level = 4;
  request.reason = "on a full file system";
  for (uint32_t i = 0; i < kRecordCount + 8; i++) flag.trigger(request);
  must(flag.control().level == 4 && flag.history().size() == kRecordCount, "an existing segment no longer works");
}

std::vector<std::shared_ptr<Region>> fill(const char* directory, int fits, int& refused) {
  std::vector<std::shared_ptr<Region>> regions;
  for (int number = 0; number < fits + 3; number++) {
    Status status;
    auto region = Region::open_shared(options_for(directory, number), status);
    if (region != nullptr) {
      regions.push_back(std::move(region));
      continue;
    }
    refused++;
    must(status.code == Code::kNoSpace && !status.message.empty(), "full, and another code than kNoSpace");
  }
  must(static_cast<int>(regions.size()) == fits, "not as many segments as fit");
  must(count_files(directory) == fits, "a refused segment left a file");
  return regions;
}

// As a creator in another language may leave it: a size, and no blocks.
void holes_are_refused(const char* directory, const Region& like, int number) {
  const RegionOptions options = options_for(directory, number);
  const std::string path = std::string(directory) + "/esper." + std::to_string(geteuid()) + "." + options.name;
  const int file = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  // The header's page is taken from the last free blocks, if any: without it there is nothing to attach to.
  const bool made = file >= 0 && ftruncate(file, static_cast<off_t>(like.size())) == 0 &&
                    pwrite(file, like.base(), sizeof(Header), 0) == static_cast<ssize_t>(sizeof(Header));
  if (file >= 0) close(file);
  must(made, "there was no page left for the header of a file with holes");
  Status status;
  const bool refused = Region::open_shared(options, status) == nullptr;
  must(refused && status.code == Code::kNoSpace, "a file with holes is attached");
  unlink(path.c_str());
}

void room_is_used(const char* directory, int fits) {
  bool removed = false;
  must(Region::unlink(options_for(directory, 0).name, directory, removed).ok() && removed, "it cannot be removed");
  RegionOptions options = options_for(directory, fits + 10);
  options.kind = SegmentKind::kHistogram;
  options.stripes = 1;
  Status status;
  auto region = Region::open_shared(options, status);
  must(region != nullptr, "room that was made is not used");
  if (region == nullptr) return;
  write_every_page(*region);
  LatencyHistogram histogram(region);
  histogram.record(1000);
  must(histogram.snapshot().sum_ns == 1000, "a histogram does not work");
}

}  // namespace

int main(int argc, char** argv) {
  const int fits = argc == 3 ? std::atoi(argv[2]) : -1;
  if (fits < 0 || count_files(argv[1]) != 0) {
    std::fprintf(stderr, "usage: verify_tmpfs EMPTY_DIRECTORY SEGMENTS\n");
    return 2;
  }
  int refused = 0;
  auto regions = fill(argv[1], fits, refused);
  const size_t created = regions.size();
  for (const auto& region : regions) works_on(region);
  if (!regions.empty()) {
    holes_are_refused(argv[1], *regions.front(), fits + 5);
    for (const auto& region : regions) works_on(region);
    const std::shared_ptr<Region> first = regions.front();
    regions.clear();
    works_on(first);
  }
  if (fits > 0) room_is_used(argv[1], fits);
  std::printf("{\"created\": %zu, \"refused\": %d, \"violations\": %d}\n", created, refused, violations);
  return violations == 0 ? 0 : 1;
}
