// Runs executions of the modelled memory, one a seed; see weak_atomic.h. Ends 1 at the first that goes wrong.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "weak_world.h"

int main(int count, char** arguments) {
  uint64_t executions = 10000;
  uint64_t seed = 1;
  for (int i = 1; i < count; i++) {
    uint64_t* const to = std::strcmp(arguments[i], "--executions") == 0 ? &executions
                         : std::strcmp(arguments[i], "--seed") == 0     ? &seed
                                                                         : nullptr;
    if (to == nullptr || i + 1 == count) {
      std::fprintf(stderr, "Usage: weak [--executions N] [--seed FIRST]\n");
      return 2;
    }
    *to = std::strtoull(arguments[++i], nullptr, 10);
  }
  for (uint64_t i = 0; i < executions; i++) {
    esper::weak::World world(seed + i);
    const std::string& wrong = world.run();
    if (wrong.empty()) continue;
    std::fprintf(stderr, "weak: seed %" PRIu64 ": %s\n", seed + i, wrong.c_str());
    std::printf("{\"executions\":%" PRIu64 ",\"wrong\":1,\"seed\":%" PRIu64 "}\n", i + 1, seed + i);
    return 1;
  }
  std::printf("{\"executions\":%" PRIu64 ",\"steps\":%" PRIu64 ",\"wrong\":0}\n", executions,
              esper::weak::Machine::get().steps());
}
