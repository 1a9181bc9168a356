// Creating a segment, alone and in the place of one of an earlier boot.
#pragma once

#include <functional>

#include "crash_case.h"

namespace esper::verify {

class CreateCase : public CrashCase {
 public:
  // `create`: what is stepped, instead of opening the name.
  CreateCase(const std::string& name, const std::string& directory, bool stale,
             std::function<void(const CreateCase&)> create = {})
      : CrashCase(name, directory), stale_(stale), create_(std::move(create)) {}
  ~CreateCase() override { unlink(path().c_str()); }

  void reset() override {
    unlink(path().c_str());
    if (!stale_) return;
    auto old = open(options(SegmentKind::kEmergency));
    Flag(old).trigger(test::request(4, "of an earlier boot"));
    old->header()->boot_id[0] ^= 0xff;
    old->header()->crc32c = header_crc(*old->header());
  }
  void prepare() override { self_identity(); }
  void operate() override {
    if (create_) return create_(*this);
    child_region_ = open(options(SegmentKind::kEmergency));
  }
  [[nodiscard]] std::unique_ptr<WatchedBytes> watch() const override {
    return std::make_unique<WatchedBytes>(directory(), path());
  }
  // The unnamed file's bytes under a name, as a creator would leave them that builds in place.
  void check_copy(const WatchedBytes& watched, uint32_t, bool done, Findings& findings) override {
    RegionOptions how = options(SegmentKind::kEmergency);
    how.name = "copy";
    how.attach_timeout_ms = 1;
    const std::string copy = path_of(how.name, how.directory);
    write_file(copy, watched.bytes());
    uint32_t ready = 0;
    if (watched.bytes().size() > sizeof(Header)) {
      std::memcpy(&ready, watched.bytes().data() + offsetof(Header, ready), sizeof ready);
    }
    Status status;
    auto region = Region::open_shared(how, status);
    findings.expect((region != nullptr) == (ready == kReady), "attaching gives " + name_of(status));
    findings.expect(region != nullptr || status.code == Code::kHalfInitialised, "attaching gives " + name_of(status));
    findings.expect(ready == kReady || watched.named() == 0 || (stale_ && watched.bytes().empty()) || still_stale(),
                    "the name leads to a segment that is not ready");
    findings.expect(ready == kReady || !done, "it was created and is not ready");
    if (region != nullptr) check_fresh(region, findings);
    unlink(copy.c_str());
  }
  void check_real(bool done, Findings& findings) override {
    const bool there = access(path().c_str(), F_OK) == 0;
    const bool stale = still_stale();
    Status status;
    auto region = Region::open_shared(options(SegmentKind::kEmergency), status);
    findings.expect(region != nullptr, "the next opener gets " + name_of(status));
    findings.expect(there || !done, "it was created and is not there");
    findings.expect(only_the_segment(), "something else was left in the directory");
    if (region == nullptr) return;
    findings.expect(region->created() == (!there || stale), "the next opener did not get the segment that is there");
    check_fresh(region, findings);
  }

 private:
  static std::string name_of(const Status& status) { return status.ok() ? "a segment" : code_name(status.code); }

  // Whether the name still leads to the segment of the earlier boot.
  [[nodiscard]] bool still_stale() const {
    Header header{};
    const int fd = ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool read = pread(fd, static_cast<void*>(&header), sizeof header, 0) == sizeof header;
    close(fd);
    return read && check_header(header, kFlagSegmentBytes, SegmentKind::kEmergency).code == Code::kStaleBoot;
  }
  [[nodiscard]] bool only_the_segment() const {
    DIR* entries = opendir(directory().c_str());
    CHECK(entries != nullptr);
    uint32_t others = 0;
    while (const dirent* entry = readdir(entries)) {
      const std::string found = directory() + "/" + entry->d_name;
      others += entry->d_name[0] != '.' && found != path();
      others += std::strncmp(entry->d_name, ".esper", 6) == 0;
    }
    closedir(entries);
    return others == 0;
  }
  static void write_file(const std::string& path, const std::vector<uint8_t>& bytes) {
    const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    close(fd);
  }
  static void check_fresh(const std::shared_ptr<Region>& region, Findings& findings) {
    Flag flag(region);
    const FlagFacts facts = observe(flag);
    findings.expect(facts.control.level == 0 && facts.control.generation == 0, "a new segment is raised");
    findings.expect(facts.records.empty() && facts.next_ticket == 0, "a new segment has records");
    findings.expect(flag.slots().members().empty() && flag.slots().high_water() == 0, "a new segment has participants");
    check_settled(region, findings);
    check_usable(region, true, findings);
  }

  bool stale_;
  std::function<void(const CreateCase&)> create_;
  std::shared_ptr<Region> child_region_;
};

}  // namespace esper::verify
