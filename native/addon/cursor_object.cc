#include "convert.h"
#include "flag_object.h"

namespace esper::addon {

Napi::Function CursorObject::define(Napi::Env env) {
  return DefineClass(env, "NativeCursor", {InstanceMethod<&CursorObject::poll>("poll"), InstanceMethod<&CursorObject::ready>("ready")});
}

CursorObject::CursorObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CursorObject>(info) {
  flag_ = FlagObject::Unwrap(info[0].As<Napi::Object>())->core();
  const bool oldest = info[1].IsString() && info[1].As<Napi::String>().Utf8Value() == "oldest";
  flag_->sweep();
  cursor_ = std::make_unique<Cursor>(flag_->ring(), oldest ? Cursor::From::kOldest : Cursor::From::kNow);
}

Napi::Value CursorObject::ready(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), cursor_->ready(flag_->ring()));
}

Napi::Value CursorObject::poll(const Napi::CallbackInfo& info) {
  const uint32_t asked = info[0].IsNumber() ? info[0].As<Napi::Number>().Uint32Value() : kRecordCount;
  const Batch batch = cursor_->poll(flag_->ring(), asked);
  Napi::Object out = Napi::Object::New(info.Env());
  if (out.IsEmpty()) return {};
  out.Set("records", from_records(info.Env(), batch.records));
  out.Set("overruns", Napi::Number::New(info.Env(), static_cast<double>(batch.overruns)));
  out.Set("holes", Napi::Number::New(info.Env(), static_cast<double>(batch.holes)));
  return out;
}

}  // namespace esper::addon
