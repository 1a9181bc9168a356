#include "errors.h"

namespace esper::addon {

void throw_code(Napi::Env env, const char* code, const std::string& message) {
  if (env.IsExceptionPending()) return;
  Napi::Error error = Napi::Error::New(env, message);
  error.Value().Set("code", Napi::String::New(env, code));
  error.ThrowAsJavaScriptException();
}

void throw_status(Napi::Env env, const Status& status) {
  if (env.IsExceptionPending()) return;
  Napi::Error error = Napi::Error::New(env, status.message);
  error.Value().Set("code", Napi::String::New(env, code_name(status.code)));
  if (status.syscall != nullptr) {
    error.Value().Set("syscall", Napi::String::New(env, status.syscall));
    error.Value().Set("errno", Napi::Number::New(env, status.error_number));
  }
  error.ThrowAsJavaScriptException();
}

}  // namespace esper::addon
