// The one place that turns a core Status into a JavaScript error: Error with `code`, and `errno`, `syscall` where a
// system call was behind it.
#pragma once

#include <napi.h>

#include "../core/status.h"

namespace esper::addon {

void throw_status(Napi::Env env, const Status& status);
void throw_code(Napi::Env env, const char* code, const std::string& message);

}  // namespace esper::addon
