// The event loop's end of a wake: a poll handle on the watcher's message queue (one hop) and an async handle that
// the watcher's thread sends to (re-check, futex hints). Both live on the heap until libuv has closed them, because
// the object that owns them may be collected, or its environment torn down, before.
#pragma once

#include <napi.h>
#include <uv.h>

#include <functional>
#include <memory>

#include "../core/wake.h"

namespace esper::addon {

class LoopWake {
 public:
  struct Hooks {
    std::function<bool()> look;      // on the loop; true when it found news
    std::function<void()> shutdown;  // environment is going away: close() before returning
    std::function<void()> paused;    // the queue was flooded; ask the re-check for the next look
  };

  // Null when libuv refuses. `keep_alive` holds the loop open until close().
  static LoopWake* open(Napi::Env env, const Header& header, const Slots& slots, int slot, bool keep_alive,
                        Hooks hooks);
  // No hook runs after it. Frees itself when libuv is done.
  void close();
  // Any thread, until close(): look soon.
  void send() { uv_async_send(&async_); }
  [[nodiscard]] uint32_t idle_wakes() const { return idle_total_; }

 private:
  LoopWake() = default;
  void on_hint(bool from_queue);
  void handle_closed();
  bool start_poll();

  static void on_environment_exit(napi_async_cleanup_hook_handle handle, void* data);

  uv_async_t async_{};
  uv_poll_t poll_{};
  std::unique_ptr<WakeReceiver> receiver_;
  Hooks hooks_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool polling_ = false;
  bool poll_open_ = false;
  bool closing_ = false;
  int handles_open_ = 0;
  uint32_t idle_in_a_row_ = 0;
  uint32_t idle_total_ = 0;
};

}  // namespace esper::addon
