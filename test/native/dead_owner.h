// Owners that died, and bodies that are killed where they stand.
#pragma once

#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

namespace esper::test {

inline uint32_t dead_owner() {
  int pipe_ends[2];
  CHECK(pipe(pipe_ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const uint32_t mine = self_owner();
    _exit(write(pipe_ends[1], &mine, sizeof mine) == sizeof mine ? 0 : 1);
  }
  uint32_t owner = 0;
  CHECK(read(pipe_ends[0], &owner, sizeof owner) == sizeof owner);
  CHECK(waitpid(child, nullptr, 0) == child);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  return owner;
}

// Runs `body` in a child that is killed, not ended: no destructor runs.
template <typename Body>
void killed_after(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    raise(SIGKILL);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

}  // namespace esper::test
