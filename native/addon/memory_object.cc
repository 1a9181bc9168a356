#include "memory_object.h"

#include <algorithm>
#include <iterator>

#include "../core/levels.h"
#include "addon_state.h"
#include "convert.h"
#include "errors.h"
#include "flag_object.h"

namespace esper::addon {
namespace {

double double_field(const Napi::Object& from, const char* key) {
  const Napi::Value value = from.Get(key);
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
}

// Whole numbers that JavaScript holds exactly; anything else is 0.
uint64_t bytes_field(const Napi::Object& from, const char* key) {
  const double value = double_field(from, key);
  return value >= 1 && value <= 9007199254740992.0 ? static_cast<uint64_t>(value) : 0;
}

uint64_t ms_field(const Napi::Object& from, const char* key) { return uint64_t{number_field(from, key)} * 1000000u; }

GaugeSpec to_gauge(const Napi::Object& from) {
  GaugeSpec spec;
  spec.label = text_field(from, "label");
  spec.usage_path = text_field(from, "usagePath");
  spec.usage_key = text_field(from, "usageKey");
  spec.usage_field = number_field(from, "usageField");
  spec.deduct_path = text_field(from, "deductPath");
  spec.deduct_key = text_field(from, "deductKey");
  spec.unit_bytes = std::max<uint64_t>(1, bytes_field(from, "unitBytes"));
  spec.limit_bytes = bytes_field(from, "limitBytes");
  return spec;
}

struct Field {
  const char* name;
  uint64_t MemorySample::*member;
};

constexpr Field kFields[] = {
    {"atNs", &MemorySample::at_ns},
    {"source", &MemorySample::gauge},
    {"usageBytes", &MemorySample::usage},
    {"limitBytes", &MemorySample::limit},
    {"deductedBytes", &MemorySample::deducted},
    {"growthBytesPerSecond", &MemorySample::rate},
    {"peakUsageBytes", &MemorySample::peak_usage},
    {"peakLimitBytes", &MemorySample::peak_limit},
    {"peakAtNs", &MemorySample::peak_at_ns},
    {"plan", &MemorySample::plan},
    {"samples", &MemorySample::samples},
    {"faults", &MemorySample::faults},
    {"faultSource", &MemorySample::fault_gauge},
    {"faultErrno", &MemorySample::fault_error_number},
    {"crossings", &MemorySample::crossings},
    {"raises", &MemorySample::raises},
    {"raisedAtNs", &MemorySample::raised_at_ns},
    {"costNs", &MemorySample::cost_ns},
    {"costMaxNs", &MemorySample::cost_max_ns},
    {"nextNs", &MemorySample::next_ns},
};

constexpr const char* kFaults[] = {"none", "open", "read", "format"};

}  // namespace

Napi::Function MemoryObject::define(Napi::Env env) {
  return DefineClass(env, "NativeMemorySampler",
                     {InstanceMethod<&MemoryObject::configure>("configure"), InstanceMethod<&MemoryObject::arm>("arm"),
                      InstanceMethod<&MemoryObject::disarm>("disarm"), InstanceMethod<&MemoryObject::read>("read"),
                      InstanceMethod<&MemoryObject::close>("close")});
}

MemoryObject::MemoryObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<MemoryObject>(info) {
  sampler_ = std::make_unique<MemorySampler>();
  if (!take_plan(info.Env(), info[0])) {
    sampler_.reset();
    return;
  }
  info.This().As<Napi::Object>().Set("native", Napi::Boolean::New(info.Env(), true));
}

bool MemoryObject::usable(Napi::Env env) const {
  if (sampler_ != nullptr) return true;
  throw_code(env, "ESPER_NATIVE_CLOSED", "the memory sampler was closed");
  return false;
}

// False with an exception pending.
bool MemoryObject::take_plan(Napi::Env env, const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().Get("sources").IsArray()) {
    throw_code(env, "ESPER_OPTION_INVALID", "a plan is an object with an array `sources`");
    return false;
  }
  const auto plan = value.As<Napi::Object>();
  SamplerSettings settings;
  settings.interval_ns = std::max(kFloorNs, ms_field(plan, "intervalMs"));
  settings.near_ns = std::max(kFloorNs, ms_field(plan, "nearIntervalMs"));
  settings.dwell_ns = ms_field(plan, "dwellMs");
  settings.critical = double_field(plan, "criticalThreshold");
  settings.margin = double_field(plan, "margin");
  std::vector<GaugeSpec> gauges;
  const auto sources = plan.Get("sources").As<Napi::Array>();
  for (uint32_t i = 0; i < sources.Length() && i < kMaxGauges; i++) {
    const Napi::Value source = sources.Get(i);
    if (source.IsObject()) gauges.push_back(to_gauge(source.As<Napi::Object>()));
  }
  if (env.IsExceptionPending()) return false;
  if (sampler_->configure(std::move(gauges), settings)) return true;
  throw_code(env, "ESPER_NATIVE_THREAD", "the system gives no thread for the memory sampler");
  return false;
}

Napi::Value MemoryObject::configure(const Napi::CallbackInfo& info) {
  if (usable(info.Env())) take_plan(info.Env(), info[0]);
  return info.Env().Undefined();
}

Napi::Value MemoryObject::arm(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!usable(env)) return {};
  const Napi::Function flags = env.GetInstanceData<AddonState>()->flag.Value();
  if (!info[0].IsObject() || !info[0].As<Napi::Object>().InstanceOf(flags)) {
    throw_code(env, "ESPER_OPTION_INVALID", "arm takes a flag of this addon");
    return {};
  }
  TriggerArgument argument;
  if (!to_trigger(info[1], kLevelHalt, argument)) return {};
  std::shared_ptr<Flag> flag = FlagObject::Unwrap(info[0].As<Napi::Object>())->core();
  if (flag == nullptr) {
    throw_code(env, "ESPER_NATIVE_CLOSED", "the flag was closed");
    return {};
  }
  sampler_->arm(std::move(flag), std::move(argument.request));
  return env.Undefined();
}

Napi::Value MemoryObject::disarm(const Napi::CallbackInfo& info) {
  if (sampler_ != nullptr) sampler_->disarm();
  return info.Env().Undefined();
}

Napi::Value MemoryObject::read(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!usable(env)) return {};
  MemorySample sample;
  if (!sampler_->read(sample)) return env.Undefined();
  Napi::Object out = Napi::Object::New(env);
  if (out.IsEmpty()) return {};
  for (const Field& field : kFields) {
    out.Set(field.name, Napi::Number::New(env, static_cast<double>(sample.*field.member)));
  }
  out.Set("fault", Napi::String::New(env, kFaults[sample.fault % std::size(kFaults)]));
  out.Set("faultInDeduction", Napi::Boolean::New(env, sample.fault_in_deduction != 0));
  return out;
}

Napi::Value MemoryObject::close(const Napi::CallbackInfo& info) {
  sampler_.reset();
  return info.Env().Undefined();
}

}  // namespace esper::addon
