// One operation under the crash injector: what a child does, and what must hold when it stops being there.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <memory>
#include <string>

#include "check.h"
#include "dead_owner.h"
#include "invariants.h"
#include "region_paths.h"
#include "watched_bytes.h"

namespace esper::verify {

// Set by the child when its operation has returned.
inline std::atomic<uint32_t>& done_flag() {
  static auto* flag = static_cast<std::atomic<uint32_t>*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  return *flag;
}

class CrashCase {
 public:
  CrashCase(std::string name, std::string directory) : name_(std::move(name)), directory_(std::move(directory)) {}
  virtual ~CrashCase() = default;
  CrashCase(const CrashCase&) = delete;
  CrashCase& operator=(const CrashCase&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string path() const { return path_of(name_, directory_); }

  virtual void reset() = 0;    // the same state before every run
  virtual void prepare() = 0;  // in the child, not stepped
  virtual void operate() = 0;  // in the child, stepped
  [[nodiscard]] virtual std::unique_ptr<WatchedBytes> watch() const = 0;
  // On a copy of what `watched` saw last. `child`: still alive, though it does not run.
  virtual void check_copy(const WatchedBytes& watched, uint32_t child, bool done, Findings& findings) = 0;
  // On the real thing, the child being dead and reaped.
  virtual void check_real(bool done, Findings& findings) = 0;

 protected:
  [[nodiscard]] RegionOptions options(SegmentKind kind, uint32_t stripes = 0) const {
    RegionOptions out;
    out.kind = kind;
    out.name = name_;
    out.directory = directory_;
    out.stripes = stripes;
    out.attach_timeout_ms = 60000;  // the child is slow while it is stepped
    return out;
  }
  [[nodiscard]] std::shared_ptr<Region> open(const RegionOptions& how) const {
    Status status;
    auto region = Region::open_shared(how, status);
    if (region == nullptr) std::fprintf(stderr, "%s: %s\n", name_.c_str(), status.message.c_str());
    CHECK(region != nullptr);
    return region;
  }
  // Memory of this process with the bytes of another segment in it.
  [[nodiscard]] static std::shared_ptr<Region> copy_of(const std::vector<uint8_t>& bytes, SegmentKind kind,
                                                       uint32_t stripes = 0) {
    RegionOptions how;
    how.kind = kind;
    how.name = "copy";
    how.stripes = stripes;
    Status status;
    auto region = Region::open_private(how, status);
    CHECK(region != nullptr && region->size() == bytes.size());
    std::memcpy(region->base(), bytes.data(), bytes.size());
    return region;
  }

 private:
  std::string name_;
  std::string directory_;
};

// Of a process that is gone, to stand for the child in a copy. One for all: a pid is soon somebody else's.
inline uint32_t gone_owner() {
  static const uint32_t owner = test::dead_owner();
  return owner;
}

}  // namespace esper::verify
