// Levels of the two flags. The emergency levels are those of esper.leyline.v1.EmergencyLevel; `npm run lint`
// compares them with the .proto, so that shared memory and the bus can never disagree.
#pragma once

#include <cstdint>

namespace esper {

inline constexpr uint32_t kLevelNone = 0;
inline constexpr uint32_t kLevelNotice = 1;
inline constexpr uint32_t kLevelElevated = 2;
inline constexpr uint32_t kLevelConservative = 3;
inline constexpr uint32_t kLevelHalt = 4;

inline constexpr uint32_t kRollbackIdle = 0;
inline constexpr uint32_t kRollbackRequested = 1;
inline constexpr uint32_t kRollbackExpired = 2;

}  // namespace esper
