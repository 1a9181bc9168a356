#include "payload.h"

#include <cstring>

#include "crc32c.h"
#include "identity.h"

namespace esper {
namespace {

template <typename Size>
void store_text(std::string_view text, char* out, size_t limit, Size& size) {
  const std::string_view kept = cut_utf8(text, limit);
  if (!kept.empty()) std::memcpy(out, kept.data(), kept.size());
  size = static_cast<Size>(kept.size());
}

char* append_hex(char* out, uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  int shift = 60;
  while (shift > 0 && (value >> shift & 0xf) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) *out++ = kDigits[value >> shift & 0xf];
  return out;
}

char* append_hex_byte(char* out, uint8_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  *out++ = kDigits[value >> 4];
  *out++ = kDigits[value & 0xf];
  return out;
}

}  // namespace

std::string_view cut_utf8(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) end--;
  return text.substr(0, end);
}

void encode_request(const Request& request, Payload& out) {
  std::memset(static_cast<void*>(&out), 0, sizeof out);
  const Identity self = self_identity();
  out.kind = request.kind;
  out.level = request.level;
  out.flags = request.flags;
  out.tier = request.tier;
  out.pid = self.pid;
  out.start_ticks = self.start_ticks;
  out.monotonic_ns = monotonic_ns();
  out.wall_ns = wall_ns();
  out.step = request.step;
  out.deadline_ns = request.deadline_ns;
  out.cleared_generation = request.cleared_generation;
  out.cleared_level = request.cleared_level;
  out.reason_given_size =
      request.reason_given_size != 0 ? request.reason_given_size : static_cast<uint32_t>(request.reason.size());
  store_text(request.subject, out.subject, kSubjectBytes, out.subject_size);
  store_text(request.origin, out.origin, kOriginBytes, out.origin_size);
  store_text(request.run_id, out.run_id, kRunIdBytes, out.run_id_size);
  store_text(request.reason, out.reason, kReasonBytes, out.reason_size);
}

void seal_payload(const Request& request, const uint8_t nonce[16], uint64_t ticket, Payload& payload) {
  payload.ticket = ticket;
  if (request.signal_id.empty()) {
    char* at = payload.signal_id;
    for (int i = 0; i < 16; i++) at = append_hex_byte(at, nonce[i]);
    *at++ = '-';
    at = append_hex(at, ticket);
    payload.signal_id_size = static_cast<uint8_t>(at - payload.signal_id);
    std::memset(at, 0, static_cast<size_t>(payload.signal_id + kSignalIdBytes - at));
  } else {
    store_text(request.signal_id, payload.signal_id, kSignalIdBytes, payload.signal_id_size);
  }
  payload.crc32c = payload_crc(payload);
}

uint32_t payload_crc(const Payload& payload) { return crc32c(&payload, offsetof(Payload, crc32c)); }

bool payload_intact(const Payload& payload) {
  return payload.crc32c == payload_crc(payload) && payload.signal_id_size <= kSignalIdBytes &&
         payload.subject_size <= kSubjectBytes && payload.origin_size <= kOriginBytes &&
         payload.run_id_size <= kRunIdBytes && payload.reason_size <= kReasonBytes;
}

}  // namespace esper
