/// What this machine's near and far memory deliver, measured, as a hardware file that every verb takes.
///
/// Near memory is read with plain loads and written with plain stores by one thread, in random pieces of more memory
/// than caches hold; far memory is read and written in random pieces of several sizes, several at a time; then both at
/// once. Every figure is measured a few times, in turns, so that a slow moment of the machine does not fall on one of
/// them alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvplace/base/manifest.h"
#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/runtime/memory.h"

namespace kvplace {

/// The name of the hardware in the file.
inline constexpr const char* kCalibratedName = "measured";

struct CalibrateOptions {
  std::string far;                          ///< as make_memory() has it
  Bytes near_bytes{std::int64_t{1} << 30};  ///< that are read and written, 1 MiB or more
  Bytes far_bytes{std::int64_t{1} << 30};
  Bytes block_bytes{std::int64_t{64} << 10};  ///< of near memory's pieces: 4 KiB to 16 MiB, a multiple of 256
  std::uint32_t runs = 5;                     ///< of each figure, 1 to 100
  Seconds of_run{0.05};
};

/// The median of some runs, and the least and the most of them.
struct Measured {
  double median = 0;
  double least = 0;
  double most = 0;

  /// How far apart they are, as a share of the median.
  [[nodiscard]] double spread() const { return median > 0 ? (most - least) / median : 0; }
};

/// Of runs, one at least.
[[nodiscard]] Measured measured_of(std::vector<double> runs);

/// Far memory at pieces of one size.
struct PieceRate {
  Direction direction = Direction::kRead;
  Bytes piece;
  std::uint32_t depth = 1;  ///< pieces on their way at a time
  Measured rate;            ///< bytes/s
};

struct Calibration {
  std::string far;      ///< the memory's name
  Bytes block_bytes;    ///< of near memory's pieces
  Measured near_read;   ///< bytes/s
  Measured near_write;  ///< bytes/s
  std::vector<PieceRate> pieces;
  Measured latency;                   ///< of reading a piece of 4096 bytes alone, s
  Measured interference;              ///< a in T = max + a * second largest (formulation, "Time")
  std::vector<std::string> notes;     ///< of the memories
  std::vector<std::string> warnings;  ///< figures whose runs are far apart
  Hardware hardware;                  ///< what follows for other verbs; its provenance says that it was measured
  Manifest manifest;
};

/// Runs of one figure that are farther apart than this share of their median make a warning.
inline constexpr double kNoisy = 0.25;

/// Takes about 26 x runs x of_run. Interrupted if it is asked to stop.
[[nodiscard]] Result<Calibration> calibrate(const CalibrateOptions& options, const RunContext& context);

/// A hardware file.
[[nodiscard]] std::string to_toml(const Calibration& calibration);
[[nodiscard]] std::string to_json(const Calibration& calibration);
/// Writes to_toml() to a file that appears when it is complete.
[[nodiscard]] Status write_calibration(const std::string& path, const Calibration& calibration);

}  // namespace kvplace
