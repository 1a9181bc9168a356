// NativeHistogram of src/native/contract.ts.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/latency_histogram.h"

namespace esper::addon {

class HistogramObject : public Napi::ObjectWrap<HistogramObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit HistogramObject(const Napi::CallbackInfo& info);

 private:
  void describe(Napi::Env env, Napi::Object self);
  Napi::Value snapshot(const Napi::CallbackInfo& info);
  Napi::Value record(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::unique_ptr<LatencyHistogram> histogram_;
};

}  // namespace esper::addon
