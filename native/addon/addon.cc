// Module entry: open functions and per-environment state. One instance a Node environment; worker threads have their
// own and share nothing here but the segments themselves.
#include <napi.h>

#include "../core/region.h"
#include "addon_state.h"
#include "convert.h"
#include "errors.h"
#include "flag_object.h"
#include "histogram_object.h"
#include "memory_object.h"

namespace esper::addon {
namespace {

// Of src/native/contract.ts, as src/native/abi.ts has it; what segments are laid out by is counted in shm_layout.h.
constexpr uint32_t kInterfaceMajor = 1;
constexpr uint32_t kInterfaceMinor = 2;  // 1.2: openMemorySampler

OpenedRegion open_region(Napi::Env env, const Napi::Value& value, SegmentKind kind) {
  OpenedRegion opened;
  if (!value.IsObject()) {
    throw_code(env, "ESPER_OPTION_INVALID", "options must be an object");
    return opened;
  }
  const auto options = value.As<Napi::Object>();
  RegionOptions asked;
  asked.kind = kind;
  asked.name = text_field(options, "name");
  asked.attach_timeout_ms = number_field(options, "attachTimeoutMs");
  asked.allow_group = bool_field(options, "allowGroup");
  asked.stripes = number_field(options, "stripes");
  opened.read_only = bool_field(options, "readOnly");
  if (kind == SegmentKind::kHistogram && (asked.stripes < 1 || asked.stripes > kMaxStripes)) {
    throw_code(env, "ESPER_OPTION_INVALID", "stripes must be from 1 to " + std::to_string(kMaxStripes));
    return opened;
  }
  Status status;
  if (text_field(options, "kind") == "process-local") {
    opened.region = Region::open_private(asked, status, &opened.created);
  } else {
    opened.region = Region::open_shared(asked, status);
    opened.created = opened.region != nullptr && opened.region->created();
  }
  if (opened.region == nullptr) throw_status(env, status);
  return opened;
}

Napi::Value construct(Napi::Env env, const Napi::FunctionReference& constructor, OpenedRegion opened) {
  auto external = Napi::External<OpenedRegion>::New(env, &opened);
  if (external.IsEmpty()) return {};
  return constructor.New({external});
}

Napi::Value open_flag(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const bool rollback = info[0].IsObject() && text_field(info[0].As<Napi::Object>(), "segment") == "rollback";
  OpenedRegion opened = open_region(env, info[0], rollback ? SegmentKind::kRollback : SegmentKind::kEmergency);
  if (opened.region == nullptr) return {};
  return construct(env, env.GetInstanceData<AddonState>()->flag, std::move(opened));
}

Napi::Value open_histogram(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  OpenedRegion opened = open_region(env, info[0], SegmentKind::kHistogram);
  if (opened.region == nullptr) return {};
  return construct(env, env.GetInstanceData<AddonState>()->histogram, std::move(opened));
}

Napi::Value open_memory_sampler(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<AddonState>()->memory.New({info[0]});
}

Napi::Value unlink(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) {
    throw_code(info.Env(), "ESPER_OPTION_INVALID", "name must be a string");
    return {};
  }
  bool removed = false;
  const Status status = Region::unlink(info[0].As<Napi::String>().Utf8Value(), "/dev/shm", removed);
  if (!status.ok()) {
    throw_status(info.Env(), status);
    return {};
  }
  return Napi::String::New(info.Env(), removed ? "removed" : "absent");
}

Napi::Value use_record_factory(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) {
    throw_code(info.Env(), "ESPER_OPTION_INVALID", "useRecordFactory takes a function");
    return {};
  }
  info.Env().GetInstanceData<AddonState>()->record_factory = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* state = new AddonState;
  state->flag = Napi::Persistent(FlagObject::define(env));
  state->cursor = Napi::Persistent(CursorObject::define(env));
  state->histogram = Napi::Persistent(HistogramObject::define(env));
  state->memory = Napi::Persistent(MemoryObject::define(env));
  env.SetInstanceData(state);
  exports.Set("abiMajor", Napi::Number::New(env, kInterfaceMajor));
  exports.Set("abiMinor", Napi::Number::New(env, kInterfaceMinor));
  exports.Set("openFlag", Napi::Function::New<open_flag>(env, "openFlag"));
  exports.Set("openHistogram", Napi::Function::New<open_histogram>(env, "openHistogram"));
  exports.Set("openMemorySampler", Napi::Function::New<open_memory_sampler>(env, "openMemorySampler"));
  exports.Set("unlink", Napi::Function::New<unlink>(env, "unlink"));
  exports.Set("useRecordFactory", Napi::Function::New<use_record_factory>(env, "useRecordFactory"));
  exports.Set("isSetCall", Napi::Function::New<FlagObject::is_set_call>(env, "isSetCall"));
  return exports;
}

}  // namespace

NODE_API_MODULE(esper_fastpath, init)

}  // namespace esper::addon
