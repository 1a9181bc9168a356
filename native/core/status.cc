#include "status.h"

namespace esper {

const char* code_name(Code code) {
  switch (code) {
    case Code::kOk: return "ESPER_SHM_OK";
    case Code::kUnsupportedPlatform: return "ESPER_SHM_UNSUPPORTED_PLATFORM";
    case Code::kBadName: return "ESPER_SHM_BAD_NAME";
    case Code::kPermission: return "ESPER_SHM_PERMISSION";
    case Code::kNoSpace: return "ESPER_SHM_NO_SPACE";
    case Code::kNotRegularFile: return "ESPER_SHM_NOT_REGULAR_FILE";
    case Code::kForeignOwner: return "ESPER_SHM_FOREIGN_OWNER";
    case Code::kLooseMode: return "ESPER_SHM_LOOSE_MODE";
    case Code::kTruncated: return "ESPER_SHM_TRUNCATED";
    case Code::kOversized: return "ESPER_SHM_OVERSIZED";
    case Code::kBadMagic: return "ESPER_SHM_BAD_MAGIC";
    case Code::kBadVersion: return "ESPER_SHM_BAD_VERSION";
    case Code::kBadHeader: return "ESPER_SHM_BAD_HEADER";
    case Code::kWrongKind: return "ESPER_SHM_WRONG_KIND";
    case Code::kHalfInitialised: return "ESPER_SHM_HALF_INITIALISED";
    case Code::kStaleBoot: return "ESPER_SHM_STALE_BOOT";
    case Code::kForeignClock: return "ESPER_SHM_FOREIGN_CLOCK";
    case Code::kSystem: return "ESPER_SHM_SYSTEM";
  }
  return "ESPER_SHM_SYSTEM";
}

}  // namespace esper
