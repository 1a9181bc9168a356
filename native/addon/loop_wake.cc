#include "loop_wake.h"

namespace esper::addon {
namespace {

// Fruitless hints in a row before the queue is left alone until the next re-check. Only processes of the same user can
// send, but one that went wrong may do so without end: it costs no more than this many looks per re-check.
constexpr uint32_t kIdleLimit = 32;

}  // namespace

LoopWake* LoopWake::open(Napi::Env env, const Header& header, const Slots& slots, int slot, bool keep_alive,
                         Hooks hooks) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
  auto* self = new LoopWake();
  self->hooks_ = std::move(hooks);
  const auto on_async = [](uv_async_t* handle) { static_cast<LoopWake*>(handle->data)->on_hint(false); };
  if (uv_async_init(loop, &self->async_, on_async) != 0) {
    delete self;
    return nullptr;
  }
  self->async_.data = self;
  self->handles_open_ = 1;
  if (!keep_alive) uv_unref(reinterpret_cast<uv_handle_t*>(&self->async_));
  self->receiver_ = std::make_unique<WakeReceiver>();
  if (slot >= 0 && self->receiver_->open(header, slots.at(slot), static_cast<uint32_t>(slot)) &&
      uv_poll_init(loop, &self->poll_, self->receiver_->fd()) == 0) {
    self->poll_.data = self;
    self->poll_open_ = true;
    self->handles_open_ = 2;
    self->start_poll();
    uv_unref(reinterpret_cast<uv_handle_t*>(&self->poll_));
  } else {
    self->receiver_.reset();
  }
  if (napi_add_async_cleanup_hook(env, on_environment_exit, self, &self->cleanup_) != napi_ok) {
    self->cleanup_ = nullptr;
    self->close();
    return nullptr;
  }
  return self;
}

bool LoopWake::start_poll() {
  const auto on_readable = [](uv_poll_t* handle, int, int) { static_cast<LoopWake*>(handle->data)->on_hint(true); };
  polling_ = uv_poll_start(&poll_, UV_READABLE, on_readable) == 0;
  return polling_;
}

void LoopWake::on_hint(bool from_queue) {
  if (closing_) return;
  // Taken before the look: a sender that finds the queue full relies on it.
  if (from_queue) receiver_->take();
  const bool news = hooks_.look();
  if (closing_) return;
  // The re-check that ends a pause may find news: without this the queue would stay unpolled for good.
  if (!from_queue && poll_open_ && !polling_) {
    idle_in_a_row_ = 0;
    start_poll();
  }
  if (news) {
    idle_in_a_row_ = 0;
    return;
  }
  if (!from_queue) return;
  idle_total_++;
  if (++idle_in_a_row_ < kIdleLimit) return;
  uv_poll_stop(&poll_);
  polling_ = false;
  hooks_.paused();
}

void LoopWake::on_environment_exit(napi_async_cleanup_hook_handle, void* data) {
  auto* self = static_cast<LoopWake*>(data);
  if (!self->closing_) self->hooks_.shutdown();
}

void LoopWake::close() {
  if (closing_) return;
  closing_ = true;
  const auto on_closed = [](uv_handle_t* handle) { static_cast<LoopWake*>(handle->data)->handle_closed(); };
  if (poll_open_) {
    uv_poll_stop(&poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), on_closed);
    // At once: whoever opens and closes watches faster than the loop turns must not pile up queues.
    receiver_.reset();
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&async_), on_closed);
}

void LoopWake::handle_closed() {
  if (--handles_open_ > 0) return;
  if (cleanup_ != nullptr) napi_remove_async_cleanup_hook(cleanup_);
  delete this;
}

}  // namespace esper::addon
