/// The units that text may have.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace kvplace {

/// A unit is 10^power_of_10 * 2^power_of_2 of the base unit; one of the two is 0.
struct UnitName {
  std::string_view name;
  int power_of_10;
  int power_of_2;
};

inline constexpr std::array kByteUnits{
    UnitName{"B", 0, 0},    UnitName{"kB", 3, 0},   UnitName{"MB", 6, 0},   UnitName{"GB", 9, 0},
    UnitName{"TB", 12, 0},  UnitName{"PB", 15, 0},  UnitName{"KiB", 0, 10}, UnitName{"MiB", 0, 20},
    UnitName{"GiB", 0, 30}, UnitName{"TiB", 0, 40}, UnitName{"PiB", 0, 50},
};
inline constexpr std::array kBandwidthUnits{
    UnitName{"B/s", 0, 0},    UnitName{"kB/s", 3, 0},   UnitName{"MB/s", 6, 0},
    UnitName{"GB/s", 9, 0},   UnitName{"TB/s", 12, 0},  UnitName{"KiB/s", 0, 10},
    UnitName{"MiB/s", 0, 20}, UnitName{"GiB/s", 0, 30}, UnitName{"TiB/s", 0, 40},
};
inline constexpr std::array kTimeUnits{
    UnitName{"ns", -9, 0},
    UnitName{"us", -6, 0},
    UnitName{"ms", -3, 0},
    UnitName{"s", 0, 0},
};
inline constexpr std::array kFlopsRateUnits{
    UnitName{"FLOP/s", 0, 0},   UnitName{"MFLOP/s", 6, 0},  UnitName{"GFLOP/s", 9, 0},
    UnitName{"TFLOP/s", 12, 0}, UnitName{"PFLOP/s", 15, 0},
};
inline constexpr std::array kFlopsUnits{
    UnitName{"FLOP", 0, 0},   UnitName{"MFLOP", 6, 0},  UnitName{"GFLOP", 9, 0},
    UnitName{"TFLOP", 12, 0}, UnitName{"PFLOP", 15, 0},
};

/// Of a unit of bytes.
[[nodiscard]] constexpr std::int64_t bytes_in(const UnitName& unit) {
  std::int64_t bytes = std::int64_t{1} << unit.power_of_2;
  for (int i = 0; i < unit.power_of_10; ++i) {
    bytes *= 10;
  }
  return bytes;
}

}  // namespace kvplace
