// Named results. The core never throws; native/addon/errors.cc alone turns these into JavaScript errors.
#pragma once

#include <string>

namespace esper {

enum class Code {
  kOk,
  kUnsupportedPlatform,
  kBadName,
  kPermission,
  kNoSpace,
  kNotRegularFile,
  kForeignOwner,
  kLooseMode,
  kTruncated,
  kOversized,
  kBadMagic,
  kBadVersion,
  kBadHeader,
  kWrongKind,
  kHalfInitialised,
  kStaleBoot,
  kForeignClock,
  kSystem,
};

// What went wrong, for a person, and the system call behind it where there was one.
struct Status {
  Code code = Code::kOk;
  std::string message;
  const char* syscall = nullptr;
  int error_number = 0;

  [[nodiscard]] bool ok() const { return code == Code::kOk; }
};

// Stable name of a code as JavaScript sees it, `ESPER_SHM_<WHAT>`.
const char* code_name(Code code);

}  // namespace esper
