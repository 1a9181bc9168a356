#include "histogram_object.h"

#include <cstring>

#include "addon_state.h"
#include "convert.h"
#include "errors.h"

namespace esper::addon {

Napi::Function HistogramObject::define(Napi::Env env) {
  return DefineClass(env, "NativeHistogram",
                     {InstanceMethod<&HistogramObject::snapshot>("snapshot"),
                      InstanceMethod<&HistogramObject::record>("record"),
                      InstanceMethod<&HistogramObject::close>("close")});
}

HistogramObject::HistogramObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<HistogramObject>(info) {
  Napi::Env env = info.Env();
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw_code(env, "ESPER_NATIVE_CONSTRUCT", "use openHistogram()");
    return;
  }
  const OpenedRegion& opened = *info[0].As<Napi::External<OpenedRegion>>().Data();
  const HistogramRole role = opened.read_only ? HistogramRole::kReader : HistogramRole::kWriter;
  histogram_ = std::make_unique<LatencyHistogram>(opened.region, role);
  if (role == HistogramRole::kWriter && histogram_->stripe() == nullptr) {
    throw_code(env, "ESPER_NATIVE_STRIPES_FULL", "every stripe of the histogram is held by a living writer");
    return;
  }
  describe(env, info.This().As<Napi::Object>());
}

void HistogramObject::describe(Napi::Env env, Napi::Object self) {
  const Region& region = histogram_->region();
  self.Set("kind", Napi::String::New(env, region.shared() ? "shared" : "process-local"));
  self.Set("name", Napi::String::New(env, region.name()));
  self.Set("path", Napi::String::New(env, region.path()));
  self.Set("nonce", Napi::String::New(env, nonce_text(region)));
  Stripe* stripe = histogram_->stripe();
  if (stripe == nullptr) {
    self.Set("counters", Napi::Float64Array::New(env, kTotalsCount + kBucketCount));
    return;
  }
  const auto buffer =
      view_of(env, stripe->totals, sizeof stripe->totals + sizeof stripe->counts, histogram_->share_region());
  if (env.IsExceptionPending()) return;
  self.Set("counters", Napi::Float64Array::New(env, kTotalsCount + kBucketCount, buffer, 0));
}

Napi::Value HistogramObject::snapshot(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (histogram_ == nullptr) {
    throw_code(env, "ESPER_NATIVE_CLOSED", "the histogram was closed");
    return {};
  }
  const HistogramSnapshot taken = histogram_->snapshot();
  auto counts = Napi::Float64Array::New(env, kBucketCount);
  if (counts.IsEmpty()) return {};
  std::memcpy(counts.Data(), taken.counts.data(), kBucketCount * sizeof(double));
  Napi::Object out = Napi::Object::New(env);
  if (out.IsEmpty()) return {};
  out.Set("counts", counts);
  out.Set("sumNs", Napi::Number::New(env, taken.sum_ns));
  out.Set("minNs", Napi::Number::New(env, taken.min_ns));
  out.Set("maxNs", Napi::Number::New(env, taken.max_ns));
  out.Set("outOfRange", Napi::Number::New(env, taken.out_of_range));
  out.Set("invalid", Napi::Number::New(env, taken.invalid));
  out.Set("refusedWriters", Napi::Number::New(env, taken.refused_writers));
  return out;
}

Napi::Value HistogramObject::record(const Napi::CallbackInfo& info) {
  if (histogram_ != nullptr) histogram_->record(info[0].As<Napi::Number>().DoubleValue());
  return info.Env().Undefined();
}

Napi::Value HistogramObject::close(const Napi::CallbackInfo& info) {
  histogram_.reset();
  return info.Env().Undefined();
}

}  // namespace esper::addon
