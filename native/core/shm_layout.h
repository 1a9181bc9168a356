// Every byte of a segment. Little endian, fixed width; docs/shm-format.md is the same table for people who attach
// from another language. A change that moves a field raises kAbiMajor; one that uses reserved bytes, kAbiMinor.
//
//   flag segment (emergency, rollback):  header 256 | control 64 | counters 64 | reserved | slots | record ring
//   histogram segment:                   header 256 | counters 64 | reserved to 4096 | stripes
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace esper {

static_assert(std::endian::native == std::endian::little, "the segment is little endian");
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free,
              "a lock inside an atomic would live in one process only");
static_assert(sizeof(std::atomic<uint64_t>) == 8 && alignof(std::atomic<uint64_t>) == 8 &&
                  sizeof(std::atomic<uint32_t>) == 4 && alignof(std::atomic<uint32_t>) == 4,
              "JavaScript, Python and the kernel's futex see plain aligned words");

inline constexpr char kMagic[8] = {'E', 'S', 'P', 'E', 'R', 'S', 'H', 'M'};
inline constexpr uint16_t kAbiMajor = 1;
inline constexpr uint16_t kAbiMinor = 1;  // 1.1: phases, limits and locks of slots
inline constexpr uint32_t kReady = 0x59444552;  // "REDY"
inline constexpr size_t kMaxSegmentBytes = 64u << 20;

enum class SegmentKind : uint32_t { kEmergency = 1, kRollback = 2, kHistogram = 3 };

struct Header {
  char magic[8];
  std::atomic<uint32_t> ready;  // kReady, stored last with release
  uint16_t abi_major;
  uint16_t abi_minor;
  uint64_t total_size;
  uint32_t kind;
  uint32_t header_size;
  uint32_t control_offset;
  uint32_t slots_offset;
  uint32_t slot_count;
  uint32_t slot_size;
  uint32_t records_offset;  // histogram: the stripes
  uint32_t record_count;
  uint32_t record_size;
  uint32_t owner_uid;
  uint8_t boot_id[16];
  uint64_t time_ns_inode;  // CLOCK_MONOTONIC compares only inside one time namespace
  uint64_t pid_ns_inode;   // pids below mean something only inside it
  uint32_t creator_pid;
  uint32_t reserved0;
  uint64_t creator_start_ticks;
  uint8_t nonce[16];
  uint32_t crc32c;  // of bytes 0-127 with `ready` taken as 0
  uint8_t reserved1[124];
};

// The control word. Low half: generation (also the futex word of outside watchers). High half, read alone by
// JavaScript: level in bits 0-2, flags in bits 3-7, low 24 bits of the ticket applied last in bits 8-31.
struct Control {
  std::atomic<uint64_t> word;
  uint8_t reserved[56];
};

struct Counters {
  std::atomic<uint64_t> next_ticket;
  std::atomic<uint64_t> overwritten_unpublished;
  std::atomic<uint64_t> repairs;
  std::atomic<uint32_t> slot_high_water;  // slots at and above this were never used
  uint8_t reserved[36];
};

inline constexpr size_t kRoleBytes = 32;
inline constexpr size_t kNameBytes = 64;

struct Slot {
  std::atomic<uint64_t> owner;  // low half: owner id, 0 = free; high half: incarnation, raised by every claim
  std::atomic<uint32_t> filled;  // incarnation whose fields below are whole
  std::atomic<uint32_t> pid;
  std::atomic<uint64_t> start_ticks;
  std::atomic<uint64_t> heartbeat_ns;
  std::atomic<uint32_t> phase;  // kPhase… in bits 0-7, kPhaseSuspended
  std::atomic<uint32_t> flags;  // kSlotMember, kSlotWake, kSlotLocked
  std::atomic<uint32_t> seen_generation;
  std::atomic<uint32_t> acknowledged_generation;
  std::atomic<uint32_t> wake_word;  // futex: how a watcher is reached that has no queue
  std::atomic<uint32_t> limit_ms;  // longest silence allowed now; 0 = not judged
  std::atomic<uint64_t> queue;  // number of the queue opened last for this slot, by whatever owner; names it
  std::atomic<uint64_t> acknowledged_ns;
  std::atomic<uint64_t> seen_ns;
  std::atomic<uint64_t> sizes;  // role size in byte 0, name size in byte 1
  uint64_t reserved1;
  std::atomic<uint64_t> role[kRoleBytes / 8];
  std::atomic<uint64_t> name[kNameBytes / 8];
};

inline constexpr uint32_t kSlotMember = 1;  // clears wait for it, halts expect its acknowledgement
inline constexpr uint32_t kSlotWake = 2;    // it wants to be woken
inline constexpr uint32_t kSlotLocked = 4;  // its owner holds the file's lock on the first byte of the slot

// What a participant is doing. Numbers are for ever: other languages write them.
inline constexpr uint32_t kPhaseIdle = 0;
inline constexpr uint32_t kPhaseTraining = 1;
inline constexpr uint32_t kPhaseCheckpointing = 2;
inline constexpr uint32_t kPhaseRestoring = 3;
inline constexpr uint32_t kPhaseMask = 0xff;
inline constexpr uint32_t kPhaseSuspended = 0x100;  // it asked not to be judged for now

// The part of its own slot that a participant writes while it runs, and all that JavaScript gets to see of it.
inline constexpr size_t kPulseOffset = 24;
inline constexpr size_t kPulseBytes = 32;

inline constexpr size_t kSignalIdBytes = 64;
inline constexpr size_t kSubjectBytes = 64;
inline constexpr size_t kOriginBytes = 64;
inline constexpr size_t kRunIdBytes = 96;
inline constexpr size_t kReasonBytes = 384;

// What a record says, as plain bytes. In the ring it lives as relaxed atomic words (see Record).
struct Payload {
  uint64_t ticket;
  uint8_t kind;
  uint8_t level;
  uint8_t flags;
  uint8_t tier;
  uint32_t pid;
  uint64_t start_ticks;
  uint64_t monotonic_ns;
  int64_t wall_ns;
  uint64_t step;
  uint64_t deadline_ns;
  uint32_t cleared_generation;
  uint32_t cleared_level;
  uint32_t reason_given_size;
  uint16_t reason_size;
  uint8_t signal_id_size;
  uint8_t origin_size;
  uint8_t run_id_size;
  uint8_t subject_size;
  uint8_t reserved[6];
  char signal_id[kSignalIdBytes];
  char subject[kSubjectBytes];
  char origin[kOriginBytes];
  char run_id[kRunIdBytes];
  char reason[kReasonBytes];
  uint32_t crc32c;  // of every payload byte before it
  uint32_t reserved1;
};

inline constexpr size_t kPayloadWords = sizeof(Payload) / 8;

struct Record {
  std::atomic<uint64_t> state;      // phase in bits 0-7, ticket's low 24 bits in 8-31, owner or generation in 32-63
  std::atomic<uint64_t> published;  // status in bits 0-7, ticket's low 24 bits in 8-31, publisher's pid in 32-63
  std::atomic<uint64_t> words[kPayloadWords];
  uint8_t reserved[56];
};

inline constexpr uint8_t kKindTrigger = 1;
inline constexpr uint8_t kKindClear = 2;
inline constexpr uint8_t kFlagRemote = 1;
inline constexpr uint8_t kFlagForced = 2;

inline constexpr uint32_t kSlotCount = 128;
inline constexpr uint32_t kRecordCount = 256;

inline constexpr size_t kControlOffset = 256;
inline constexpr size_t kCountersOffset = 320;
inline constexpr size_t kSlotsOffset = 512;
inline constexpr size_t kRecordsOffset = 28672;
inline constexpr size_t kFlagSegmentBytes = kRecordsOffset + kRecordCount * sizeof(Record);

static_assert(sizeof(Header) == 256 && std::is_standard_layout_v<Header>);
static_assert(offsetof(Header, ready) == 8 && offsetof(Header, abi_major) == 12);
static_assert(offsetof(Header, total_size) == 16 && offsetof(Header, kind) == 24);
static_assert(offsetof(Header, control_offset) == 32 && offsetof(Header, records_offset) == 48);
static_assert(offsetof(Header, owner_uid) == 60 && offsetof(Header, boot_id) == 64);
static_assert(offsetof(Header, time_ns_inode) == 80 && offsetof(Header, creator_pid) == 96);
static_assert(offsetof(Header, creator_start_ticks) == 104 && offsetof(Header, nonce) == 112);
static_assert(offsetof(Header, crc32c) == 128);
static_assert(sizeof(Control) == 64 && sizeof(Counters) == 64);
static_assert(sizeof(Slot) == 192 && offsetof(Slot, heartbeat_ns) == 24 && offsetof(Slot, flags) == 36);
static_assert(offsetof(Slot, wake_word) == 48 && offsetof(Slot, limit_ms) == 52 && offsetof(Slot, queue) == 56);
static_assert(offsetof(Slot, heartbeat_ns) == kPulseOffset && offsetof(Slot, phase) == 32);
static_assert(offsetof(Slot, limit_ms) + 4 == kPulseOffset + kPulseBytes);
static_assert(offsetof(Slot, role) == 96 && offsetof(Slot, name) == 128);
static_assert(sizeof(Payload) == 760 && offsetof(Payload, kind) == 8 && offsetof(Payload, step) == 40);
static_assert(offsetof(Payload, reason_given_size) == 64 && offsetof(Payload, signal_id) == 80);
static_assert(offsetof(Payload, reason) == 368 && offsetof(Payload, crc32c) == 752);
static_assert(std::is_trivially_copyable_v<Payload>);
// Nobody constructs or destroys these: they are mapped and unmapped.
static_assert(std::is_trivially_destructible_v<Header> && std::is_trivially_destructible_v<Control> &&
              std::is_trivially_destructible_v<Slot> && std::is_trivially_destructible_v<Record>);
static_assert(kControlOffset % 64 == 0 && kCountersOffset % 64 == 0 && kSlotsOffset % 64 == 0 &&
              kRecordsOffset % 64 == 0 && sizeof(Slot) % 64 == 0);
static_assert(sizeof(Record) == 832 && offsetof(Record, words) == 16 && sizeof(Record) % 64 == 0);
static_assert(kSlotsOffset + kSlotCount * sizeof(Slot) <= kRecordsOffset);
static_assert(kFlagSegmentBytes == 241664 && kFlagSegmentBytes % 4096 == 0);
static_assert(std::has_single_bit(kRecordCount) && kRecordCount <= (1u << 24));

}  // namespace esper
