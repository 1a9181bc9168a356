#include "convert.h"

#include <cmath>
#include <iterator>

#include "addon_state.h"
#include "errors.h"

namespace esper::addon {

std::string nonce_text(const Region& region) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : region.header()->nonce) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

std::string text_field(const Napi::Object& from, const char* key) {
  const Napi::Value value = from.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

uint64_t to_uint64(const Napi::Value& value) {
  bool lossless = true;
  if (value.IsBigInt()) return value.As<Napi::BigInt>().Uint64Value(&lossless);
  return value.IsNumber() ? static_cast<uint64_t>(value.As<Napi::Number>().Int64Value()) : 0;
}

uint64_t bigint_field(const Napi::Object& from, const char* key) { return to_uint64(from.Get(key)); }

uint32_t number_field(const Napi::Object& from, const char* key) {
  const Napi::Value value = from.Get(key);
  return value.IsNumber() ? value.As<Napi::Number>().Uint32Value() : 0;
}

bool bool_field(const Napi::Object& from, const char* key) {
  const Napi::Value value = from.Get(key);
  return value.IsBoolean() && value.As<Napi::Boolean>().Value();
}

Request TriggerArgument::view() const {
  Request out = request.view();
  out.flags = remote ? kFlagRemote : 0;
  return out;
}

bool to_trigger(const Napi::Value& value, uint32_t highest, TriggerArgument& out) {
  const Napi::Env env = value.Env();
  const Napi::Value level = value.IsObject() ? value.As<Napi::Object>().Get("level") : env.Undefined();
  const double number = level.IsNumber() ? level.As<Napi::Number>().DoubleValue() : 0;
  if (!(number >= 1 && number <= highest) || number != std::floor(number)) {
    throw_code(env, "ESPER_OPTION_INVALID", "level must be an integer from 1 to " + std::to_string(highest));
    return false;
  }
  const auto from = value.As<Napi::Object>();
  out.request.level = static_cast<uint8_t>(number);
  out.request.tier = static_cast<uint8_t>(number_field(from, "tier"));
  out.request.published = bool_field(from, "published");
  out.request.step = bigint_field(from, "step");
  out.request.deadline_ns = bigint_field(from, "deadlineNs");
  out.request.reason_given_size = number_field(from, "reasonSizeBytes");
  out.request.signal_id = text_field(from, "signalId");
  out.request.subject = text_field(from, "subject");
  out.request.origin = text_field(from, "origin");
  out.request.run_id = text_field(from, "runId");
  out.request.reason = text_field(from, "reason");
  out.remote = bool_field(from, "remote");
  return !env.IsExceptionPending();
}

Napi::Value from_record(Napi::Env env, const RecordView& record) {
  const Payload& payload = record.payload;
  const auto number = [&](double value) -> napi_value { return Napi::Number::New(env, value); };
  const auto bigint = [&](auto value) -> napi_value { return Napi::BigInt::New(env, value); };
  const auto boolean = [&](bool value) -> napi_value { return Napi::Boolean::New(env, value); };
  const auto text = [&](const char* bytes, size_t size) -> napi_value { return Napi::String::New(env, bytes, size); };
  const napi_value fields[] = {
      number(payload.kind),
      number(payload.level),
      text(payload.signal_id, payload.signal_id_size),
      bigint(payload.ticket),
      number(record.generation),
      number(payload.pid),
      text(payload.origin, payload.origin_size),
      text(payload.reason, payload.reason_size),
      number(payload.reason_given_size),
      text(payload.run_id, payload.run_id_size),
      bigint(payload.step),
      bigint(payload.monotonic_ns),
      bigint(payload.wall_ns),
      boolean(record.published),
      boolean((payload.flags & kFlagRemote) != 0),
      text(payload.subject, payload.subject_size),
      boolean((payload.flags & kFlagForced) != 0),
      number(payload.cleared_generation),
      number(payload.cleared_level),
      number(payload.tier),
      bigint(payload.deadline_ns),
  };
  const Napi::FunctionReference& factory = env.GetInstanceData<AddonState>()->record_factory;
  if (factory.IsEmpty()) {
    throw_code(env, "ESPER_NATIVE_NO_FACTORY", "useRecordFactory() was not called");
    return {};
  }
  return factory.Value().Call(env.Undefined(), std::size(fields), fields);
}

Napi::Array from_records(Napi::Env env, const std::vector<RecordView>& records) {
  Napi::Array out = Napi::Array::New(env, records.size());
  if (out.IsEmpty()) return out;
  for (uint32_t i = 0; i < records.size(); i++) {
    const Napi::Value record = from_record(env, records[i]);
    if (record.IsEmpty()) return out;
    out.Set(i, record);
  }
  return out;
}

Napi::Object from_slot(Napi::Env env, const SlotView& slot) {
  Napi::Object out = Napi::Object::New(env);
  if (out.IsEmpty()) return out;
  out.Set("slot", Napi::Number::New(env, slot.index));
  out.Set("pid", Napi::Number::New(env, slot.pid));
  out.Set("startTimeTicks", Napi::BigInt::New(env, slot.start_ticks));
  out.Set("role", Napi::String::New(env, slot.role));
  out.Set("name", Napi::String::New(env, slot.name));
  out.Set("alive", Napi::Boolean::New(env, slot.alive));
  out.Set("heartbeatNs", Napi::BigInt::New(env, slot.heartbeat_ns));
  out.Set("phase", Napi::Number::New(env, slot.phase));
  out.Set("suspended", Napi::Boolean::New(env, slot.suspended));
  out.Set("limitMs", Napi::Number::New(env, slot.limit_ms));
  out.Set("staleForMs", Napi::Number::New(env, static_cast<double>(slot.stale_for_ns) / 1e6));
  out.Set("seenGeneration", Napi::Number::New(env, slot.seen_generation));
  out.Set("acknowledgedGeneration", Napi::Number::New(env, slot.acknowledged_generation));
  return out;
}

}  // namespace esper::addon
