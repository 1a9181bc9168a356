// What a segment's header must say: written once at creation, checked at every attach.
#include <cstdio>
#include <cstring>

#include "control_word.h"
#include "crc32c.h"
#include "histogram_layout.h"
#include "identity.h"
#include "region.h"

namespace esper {

size_t segment_bytes(SegmentKind kind, uint32_t stripes) {
  return kind == SegmentKind::kHistogram ? histogram_segment_bytes(stripes) : kFlagSegmentBytes;
}

uint32_t header_crc(const Header& header) {
  uint8_t bytes[offsetof(Header, crc32c)];
  std::memcpy(bytes, static_cast<const void*>(&header), sizeof bytes);
  std::memset(bytes + offsetof(Header, ready), 0, sizeof(uint32_t));
  return crc32c(bytes, sizeof bytes);
}

void initialise_segment(uint8_t* base, SegmentKind kind, uint32_t stripes) {
  auto* header = reinterpret_cast<Header*>(base);
  const Identity self = self_identity();
  std::memcpy(header->magic, kMagic, sizeof kMagic);
  header->abi_major = kAbiMajor;
  header->abi_minor = kAbiMinor;
  header->total_size = segment_bytes(kind, stripes);
  header->kind = static_cast<uint32_t>(kind);
  header->header_size = sizeof(Header);
  if (kind == SegmentKind::kHistogram) {
    header->records_offset = kStripesOffset;
    header->record_count = stripes;
    header->record_size = sizeof(Stripe);
  } else {
    header->control_offset = kControlOffset;
    header->slots_offset = kSlotsOffset;
    header->slot_count = kSlotCount;
    header->slot_size = sizeof(Slot);
    header->records_offset = kRecordsOffset;
    header->record_count = kRecordCount;
    header->record_size = sizeof(Record);
    reinterpret_cast<Control*>(base + kControlOffset)->word.store(kInitialControl.pack(), std::memory_order_relaxed);
  }
  header->owner_uid = self.uid;
  std::memcpy(header->boot_id, self.boot_id.data(), sizeof header->boot_id);
  header->time_ns_inode = self.time_ns;
  header->pid_ns_inode = self.pid_ns;
  header->creator_pid = self.pid;
  header->creator_start_ticks = self.start_ticks;
  random_bytes(header->nonce, sizeof header->nonce);
  header->crc32c = header_crc(*header);
}

namespace {

bool layout_matches(const Header& header, SegmentKind kind) {
  if (kind == SegmentKind::kHistogram) {
    return header.records_offset == kStripesOffset && header.record_size == sizeof(Stripe) &&
           header.record_count >= 1 && header.record_count <= kMaxStripes;
  }
  return header.control_offset == kControlOffset && header.slots_offset == kSlotsOffset &&
         header.slot_count == kSlotCount && header.slot_size == sizeof(Slot) &&
         header.records_offset == kRecordsOffset && header.record_count == kRecordCount &&
         header.record_size == sizeof(Record);
}

Status bad(Code code, const std::string& message) { return {code, message, nullptr, 0}; }

}  // namespace

Status check_header(const Header& header, uint64_t file_size, SegmentKind kind) {
  static constexpr char kNoMagic[sizeof kMagic] = {};
  if (std::memcmp(header.magic, kNoMagic, sizeof kMagic) == 0) {
    return bad(Code::kHalfInitialised, "its creator has not written the header");
  }
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) {
    return bad(Code::kBadMagic, "it does not begin with the magic of a segment");
  }
  // PAIRS-WITH(region.ready): acquire, so that what is checked and mapped next is whole
  if (header.ready.load(std::memory_order_acquire) != kReady) {
    return bad(Code::kHalfInitialised, "its creator has not marked it ready");
  }
  if (header.abi_major != kAbiMajor) {
    char text[96];
    std::snprintf(text, sizeof text, "its layout is version %u.%u, this build reads %u.%u", header.abi_major,
                  header.abi_minor, kAbiMajor, kAbiMinor);
    return bad(Code::kBadVersion, text);
  }
  if (header.crc32c != header_crc(header)) return bad(Code::kBadHeader, "its header's checksum is wrong");
  if (header.kind != static_cast<uint32_t>(kind)) {
    return bad(Code::kWrongKind, "it holds kind " + std::to_string(header.kind) + ", asked for kind " +
                                     std::to_string(static_cast<uint32_t>(kind)));
  }
  if (file_size < header.total_size) return bad(Code::kTruncated, "the file is shorter than its header says");
  if (file_size > header.total_size) return bad(Code::kOversized, "the file is longer than its header says");
  if (header.header_size != sizeof(Header) || !layout_matches(header, kind) ||
      header.total_size != segment_bytes(kind, header.record_count)) {
    return bad(Code::kBadHeader, "its sizes and offsets are not those of this version");
  }
  const Identity self = self_identity();
  if (!self.whole) return bad(Code::kSystem, "this process cannot read its own identity in /proc");
  if (std::memcmp(header.boot_id, self.boot_id.data(), sizeof header.boot_id) != 0) {
    return bad(Code::kStaleBoot, "it is from an earlier boot of this host");
  }
  if (header.time_ns_inode != self.time_ns) {
    return bad(Code::kForeignClock, "its creator's monotonic clock is another one (time namespace)");
  }
  return {};
}

}  // namespace esper
