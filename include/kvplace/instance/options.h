/// What a user says about an instance beside hardware, model and trace.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/units.h"
#include "kvplace/instance/step_groups.h"
#include "kvplace/instance/step_time.h"

namespace kvplace {

/// Inclusive: far holds a copy of every block. Exclusive: one copy; leaving near is a transfer.
enum class Mode : std::uint8_t { kInclusive, kExclusive };
/// What is near at the first decode step.
enum class Start : std::uint8_t { kRecent, kEmpty, kFree };
/// Who serves a read of a block that both sides hold (inclusive mode): near, or both so that they finish together.
enum class MirroredReads : std::uint8_t { kNear, kSplit };
/// When a promotion's bytes move: in the step that decides it, or in the idle time of the link from then on
/// (instance/background.h).
enum class Copies : std::uint8_t { kStep, kBackground };

/// What bounds count of an engine: nothing, only the machine at its peak; or its efficiencies and overheads.
enum class BoundCosts : std::uint8_t { kPeak, kEngine };

/// Every field changes results. The table option_fields() names, documents and parses them.
struct InstanceOptions {
  // At most one of the three; default: the hardware's near capacity less the model's weights.
  std::optional<Bytes> near_capacity;                  ///< of the machine, for the KV of all requests
  std::optional<std::uint32_t> near_blocks_per_layer;  ///< of the trace's request
  std::optional<double> near_fraction;                 ///< share of all blocks at the end of the trace, 0 to 1

  /// How policies with a buffer per layer divide the near capacity, one number per layer, relative to their sum; empty:
  /// equally.
  std::vector<double> layer_shares;

  Mode mode = Mode::kInclusive;
  Barrier barrier = Barrier::kLayer;
  Overlap overlap = Overlap::kFull;
  Start start = Start::kRecent;
  MirroredReads mirrored_reads = MirroredReads::kNear;
  Copies copies = Copies::kStep;
  BoundCosts bound_costs = BoundCosts::kPeak;
  std::uint32_t batch = 1;                     ///< the trace stands for one of so many like requests
  std::optional<Bytes> block_bytes;            ///< of a KV page; default: model or trace
  std::optional<Bytes> weight_bytes_per_step;  ///< read in each (decode step, layer); default: model
  // The deployment (instance/deployment.h): the instance is one GPU's share of it.
  std::uint32_t gpus = 1;
  std::optional<std::uint32_t> attention_tp;  ///< GPUs that share the heads of a request; default: gpus / attention_dp
  std::optional<std::uint32_t> attention_dp;  ///< groups that share the requests; default: gpus / attention_tp
  bool expert_parallel = false;               ///< whole experts on each GPU; else a part of each
  std::optional<double> reserve;              ///< share of near memory for all else; default: 0.1 of a deployment
  std::optional<double> experts_read;  ///< share of the routed experts that a step reads; default: uniform routing
  std::optional<double> experts_near;  ///< share of the routed experts' weights that resides near; default: all
  double weights_near = 1;             ///< share of the weights that resides near, 0 to 1
  bool new_kv = true;                  ///< whether writing new KV costs anything
  std::uint64_t seed = 0;              ///< of policies that draw random numbers
};

[[nodiscard]] std::span<const Field<InstanceOptions>> option_fields();

[[nodiscard]] std::string to_text(Mode mode);
[[nodiscard]] std::string to_text(Start start);
[[nodiscard]] std::string to_text(Copies copies);

}  // namespace kvplace
