/// Units and limits of a certificate's numbers (docs/certificate.md).
#pragma once

#include "bound/int128.h"

namespace kvplace {

inline constexpr Int128 kInterferenceUnit = Int128{1} << 20;      ///< of interference_2_20
inline constexpr int kTimeUnitBits = 60;                          ///< floor and overhead are in 2^-60 s
inline constexpr Int128 kBandwidthLimit = Int128{1} << 50;        ///< bytes/s; must be less
inline constexpr Int128 kMostFixedBytes = (Int128{1} << 63) - 1;  ///< of a channel in a step or group

}  // namespace kvplace
