// Between JavaScript objects (src/native/contract.ts) and the core's structures. Missing fields mean their default;
// the TypeScript layer has validated, so here a wrong type only has to be harmless.
#pragma once

#include <napi.h>

#include <string>

#include "../core/flag.h"
#include "../core/watcher.h"

namespace esper::addon {

std::string text_field(const Napi::Object& from, const char* key);
uint64_t bigint_field(const Napi::Object& from, const char* key);
uint32_t number_field(const Napi::Object& from, const char* key);
bool bool_field(const Napi::Object& from, const char* key);
uint64_t to_uint64(const Napi::Value& value);
// Random id of a segment as 32 hex digits.
std::string nonce_text(const Region& region);

// A string argument in a buffer on the stack, as much of it as a record keeps.
template <size_t Limit>
class TextArgument {
 public:
  TextArgument(napi_env env, napi_value value) {
    if (napi_get_value_string_utf8(env, value, buffer_, sizeof buffer_, &size_) != napi_ok) size_ = 0;
    given_size_ = size_;
    // It may have been cut: only then is the whole length worth asking for. A character has at most 4 bytes.
    if (size_ + 4 >= sizeof buffer_) napi_get_value_string_utf8(env, value, nullptr, 0, &given_size_);
  }
  [[nodiscard]] std::string_view view() const { return {buffer_, size_}; }
  [[nodiscard]] uint32_t given_size() const { return static_cast<uint32_t>(given_size_); }

 private:
  char buffer_[Limit + 5];
  size_t size_ = 0;
  size_t given_size_ = 0;
};

// An ArrayBuffer over memory that it keeps alive through `owner`. Empty, with an exception pending, when the engine
// refuses; one that allows no buffers over foreign memory at all must not hold on to the segment.
template <typename Owner>
Napi::ArrayBuffer view_of(Napi::Env env, void* data, size_t size, std::shared_ptr<Owner> owner) {
  auto* keep = new std::shared_ptr<Owner>(std::move(owner));
  const auto drop = [](napi_env, void*, void* held) { delete static_cast<std::shared_ptr<Owner>*>(held); };
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(env, data, size, drop, keep, &buffer);
  if (status == napi_ok) return {env, buffer};
  // After any other failure the engine may still call `drop`.
  if (status == napi_no_external_buffers_allowed || status == napi_pending_exception) delete keep;
  Napi::Error::New(env).ThrowAsJavaScriptException();
  return {};
}

struct TriggerArgument {
  OwnedRequest request;
  bool remote = false;

  [[nodiscard]] Request view() const;
};

// False, with a JavaScript exception pending, when it is no object or the level is not an integer from 1 to `highest`.
bool to_trigger(const Napi::Value& from, uint32_t highest, TriggerArgument& out);
// By the function given to useRecordFactory(): one call with the fields by position builds the object in JavaScript,
// where a literal costs a tenth of two dozen property writes from here.
Napi::Value from_record(Napi::Env env, const RecordView& record);
Napi::Array from_records(Napi::Env env, const std::vector<RecordView>& records);
Napi::Object from_slot(Napi::Env env, const SlotView& slot);

}  // namespace esper::addon
