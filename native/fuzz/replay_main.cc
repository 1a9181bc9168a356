// Runs a fuzz target over files, without libFuzzer: for compilers that have none, and to look at one input.
// Usage: <target>_replay FILE...   prints {"inputs": n, "attached": n}
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

// Counted by the target: inputs that got past the header.
extern "C" int esper_fuzz_attached;
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "%s: cannot be read\n", argv[i]);
      return 2;
    }
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::fprintf(stderr, "%s\n", argv[i]);  // before it runs: the last one named is the one that crashed
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  std::printf("{\"inputs\": %d, \"attached\": %d}\n", argc - 1, esper_fuzz_attached);
  return argc > 1 ? 0 : 2;
}
