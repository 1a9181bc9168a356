// The bytes of a segment as a fuzz input describes them. A whole segment is far larger than an input should be, so an
// input is a beginning (zeros, or a segment just created) and what is written over it.
//
//   u8   how it begins, see Begin
//   ...  the size, by Begin
//   then patches, each `u8 kind, where, what`, up to a kind of kEndPatches or the end of the input
#pragma once

#include <cstdlib>
#include <memory>

#include "input.h"
#include "region.h"

namespace esper::fuzz {

inline constexpr uint8_t kEndPatches = 0xff;

struct Begin {
  static constexpr uint8_t kFresh = 1;      // as created, else zeros
  static constexpr uint8_t kMended = 2;     // the header's checksum is made right after the patches
  static constexpr uint8_t kAnySize = 4;    // u32 gives the size, else it is the right one
  static constexpr uint8_t kInFile = 8;     // attached through a file, else over the bytes
  static constexpr uint8_t kRollback = 16;  // kind asked for and written, else emergency
};

// Patches of a flag segment.
enum class Patch : uint8_t { kHeader, kControl, kSlot, kRecord, kSeal, kWholeRecord, kNextTicket, kAnywhere, kCount };

class SegmentImage {
 public:
  explicit SegmentImage(size_t size) : size_(size), bytes_(allocate(size)) {}

  [[nodiscard]] uint8_t* bytes() const { return bytes_.get(); }
  [[nodiscard]] size_t size() const { return size_; }

  void begin_fresh(SegmentKind kind, uint32_t stripes) {
    if (size_ < segment_bytes(kind, stripes)) return;
    initialise_segment(bytes(), kind, stripes);
    std::memset(header().nonce, 7, sizeof header().nonce);  // an input must mean the same every time
    header().crc32c = header_crc(header());
    header().ready.store(kReady, std::memory_order_relaxed);
  }

  void mend_header() {
    if (size_ >= sizeof(Header)) header().crc32c = header_crc(header());
  }

  // The next `u8 size` bytes of the input, over what is at `at`.
  void overwrite(Input& input, size_t at) {
    uint8_t patch[256];
    const size_t got = input.take_bytes(patch, input.take<uint8_t>());
    if (at >= size_) return;
    std::memcpy(bytes() + at, patch, std::min(got, size_ - at));
  }

  template <typename Number>
  void put(size_t at, Number value) {
    if (at + sizeof value <= size_) std::memcpy(bytes() + at, &value, sizeof value);
  }

  [[nodiscard]] Header& header() const { return *reinterpret_cast<Header*>(bytes()); }

 private:
  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };

  // Ends with the segment to the byte, so that AddressSanitizer sees the first one beyond it.
  static uint8_t* allocate(size_t size) {
    void* bytes = nullptr;
    if (posix_memalign(&bytes, 64, size == 0 ? 1 : size) != 0) std::abort();
    std::memset(bytes, 0, size);
    return static_cast<uint8_t*>(bytes);
  }

  size_t size_;
  std::unique_ptr<uint8_t, Free> bytes_;
};

}  // namespace esper::fuzz
