// A mapped segment, shared by name or private to this process.
//
// Create: the segment is built complete in an unnamed file and then linked under its name (link fails with EEXIST
// when somebody was first, which means: attach, never clear). So no half-built segment of ours is ever visible. On a
// file system without O_TMPFILE the file has a hidden name, which a death before the link leaves behind.
//
// Crash table (create)
//   died before the link            nothing is visible; the kernel frees the unnamed file
//   died after the link             a complete, empty segment; the next opener attaches to it
//   died replacing a stale segment  the lock goes with the process; the name is absent or still stale, so the next
//                                   opener creates or replaces it
//   a foreign creator that builds in place and dies leaves `ready` unset: named kHalfInitialised after the deadline
//
// Nobody unlinks at exit: an emergency outlives the process that raised it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "shm_layout.h"
#include "slot_locks.h"
#include "status.h"

namespace esper {

struct RegionOptions {
  SegmentKind kind = SegmentKind::kEmergency;
  std::string name;
  std::string directory = "/dev/shm";
  uint32_t attach_timeout_ms = 1000;
  bool allow_group = false;
  uint32_t stripes = 0;  // histogram only
};

class Region {
 public:
  // Maps the named segment, creating it when it is absent. Null with `status` set when that cannot be.
  static std::shared_ptr<Region> open_shared(const RegionOptions& options, Status& status);

  // Memory of this process: every open of the same kind and name in the process gives the same region.
  // `created`: whether it was this open that made it.
  static std::shared_ptr<Region> open_private(const RegionOptions& options, Status& status, bool* created = nullptr);

  // A segment whose bytes the caller holds: a copy, a debugger's, a fuzzer's. Its header is checked as at an attach.
  // REQUIRES: 64-byte aligned; the bytes outlive the region, which never frees them.
  static std::shared_ptr<Region> over_bytes(uint8_t* bytes, size_t size, SegmentKind kind, Status& status);

  // Removes the name (own uid only), and nothing that was put there while it looked. kOk with removed=false when there
  // is none. Waits up to a second for the lock of somebody who replaces or removes it.
  static Status unlink(const std::string& name, const std::string& directory, bool& removed);

  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  [[nodiscard]] uint8_t* base() const { return base_; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool shared() const { return !path_.empty(); }
  // Shared: this open created the segment.
  [[nodiscard]] bool created() const { return created_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] SlotLocks& locks() { return locks_; }
  [[nodiscard]] Header* header() const { return reinterpret_cast<Header*>(base_); }

  // True when the name no longer leads to this memory: somebody removed or replaced the file.
  [[nodiscard]] bool name_moved() const;

 private:
  friend class RegionBuilder;
  Region() = default;
  static std::shared_ptr<Region> make_private(const RegionOptions& options, Status& status);

  uint8_t* base_ = nullptr;
  size_t size_ = 0;
  bool mapped_ = true;
  bool created_ = false;
  std::string path_;
  std::string name_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
  SlotLocks locks_;
};

// Bytes of a segment of that kind.
size_t segment_bytes(SegmentKind kind, uint32_t stripes);

// Fills a zeroed segment up to, not including, the ready word.
void initialise_segment(uint8_t* base, SegmentKind kind, uint32_t stripes);

// Checks a header that was read from a file of `file_size` bytes. kHalfInitialised means: look again.
Status check_header(const Header& header, uint64_t file_size, SegmentKind kind);

uint32_t header_crc(const Header& header);

}  // namespace esper
