#include "loop_wake.h"

namespace esper::addon {
namespace {

// Fruitless hints in a row before the socket is left alone until the next re-check: abstract sockets have no
// permissions, so anybody may send, and a flood may cost no more than this many looks per re-check.
constexpr uint32_t kIdleLimit = 32;

}  // namespace

LoopWake* LoopWake::open(Napi::Env env, const Header& header, int slot, uint32_t incarnation, bool keep_alive,
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
  if (slot >= 0 && self->receiver_.open(header, static_cast<uint32_t>(slot), incarnation) &&
      uv_poll_init(loop, &self->poll_, self->receiver_.fd()) == 0) {
    self->poll_.data = self;
    self->poll_open_ = true;
    self->handles_open_ = 2;
    self->start_poll();
    uv_unref(reinterpret_cast<uv_handle_t*>(&self->poll_));
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

void LoopWake::on_hint(bool from_socket) {
  if (closing_) return;
  // Look first, then take exactly one hint: every hint is taken only after a look that came after it, and the callback
  // does not wait for a system call. What is still queued makes the socket readable again.
  const bool news = hooks_.look();
  if (closing_) return;
  if (from_socket) receiver_.take_one();
  if (news) {
    idle_in_a_row_ = 0;
    return;
  }
  if (from_socket) {
    idle_total_++;
    if (++idle_in_a_row_ < kIdleLimit) return;
    uv_poll_stop(&poll_);
    polling_ = false;
    hooks_.paused();
  } else if (poll_open_ && !polling_) {
    idle_in_a_row_ = 0;
    start_poll();
  }
}

void LoopWake::on_environment_exit(napi_async_cleanup_hook_handle, void* data) {
  static_cast<LoopWake*>(data)->hooks_.shutdown();
}

void LoopWake::close() {
  if (closing_) return;
  closing_ = true;
  const auto on_closed = [](uv_handle_t* handle) { static_cast<LoopWake*>(handle->data)->handle_closed(); };
  if (poll_open_) {
    uv_poll_stop(&poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), on_closed);
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&async_), on_closed);
}

void LoopWake::handle_closed() {
  if (--handles_open_ > 0) return;
  if (cleanup_ != nullptr) napi_remove_async_cleanup_hook(cleanup_);
  delete this;
}

}  // namespace esper::addon
