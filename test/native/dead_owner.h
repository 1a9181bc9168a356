#pragma once

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

}  // namespace esper::test
