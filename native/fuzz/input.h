// Bytes of one fuzz input, taken from the front. Past its end it gives zeros, so that every input means something.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace esper::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  [[nodiscard]] bool more() const { return size_ > 0; }

  template <typename Number>
  Number take() {
    Number out{};
    take_bytes(&out, sizeof out);
    return out;
  }

  size_t take_bytes(void* out, size_t wanted) {
    const size_t got = std::min(wanted, size_);
    if (got > 0) std::memcpy(out, data_, got);
    data_ += got;
    size_ -= got;
    return got;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace esper::fuzz
