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

struct TriggerArgument {
  OwnedRequest request;
  bool remote = false;

  [[nodiscard]] Request view() const;
};

// False, with a JavaScript exception pending, when it is no object or the level is not an integer from 1 to `highest`.
bool to_trigger(const Napi::Value& from, uint32_t highest, TriggerArgument& out);
Napi::Object from_record(Napi::Env env, const RecordView& record);
Napi::Array from_records(Napi::Env env, const std::vector<RecordView>& records);
Napi::Object from_slot(Napi::Env env, const SlotView& slot);

}  // namespace esper::addon
