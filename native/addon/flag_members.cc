// Participants: the part of NativeFlag that reads and writes the slots.
#include "convert.h"
#include "flag_object.h"

namespace esper::addon {

Napi::Value FlagObject::acknowledge(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  const bool current =
      flag_->acknowledge(info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Number>().Uint32Value());
  return Napi::Boolean::New(info.Env(), current);
}

Napi::Value FlagObject::join(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  const int slot = flag_->join(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::String>().Utf8Value());
  return Napi::Number::New(info.Env(), slot);
}

Napi::Value FlagObject::leave(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  flag_->leave();
  return info.Env().Undefined();
}

Napi::Value FlagObject::heartbeat(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  flag_->heartbeat(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

Napi::Value FlagObject::mark_seen(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  flag_->mark_seen(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

Napi::Value FlagObject::participants(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  const std::vector<SlotView> members = flag_->slots().members();
  Napi::Array out = Napi::Array::New(info.Env(), members.size());
  if (out.IsEmpty()) return {};
  for (uint32_t i = 0; i < members.size(); i++) out.Set(i, from_slot(info.Env(), members[i]));
  return out;
}

}  // namespace esper::addon
