// The bytes of a record, and the checksum that guards them.
#include <cstring>

#include "check.h"
#include "crc32c.h"

using namespace esper;
using namespace esper::test;

namespace {

void the_checksum_is_crc32c_with_and_without_the_instruction() {
  CHECK(crc32c("123456789", 9) == 0xe3069283u);
  uint8_t bytes[300];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = static_cast<uint8_t>(i * 7 + 3);
  for (size_t size = 0; size <= sizeof bytes; size++) {
    CHECK(crc32c(bytes, size) == crc32c_portable(bytes, size));
    CHECK(crc32c(bytes + size / 2, size - size / 2, crc32c(bytes, size / 2)) == crc32c(bytes, size));
  }
}

void text_is_never_cut_inside_a_character() {
  const std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\xa8";  // 1 + 2 + 3 + 4 bytes
  const size_t whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
  for (size_t limit = 0; limit <= 10; limit++) CHECK(cut_utf8(text, limit).size() == whole[limit]);
}

void a_flipped_bit_anywhere_is_noticed() {
  Payload payload;
  const Request asked = request(3, "reason");
  encode_request(asked, payload);
  const uint8_t nonce[16] = {1, 2, 3};
  seal_payload(asked, nonce, 255, payload);
  CHECK(payload_intact(payload));
  CHECK(std::string(payload.signal_id, payload.signal_id_size) == "01020300000000000000000000000000-ff");
  for (size_t bit = 0; bit < offsetof(Payload, reserved1) * 8; bit++) {
    Payload copy = payload;
    reinterpret_cast<uint8_t*>(&copy)[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    CHECK(!payload_intact(copy));
  }
}

}  // namespace

int main() {
  RUN(the_checksum_is_crc32c_with_and_without_the_instruction);
  RUN(text_is_never_cut_inside_a_character);
  RUN(a_flipped_bit_anywhere_is_noticed);
}
