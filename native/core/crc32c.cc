#include "crc32c.h"

#include <array>
#include <cstring>

namespace esper {
namespace {

using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t sum = byte;
    for (int bit = 0; bit < 8; bit++) sum = (sum >> 1) ^ (0x82f63b78u & (0u - (sum & 1u)));
    tables[0][byte] = sum;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    for (size_t k = 1; k < 8; k++) {
      tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

// The processor's own instruction. The tables above are 8 KiB: in a process that was asleep they are out of cache, and
// reading them back is most of the time a trigger takes.
__attribute__((target("sse4.2"))) uint32_t by_instruction(const uint8_t* at, size_t size, uint32_t seed) {
  uint64_t sum = static_cast<uint32_t>(~seed);
  for (; size >= 8; at += 8, size -= 8) {
    uint64_t chunk;
    std::memcpy(&chunk, at, 8);
    sum = __builtin_ia32_crc32di(sum, chunk);
  }
  for (; size > 0; at++, size--) sum = __builtin_ia32_crc32qi(static_cast<uint32_t>(sum), *at);
  return ~static_cast<uint32_t>(sum);
}

bool has_instruction() {
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
}

#endif

uint32_t by_tables(const uint8_t* at, size_t size, uint32_t seed) {
  uint32_t sum = ~seed;
  for (; size >= 8; at += 8, size -= 8) {
    uint64_t chunk;
    std::memcpy(&chunk, at, 8);
    chunk ^= sum;
    sum = 0;
    for (size_t k = 0; k < 8; k++) sum ^= kTables[7 - k][(chunk >> (8 * k)) & 0xff];
  }
  for (; size > 0; at++, size--) sum = (sum >> 8) ^ kTables[0][(sum ^ *at) & 0xff];
  return ~sum;
}

}  // namespace

uint32_t crc32c(const void* data, size_t size, uint32_t seed) {
  const auto* bytes = static_cast<const uint8_t*>(data);
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
  if (has_instruction()) return by_instruction(bytes, size, seed);
#endif
  return by_tables(bytes, size, seed);
}

uint32_t crc32c_portable(const void* data, size_t size, uint32_t seed) {
  return by_tables(static_cast<const uint8_t*>(data), size, seed);
}

}  // namespace esper
