// NativeMemorySampler of src/native/memory-contract.ts: validate, convert, call core.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/memory_sampler.h"

namespace esper::addon {

class MemoryObject : public Napi::ObjectWrap<MemoryObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit MemoryObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value configure(const Napi::CallbackInfo& info);
  Napi::Value arm(const Napi::CallbackInfo& info);
  Napi::Value disarm(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  bool take_plan(Napi::Env env, const Napi::Value& value);
  bool usable(Napi::Env env) const;

  // Joined by its destructor: at the latest when the environment ends, so the thread outlives no environment.
  std::unique_ptr<MemorySampler> sampler_;
};

}  // namespace esper::addon
