// Watching from the event loop: the part of NativeFlag that joins the native thread, libuv and JavaScript.
#include "addon_state.h"
#include "convert.h"
#include "errors.h"
#include "flag_object.h"

namespace esper::addon {

Napi::Value FlagObject::watch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!usable(env)) return {};
  stop_watching();
  const auto options = info[1].As<Napi::Object>();
  callback_ = Napi::Persistent(info[0].As<Napi::Function>());
  context_ = std::make_unique<Napi::AsyncContext>(env, "EsperSignalWatch");
  const int slot = flag_->want_wake(true);
  looked_generation_ = flag_->control().generation;
  looked_name_moved_ = false;
  watcher_->set_loop_generation(looked_generation_);
  wake_ = LoopWake::open(env, *flag_->region().header(), slot, slot >= 0 ? flag_->slots().incarnation(slot) : 0,
                         bool_field(options, "keepAlive"),
                         {[this] { return look(); }, [this] { shut_down(); }, [this] { watcher_->ask_notify(); }});
  if (wake_ == nullptr) {
    stop_watching();
    throw_code(env, "ESPER_NATIVE_WATCH", "libuv refused a handle for the watch");
    return {};
  }
  keep_ = Napi::Persistent(info.This().As<Napi::Object>());
  LoopWake* wake = wake_;
  watcher_->watch([wake] { wake->send(); }, uint64_t{number_field(options, "recheckMs")} * 1000000u);
  return env.Undefined();
}

Napi::Value FlagObject::unwatch(const Napi::CallbackInfo& info) {
  if (flag_ != nullptr) stop_watching();
  return info.Env().Undefined();
}

// The thread is told first: after unwatch() returns it holds no pointer to the loop's handles any more.
void FlagObject::stop_watching() {
  watcher_->unwatch();
  flag_->want_wake(false);
  if (wake_ != nullptr) {
    idle_wakes_ = wake_->idle_wakes();
    wake_->close();
    wake_ = nullptr;
  }
  context_.reset();
  callback_.Reset();
  keep_.Reset();
}

bool FlagObject::look() {
  const uint32_t generation = flag_->control().generation;
  const bool moved = watcher_->name_moved();
  if (generation == looked_generation_ && moved == looked_name_moved_) return false;
  looked_generation_ = generation;
  looked_name_moved_ = moved;
  watcher_->set_loop_generation(generation);
  Napi::Env env = callback_.Env();
  Napi::HandleScope scope(env);
  // The callback may close this flag, which drops the references used below; locals keep them for the call.
  Napi::Object receiver = keep_.Value();
  Napi::Function callback = callback_.Value();
  std::unique_ptr<Napi::AsyncContext> context = std::move(context_);
  callback.MakeCallback(receiver, 0, nullptr, *context);
  if (wake_ != nullptr && context_ == nullptr) context_ = std::move(context);
  if (env.IsExceptionPending()) {
    // Nobody called us: the error is nobody's to catch, so it goes where Node sends uncaught ones.
    napi_fatal_exception(env, env.GetAndClearPendingException().Value());
  }
  return true;
}

}  // namespace esper::addon
