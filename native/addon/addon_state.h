// What one environment (main thread or worker) holds; freed by Node when the environment ends.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/region.h"

namespace esper::addon {

// What a constructor of this addon is given.
struct OpenedRegion {
  std::shared_ptr<Region> region;
  bool created = false;
  bool read_only = false;  // histogram only: takes no stripe
};

struct AddonState {
  Napi::FunctionReference flag;
  Napi::FunctionReference cursor;
  Napi::FunctionReference histogram;
  Napi::FunctionReference memory;
  Napi::FunctionReference record_factory;
};

}  // namespace esper::addon
