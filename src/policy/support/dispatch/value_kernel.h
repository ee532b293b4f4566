/// The flagship's pass over a layer's blocks that are near: what they are remembered by moves on by a step, and each
/// gets its value (value_slots.h).
///
/// Compiled for several instruction sets; all give the same bits, since the operations and their order are the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kvplace {

/// A layer's blocks side by side. All arrays go on, up to a multiple of kValueLanes, with whatever numbers.
constexpr std::size_t kValueLanes = 16;
struct ValueBatch {
  std::size_t count = 0;
  float* first = nullptr;  ///< the four of BlockHistory
  float* second = nullptr;
  float* reads_20 = nullptr;
  float* reads_100 = nullptr;
  float* read = nullptr;         ///< 1 if read in this step; 0 afterwards
  const float* ranks = nullptr;  ///< x of each block's rank; by ranks only
  const std::int32_t* last_reads = nullptr;
  float* values = nullptr;
  float frequency = 1;   ///< weight of how often blocks were read
  std::int32_t now = 0;  ///< what last_reads is of a block read in this step
};

struct PlacedValue {
  float value;
  std::uint32_t place;
};

struct ValueKernel {
  const char* name;
  /// Values behind the last block's are infinite afterwards.
  void (*by_ranks)(const ValueBatch& batch);
  void (*by_reads)(const ValueBatch& batch);
  /// Of the values that are not infinite the lowest, at most so many, the lowest first; of equals the first. Infinity
  /// takes their place; returns how many there were. A pass for each, so for few. `values` go on as those of a batch
  /// do.
  std::size_t (*take_lowest)(float* values, std::size_t count, std::size_t most, PlacedValue* lowest);
};

/// Those that this processor can run, the fastest first.
[[nodiscard]] std::span<const ValueKernel> value_kernels();

}  // namespace kvplace
