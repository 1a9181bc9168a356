// Participants: the part of NativeFlag that reads and writes the slots.
#include "convert.h"
#include "errors.h"
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

Napi::Value FlagObject::pulse(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  uint8_t* bytes = flag_->pulse();
  if (bytes == nullptr) return info.Env().Undefined();
  return view_of(info.Env(), bytes, kPulseBytes, flag_->share_region());
}

Napi::Value FlagObject::judge(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  watcher_->judge(info[0].IsBoolean() && info[0].As<Napi::Boolean>().Value());
  return info.Env().Undefined();
}

Napi::Value FlagObject::take_stale(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  static constexpr const char* kChanges[] = {"stale", "recovered", "gone"};
  const std::vector<StaleNotice> notices = watcher_->take_stale();
  Napi::Array out = Napi::Array::New(info.Env(), notices.size());
  if (out.IsEmpty()) return {};
  for (uint32_t i = 0; i < notices.size(); i++) {
    Napi::Object notice = Napi::Object::New(info.Env());
    if (notice.IsEmpty()) return {};
    notice.Set("change", Napi::String::New(info.Env(), kChanges[static_cast<int>(notices[i].change)]));
    notice.Set("member", from_slot(info.Env(), notices[i].member));
    out.Set(i, notice);
  }
  return out;
}

Napi::Value FlagObject::arm_heartbeat(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!usable(env)) return {};
  TriggerArgument argument;
  if (!to_trigger(info[1], highest_level(), argument)) return {};
  const uint64_t limit_ns = uint64_t{info[0].As<Napi::Number>().Uint32Value()} * 1000000u;
  const bool has_slot = limit_ns != 0 ? flag_->own_slot() >= 0 : flag_->pulse() != nullptr;
  if (!has_slot) return Napi::Boolean::New(env, false);
  if (!watcher_->arm_heartbeat(limit_ns, std::move(argument.request))) {
    throw_code(env, "ESPER_NATIVE_THREAD", "the system gives no thread for the deadline");
    return {};
  }
  if (limit_ns != 0 && keep_.IsEmpty()) keep_ = Napi::Persistent(info.This().As<Napi::Object>());
  if (limit_ns == 0) let_go();
  return Napi::Boolean::New(env, true);
}

Napi::Value FlagObject::deadline_stats(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  const OverrunStats stats = watcher_->overruns();
  let_go();
  Napi::Object out = Napi::Object::New(info.Env());
  if (out.IsEmpty()) return {};
  const auto set = [&](const char* key, uint64_t value) {
    out.Set(key, Napi::Number::New(info.Env(), static_cast<double>(value)));
  };
  set("armed", stats.armed);
  set("fired", stats.fired);
  set("overrunMaxNs", stats.max_ns);
  set("overrunP50Ns", stats.p50_ns);
  set("overrunP99Ns", stats.p99_ns);
  return out;
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
