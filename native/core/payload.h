// Between what a caller says and the fixed bytes of a record.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shm_layout.h"

namespace esper {

// Views must stay valid during the call that takes the request. Text longer than its field is cut at a code point.
struct Request {
  uint8_t kind = kKindTrigger;
  uint8_t level = 0;
  uint8_t flags = 0;
  uint8_t tier = 0;
  bool published = false;
  uint64_t step = 0;
  uint64_t deadline_ns = 0;
  uint32_t cleared_generation = 0;
  uint32_t cleared_level = 0;
  uint32_t reason_given_size = 0;  // 0: the size of `reason`
  std::string_view signal_id;      // empty: made from the segment's nonce and the ticket
  std::string_view subject;
  std::string_view origin;
  std::string_view run_id;
  std::string_view reason;
};

// A record copied out of the ring.
struct RecordView {
  Payload payload;
  uint32_t generation = 0;  // 0 while it is not applied
  bool published = false;

  [[nodiscard]] std::string signal_id() const { return {payload.signal_id, payload.signal_id_size}; }
  [[nodiscard]] std::string subject() const { return {payload.subject, payload.subject_size}; }
  [[nodiscard]] std::string origin() const { return {payload.origin, payload.origin_size}; }
  [[nodiscard]] std::string run_id() const { return {payload.run_id, payload.run_id_size}; }
  [[nodiscard]] std::string reason() const { return {payload.reason, payload.reason_size}; }
};

// Longest prefix of at most `limit` bytes that does not end inside a UTF-8 sequence.
std::string_view cut_utf8(std::string_view text, size_t limit);

// Fills the payload but for ticket, signal id and checksum.
void encode_request(const Request& request, Payload& out);

// Completes it for a ticket: the id (`nonce hex` - `ticket hex` unless one was given) and the checksum.
void seal_payload(const Request& request, const uint8_t nonce[16], uint64_t ticket, Payload& payload);

uint32_t payload_crc(const Payload& payload);

// False when checksum or any stored size is wrong: such bytes are never handed to anybody.
bool payload_intact(const Payload& payload);

}  // namespace esper
