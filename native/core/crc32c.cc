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

}  // namespace

uint32_t crc32c(const void* data, size_t size, uint32_t seed) {
  const auto* at = static_cast<const uint8_t*>(data);
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

}  // namespace esper
