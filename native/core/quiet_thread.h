// Threads of the core beside Node's event loop. Called by the loop's thread.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace esper {

// Runs `run(self)` on a thread that takes no signals: they belong to the event loop's, and a handler of Node's must not
// run there. Not std::thread, which answers a refusal with an exception, here the end of the process. False when the
// system gives none.
inline bool start_quiet_thread(pthread_t& thread, void* (*run)(void*), void* self) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool is_running = pthread_create(&thread, nullptr, run, self) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return is_running;
}

}  // namespace esper
