#pragma once

#include <cstddef>
#include <cstdint>

namespace esper {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4), chosen because other languages have it and processors compute it.
// `seed` continues an earlier sum. crc32c("123456789", 9) == 0xe3069283.
uint32_t crc32c(const void* data, size_t size, uint32_t seed = 0);

// The same without the processor's instruction; the tests compare the two.
uint32_t crc32c_portable(const void* data, size_t size, uint32_t seed = 0);

}  // namespace esper
