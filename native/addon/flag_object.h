// NativeFlag and NativeCursor of src/native/contract.ts: validate, convert, call core.
#pragma once

#include <napi.h>

#include <array>
#include <memory>

#include "../core/flag.h"
#include "../core/watcher.h"
#include "loop_wake.h"

namespace esper::addon {

class FlagObject : public Napi::ObjectWrap<FlagObject> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value is_set_call(const Napi::CallbackInfo& info);

  explicit FlagObject(const Napi::CallbackInfo& info);
  ~FlagObject() override;

  [[nodiscard]] std::shared_ptr<Flag> core() const { return flag_; }

 private:
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value history(const Napi::CallbackInfo& info);
  Napi::Value find(const Napi::CallbackInfo& info);
  Napi::Value trigger(const Napi::CallbackInfo& info);
  Napi::Value raise(const Napi::CallbackInfo& info);
  Napi::Value give_way(const Napi::CallbackInfo& info);
  Napi::Value acknowledge(const Napi::CallbackInfo& info);
  Napi::Value clear(const Napi::CallbackInfo& info);
  Napi::Value join(const Napi::CallbackInfo& info);
  Napi::Value leave(const Napi::CallbackInfo& info);
  Napi::Value pulse(const Napi::CallbackInfo& info);
  Napi::Value judge(const Napi::CallbackInfo& info);
  Napi::Value take_stale(const Napi::CallbackInfo& info);
  Napi::Value arm_heartbeat(const Napi::CallbackInfo& info);
  Napi::Value deadline_stats(const Napi::CallbackInfo& info);
  Napi::Value mark_seen(const Napi::CallbackInfo& info);
  Napi::Value participants(const Napi::CallbackInfo& info);
  Napi::Value cursor(const Napi::CallbackInfo& info);
  Napi::Value watch(const Napi::CallbackInfo& info);
  Napi::Value unwatch(const Napi::CallbackInfo& info);
  Napi::Value unpublished(const Napi::CallbackInfo& info);
  Napi::Value mark_published(const Napi::CallbackInfo& info);
  Napi::Value arm_deadline(const Napi::CallbackInfo& info);
  Napi::Value disarm(const Napi::CallbackInfo& info);
  Napi::Value name_moved(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  void describe(Napi::Env env, Napi::Object self, bool created);
  bool usable(Napi::Env env) const;
  [[nodiscard]] uint32_t highest_level() const;
  bool look();
  void let_woken_run();
  void stop_watching();
  void let_go();
  void shut_down();

  // Destruction order matters, last first: the watcher's thread uses the flag, so it is joined before the flag goes.
  std::shared_ptr<Flag> flag_;
  std::unique_ptr<Watcher> watcher_;
  LoopWake* wake_ = nullptr;  // frees itself after close()
  Napi::FunctionReference callback_;
  std::unique_ptr<Napi::AsyncContext> context_;
  // A flag that is watched or has a deadline armed is not collected. The thread that fires the last one cannot let go of
  // it: it is kept until the next call about deadlines, or close().
  Napi::ObjectReference keep_;
  uint32_t looked_generation_ = 0;
  uint32_t looked_name_notices_ = 0;
  uint32_t looked_stale_notices_ = 0;
  uint32_t idle_wakes_ = 0;
  bool woke_ = false;  // a trigger woke somebody who has not been given way since
  // What `raised` of the contract shows: ticket, monotonic and wall time of the latest raise().
  std::shared_ptr<std::array<uint64_t, 3>> raised_ = std::make_shared<std::array<uint64_t, 3>>();
};

class CursorObject : public Napi::ObjectWrap<CursorObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CursorObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value poll(const Napi::CallbackInfo& info);
  Napi::Value ready(const Napi::CallbackInfo& info);

  std::shared_ptr<Flag> flag_;
  std::unique_ptr<Cursor> cursor_;
};

}  // namespace esper::addon
