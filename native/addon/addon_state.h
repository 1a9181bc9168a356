// What one environment (main thread or worker) holds; freed by Node when the environment ends.
#pragma once

#include <napi.h>

namespace esper::addon {

struct AddonState {
  Napi::FunctionReference flag;
  Napi::FunctionReference cursor;
  Napi::FunctionReference histogram;
  Napi::FunctionReference record_factory;
};

}  // namespace esper::addon
