// Mistakes planted on purpose: a build under a sanitizer must stop at each, or its silence about the tests means
// nothing.
// Usage: verify_sanitizer_control race | overflow | undefined | none
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

namespace {

int shared_word = 0;

void race() {
  std::thread other([] { shared_word++; });
  shared_word++;
  other.join();
}

void overflow(size_t at) {
  const std::unique_ptr<char[]> bytes(new char[8]());
  volatile char* past = bytes.get() + at;
  std::printf("%d\n", *past);
}

void undefined(int by) {
  volatile int sum = INT_MAX;
  sum = sum + by;
}

}  // namespace

int main(int argc, char** argv) {
  const char* what = argc == 2 ? argv[1] : "";
  if (std::strcmp(what, "race") == 0) race();
  if (std::strcmp(what, "overflow") == 0) overflow(8 + static_cast<size_t>(argc) - 2);
  if (std::strcmp(what, "undefined") == 0) undefined(argc - 1);
  return *what == '\0' ? 2 : 0;
}
