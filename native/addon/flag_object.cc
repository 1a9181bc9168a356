#include "flag_object.h"

#include "../core/levels.h"
#include "addon_state.h"
#include "convert.h"
#include "errors.h"

namespace esper::addon {
namespace {

constexpr uint64_t kNoRecord = UINT64_MAX;

}  // namespace

Napi::Function FlagObject::define(Napi::Env env) {
  return DefineClass(env, "NativeFlag",
                     {InstanceMethod<&FlagObject::read>("read"), InstanceMethod<&FlagObject::history>("history"),
                      InstanceMethod<&FlagObject::find>("find"), InstanceMethod<&FlagObject::trigger>("trigger"),
                      InstanceMethod<&FlagObject::raise>("raise"),
                      InstanceMethod<&FlagObject::give_way>("giveWay"),
                      InstanceMethod<&FlagObject::acknowledge>("acknowledge"),
                      InstanceMethod<&FlagObject::clear>("clear"), InstanceMethod<&FlagObject::join>("join"),
                      InstanceMethod<&FlagObject::leave>("leave"),
                      InstanceMethod<&FlagObject::pulse>("pulse"), InstanceMethod<&FlagObject::judge>("judge"),
                      InstanceMethod<&FlagObject::take_stale>("takeStale"),
                      InstanceMethod<&FlagObject::arm_heartbeat>("armHeartbeat"),
                      InstanceMethod<&FlagObject::deadline_stats>("deadlineStats"),
                      InstanceMethod<&FlagObject::mark_seen>("markSeen"),
                      InstanceMethod<&FlagObject::participants>("participants"),
                      InstanceMethod<&FlagObject::cursor>("cursor"), InstanceMethod<&FlagObject::watch>("watch"),
                      InstanceMethod<&FlagObject::unwatch>("unwatch"),
                      InstanceMethod<&FlagObject::unpublished>("unpublished"),
                      InstanceMethod<&FlagObject::mark_published>("markPublished"),
                      InstanceMethod<&FlagObject::arm_deadline>("armDeadline"),
                      InstanceMethod<&FlagObject::disarm>("disarm"),
                      InstanceMethod<&FlagObject::name_moved>("nameMoved"),
                      InstanceMethod<&FlagObject::stats>("stats"),
                      InstanceMethod<&FlagObject::close>("close")});
}

FlagObject::FlagObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<FlagObject>(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw_code(info.Env(), "ESPER_NATIVE_CONSTRUCT", "use openFlag()");
    return;
  }
  const OpenedRegion& opened = *info[0].As<Napi::External<OpenedRegion>>().Data();
  flag_ = std::make_shared<Flag>(opened.region);
  watcher_ = std::make_unique<Watcher>(*flag_);
  describe(info.Env(), info.This().As<Napi::Object>(), opened.created);
}

void FlagObject::describe(Napi::Env env, Napi::Object self, bool created) {
  Region& region = flag_->region();
  // Both outlive this object: a training loop may hold them after close().
  const auto control = view_of(env, region.base() + kControlOffset, sizeof(Control), flag_->share_region());
  const auto raised = view_of(env, raised_->data(), sizeof *raised_, raised_);
  if (env.IsExceptionPending()) return;
  self.Set("kind", Napi::String::New(env, region.shared() ? "shared" : "process-local"));
  self.Set("name", Napi::String::New(env, region.name()));
  self.Set("path", Napi::String::New(env, region.path()));
  self.Set("created", Napi::Boolean::New(env, created));
  self.Set("nonce", Napi::String::New(env, nonce_text(region)));
  self.Set("control", control);
  self.Set("raised", Napi::BigUint64Array::New(env, raised_->size(), raised, 0));
}

FlagObject::~FlagObject() {
  if (flag_ != nullptr) shut_down();
}

bool FlagObject::usable(Napi::Env env) const {
  if (flag_ != nullptr) return true;
  throw_code(env, "ESPER_NATIVE_CLOSED", "the flag was closed");
  return false;
}

uint32_t FlagObject::highest_level() const {
  const bool rollback = flag_->region().header()->kind == static_cast<uint32_t>(SegmentKind::kRollback);
  return rollback ? kRollbackExpired : kLevelHalt;
}

Napi::Value FlagObject::is_set_call(const Napi::CallbackInfo& info) {
  const FlagObject* self = FlagObject::Unwrap(info[0].As<Napi::Object>());
  return Napi::Boolean::New(info.Env(), self->flag_ != nullptr && self->flag_->control().level != 0);
}

Napi::Value FlagObject::read(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  flag_->sweep();
  const ControlValue now = flag_->control();
  Napi::Object out = Napi::Object::New(info.Env());
  if (out.IsEmpty()) return {};
  out.Set("generation", Napi::Number::New(info.Env(), now.generation));
  out.Set("level", Napi::Number::New(info.Env(), now.level));
  out.Set("ticket", Napi::Number::New(info.Env(), now.tag));
  return out;
}

Napi::Value FlagObject::history(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  return from_records(info.Env(), flag_->history());
}

Napi::Value FlagObject::find(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  RecordView view;
  if (!info[0].IsString() || !flag_->find(info[0].As<Napi::String>().Utf8Value(), view)) return info.Env().Undefined();
  return from_record(info.Env(), view);
}

Napi::Value FlagObject::trigger(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  TriggerArgument argument;
  if (!to_trigger(info[0], highest_level(), argument)) return {};
  const Raised raised = flag_->trigger(argument.view());
  woke_ = woke_ || raised.woke;
  Napi::Object out = Napi::Object::New(info.Env());
  if (out.IsEmpty()) return {};
  out.Set("signalId", Napi::String::New(info.Env(), raised.signal_id, raised.signal_id_size));
  out.Set("ticket", Napi::BigInt::New(info.Env(), raised.ticket));
  out.Set("generation", Napi::Number::New(info.Env(), raised.generation));
  out.Set("level", Napi::Number::New(info.Env(), flag_->control().level));
  return out;
}

// trigger() for the common case, arguments by position: in a process that was asleep every property read is a cache
// miss or two, and eleven of them cost more than all the rest of a trigger. For the same reason what the caller needs
// of the record goes to `raised_`, which JavaScript reads as an array, instead of into an object.
Napi::Value FlagObject::raise(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!usable(env)) return {};
  const double level = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(level >= 1 && level <= highest_level())) {
    throw_code(env, "ESPER_OPTION_INVALID", "level must be an integer from 1 to " + std::to_string(highest_level()));
    return {};
  }
  TextArgument<kReasonBytes> reason(env, info[1]);
  TextArgument<kOriginBytes> origin(env, info[2]);
  TextArgument<kRunIdBytes> run_id(env, info[3]);
  Request request;
  request.level = static_cast<uint8_t>(level);
  request.reason = reason.view();
  request.reason_given_size = reason.given_size();
  request.origin = origin.view();
  request.run_id = run_id.view();
  request.step = info[4].IsNumber() ? static_cast<uint64_t>(info[4].As<Napi::Number>().Int64Value()) : 0;
  const Raised raised = flag_->trigger(request);
  *raised_ = {raised.record_less ? kNoRecord : raised.ticket, raised.monotonic_ns, raised.wall_ns};
  woke_ = woke_ || raised.woke;
  const bool give_way_now = info[5].IsBoolean() && info[5].As<Napi::Boolean>().Value();
  if (give_way_now) let_woken_run();
  return Napi::String::New(env, raised.signal_id, raised.signal_id_size);
}

Napi::Value FlagObject::give_way(const Napi::CallbackInfo& info) {
  let_woken_run();
  return info.Env().Undefined();
}

// Once per wake: a second time would only give other programs the processor.
void FlagObject::let_woken_run() {
  if (!woke_) return;
  woke_ = false;
  esper::give_way();
}

Napi::Value FlagObject::clear(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  if (!info[0].IsNumber() || !info[1].IsNumber() || !info[3].IsObject()) {
    throw_code(info.Env(), "ESPER_OPTION_INVALID", "clear takes generation, level, force and an object");
    return {};
  }
  const auto meta = info[3].As<Napi::Object>();
  const std::string signal_id = text_field(meta, "signalId");
  const std::string origin = text_field(meta, "origin");
  const std::string run_id = text_field(meta, "runId");
  const std::string reason = text_field(meta, "reason");
  ClearRequest request;
  request.generation = info[0].As<Napi::Number>().Uint32Value();
  request.level = info[1].As<Napi::Number>().Uint32Value();
  request.force = info[2].IsBoolean() && info[2].As<Napi::Boolean>().Value();
  request.remote = bool_field(meta, "remote");
  request.signal_id = signal_id;
  request.origin = origin;
  request.run_id = run_id;
  request.reason = reason;
  const ClearResult result = flag_->clear(request);
  static constexpr const char* kNames[] = {"cleared", "superseded", "unseen", "not-set"};
  Napi::Array waiting = Napi::Array::New(info.Env(), result.waiting_for.size());
  if (waiting.IsEmpty()) return {};
  for (uint32_t i = 0; i < result.waiting_for.size(); i++) {
    const SlotView& slot = result.waiting_for[i];
    waiting.Set(i, Napi::String::New(info.Env(), slot.role + ":" + slot.name + " " + std::to_string(slot.pid)));
  }
  Napi::Object out = Napi::Object::New(info.Env());
  if (out.IsEmpty()) return {};
  out.Set("outcome", Napi::String::New(info.Env(), kNames[static_cast<int>(result.outcome)]));
  out.Set("waitingFor", waiting);
  out.Set("signalId", Napi::String::New(info.Env(), result.signal_id));
  return out;
}

Napi::Value FlagObject::cursor(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  auto* state = info.Env().GetInstanceData<AddonState>();
  return state->cursor.New({info.This(), info[0]});
}

Napi::Value FlagObject::unpublished(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  return from_records(info.Env(), flag_->unpublished(to_uint64(info[0])));
}

Napi::Value FlagObject::mark_published(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  return Napi::Boolean::New(info.Env(), flag_->ring().mark_published(to_uint64(info[0])));
}

Napi::Value FlagObject::arm_deadline(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  TriggerArgument argument;
  if (!to_trigger(info[1], highest_level(), argument)) return {};
  const uint32_t handle = watcher_->arm(to_uint64(info[0]), std::move(argument.request));
  if (handle == 0) {
    if (watcher_->running()) throw_code(info.Env(), "ESPER_NATIVE_DEADLINES_FULL", "4096 deadlines are armed already");
    else throw_code(info.Env(), "ESPER_NATIVE_THREAD", "the system gives no thread for the deadline");
    return {};
  }
  // An armed deadline must fire although nobody holds the object any more.
  if (keep_.IsEmpty()) keep_ = Napi::Persistent(info.This().As<Napi::Object>());
  return Napi::Number::New(info.Env(), handle);
}

Napi::Value FlagObject::disarm(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  const bool disarmed = watcher_->disarm(info[0].As<Napi::Number>().Uint32Value());
  let_go();
  return Napi::Boolean::New(info.Env(), disarmed);
}

Napi::Value FlagObject::name_moved(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  return Napi::Boolean::New(info.Env(), flag_->region().name_moved());
}

Napi::Value FlagObject::stats(const Napi::CallbackInfo& info) {
  if (!usable(info.Env())) return {};
  const Counters& counters = flag_->ring().counters();
  Napi::Object out = Napi::Object::New(info.Env());
  if (out.IsEmpty()) return {};
  out.Set("tickets", Napi::BigInt::New(info.Env(), counters.next_ticket.load()));
  out.Set("overwrittenUnpublished", Napi::BigInt::New(info.Env(), counters.overwritten_unpublished.load()));
  out.Set("repairs", Napi::BigInt::New(info.Env(), counters.repairs.load()));
  out.Set("idleWakes", Napi::Number::New(info.Env(), wake_ != nullptr ? wake_->idle_wakes() : idle_wakes_));
  out.Set("nameMoved", Napi::Boolean::New(info.Env(), flag_->region().name_moved()));
  return out;
}

}  // namespace esper::addon
