// Watching from the event loop, and its end: the part of NativeFlag that joins the native thread, libuv and JavaScript.
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
  const int slot = flag_->own_slot();
  looked_generation_ = flag_->control().generation;
  looked_name_notices_ = watcher_->name_notices();
  // What the watch before was told of and did not take would wait for the next silence.
  if (watcher_->stale_notices() != looked_stale_notices_) watcher_->ask_notify();
  watcher_->set_loop_generation(looked_generation_);
  wake_ = LoopWake::open(env, *flag_->region().header(), flag_->slots(), slot, bool_field(options, "keepAlive"),
                         {[this] { return look(); }, [this] { shut_down(); }, [this] { watcher_->ask_notify(); }});
  if (wake_ == nullptr) {
    stop_watching();
    throw_code(env, "ESPER_NATIVE_WATCH", "libuv refused a handle for the watch");
    return {};
  }
  keep_ = Napi::Persistent(info.This().As<Napi::Object>());
  // Only now: a hint that came before the queue was there would have gone nowhere.
  flag_->want_wake(true);
  LoopWake* wake = wake_;
  if (!watcher_->watch([wake] { wake->send(); }, uint64_t{number_field(options, "recheckMs")} * 1000000u)) {
    stop_watching();
    throw_code(env, "ESPER_NATIVE_THREAD", "the system gives no thread for the watch");
    return {};
  }
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
  let_go();
}

void FlagObject::let_go() {
  if (wake_ == nullptr && !keep_.IsEmpty() && !watcher_->armed()) keep_.Reset();
}

bool FlagObject::look() {
  const uint32_t generation = flag_->control().generation;
  const uint32_t notices = watcher_->name_notices();
  const uint32_t stale = watcher_->stale_notices();
  if (generation == looked_generation_ && notices == looked_name_notices_ && stale == looked_stale_notices_) {
    return false;
  }
  looked_generation_ = generation;
  looked_name_notices_ = notices;
  looked_stale_notices_ = stale;
  watcher_->set_loop_generation(generation);
  Napi::Env env = callback_.Env();
  Napi::HandleScope scope(env);
  // The callback may close this flag, which drops the references used below; locals keep them for the call.
  Napi::Object receiver = keep_.Value();
  Napi::Function callback = callback_.Value();
  std::unique_ptr<Napi::AsyncContext> context = std::move(context_);
  // The plain call: while an environment is terminated every call fails without an exception, which the C++ wrapper
  // takes for a reason to abort the process.
  napi_value result = nullptr;
  const napi_status status = napi_make_callback(env, *context, receiver, callback, 0, nullptr, &result);
  if (wake_ != nullptr && context_ == nullptr) context_ = std::move(context);
  bool pending = false;
  napi_value error = nullptr;
  if (status != napi_ok && napi_is_exception_pending(env, &pending) == napi_ok && pending &&
      napi_get_and_clear_last_exception(env, &error) == napi_ok) {
    // Nobody called us: the error is nobody's to catch, so it goes where Node sends uncaught ones.
    napi_fatal_exception(env, error);
  }
  return true;
}

Napi::Value FlagObject::close(const Napi::CallbackInfo& info) {
  if (flag_ != nullptr) shut_down();
  return info.Env().Undefined();
}

void FlagObject::shut_down() {
  stop_watching();
  keep_.Reset();
  watcher_.reset();
  flag_->give_back_slot();
  // `control` and cursors may be held for long; a process that opens and closes often would run out of descriptors.
  flag_->region().locks().close();
  flag_.reset();
}

}  // namespace esper::addon
