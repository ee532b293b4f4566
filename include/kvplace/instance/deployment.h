/// From what people run to one GPU of it: its part of machine, weights, KV and requests (docs/deployments.md).
///
/// G GPUs, attention tensor-parallel over t of them and data-parallel over d groups, t d = G; MLPs over all G. An
/// instance is the share of one GPU. Nothing of it depends on the placement.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvplace/hardware/hardware.h"
#include "kvplace/instance/engine.h"
#include "kvplace/instance/options.h"
#include "kvplace/model/model.h"
#include "kvplace/trace/trace.h"

namespace kvplace {

/// All inputs of an instance but the trace. Two equal specifications give equal instances.
struct InstanceSpec {
  Hardware hardware;
  std::optional<Model> model;
  InstanceOptions options;
  Engine engine;
};

/// What is in the near memory of one GPU: memory = weights + reserve + selector + state + window + other_kv + kv.
struct NearBudget {
  Bytes memory;
  Bytes weights;
  Bytes reserve;   ///< activations, graphs
  Bytes selector;  ///< index keys of its requests, at the trace's longest
  Bytes state;     ///< of layers without KV
  Bytes window;    ///< of layers that keep a window, if they are not in the trace
  Bytes other_kv;  ///< of layers that keep all their KV near, as they are not in the trace
  Bytes kv;        ///< what is left, negative if it does not fit
};

/// What a layer of the trace has of the model, on one GPU: of the layers that read its ids, and of those that run in
/// its step (instance/layer_map.h).
struct TracedLayer {
  Bytes kv_bytes_per_token;  ///< in blocks; 0 if none is known
  Bytes weight_bytes_per_step;
  Bytes far_experts_per_step;   ///< of them, those of experts that are far
  Bytes other_bytes_per_step;   ///< windows, states, index keys, KV that is not in the trace; all its requests
  Bytes other_bytes_per_token;  ///< and so much for each token of the context (Instance::context_tokens)

  bool operator==(const TracedLayer&) const = default;
};

struct GpuShare {
  Hardware machine;
  /// Whether more than the figures of one GPU and the mean layer is known: the model comes layer by layer, or there are
  /// several GPUs. Only then near memory is divided up.
  bool deployment = false;
  std::uint32_t attention_tp = 1;
  std::uint32_t attention_dp = 1;
  std::uint32_t requests = 1;       ///< of the batch; of the slowest GPU, if they do not divide
  std::uint32_t kv_heads = 0;       ///< of a traced layer; 0 if its KV has none (MLA) or they are not known
  std::vector<TracedLayer> layers;  ///< by layer of the trace, or one that stands for all; empty without a model
  /// Of a served batch the same by the number of requests that run, less one; `layers` is then of the mean number.
  std::vector<std::vector<TracedLayer>> layers_by_running;
  std::string layers_are;            ///< of the model, in words; empty if the model has a mean layer only
  bool stands_in = false;            ///< the trace is of another number of layers than the model has
  Bytes kv_bytes_per_token;          ///< of a traced layer, the most; 0 without a model
  double layers_per_traced = 1;      ///< layers of the model that a traced one stands for, mean
  double distinct_experts = 0;       ///< of a layer, read in a step
  std::uint32_t experts = 0;         ///< of a layer
  Bytes weight_bytes_per_step;       ///< mean over the traced layers
  Bytes other_bytes_per_step;        ///< likewise, at the mean context
  double fabric_bytes_per_step = 0;  ///< likewise, that one GPU sends to the others; 0 without hardware.fabric
  NearBudget near;

  /// Of so many requests in all, those of the slowest GPU.
  [[nodiscard]] std::uint32_t requests_of(std::uint32_t batch) const {
    return batch / attention_dp + (batch % attention_dp != 0 ? 1 : 0);
  }
};

/// Errors: GPUs that are not t d, or that do not divide heads or experts; more of them than the machine has.
[[nodiscard]] Result<GpuShare> share_of_one_gpu(const InstanceSpec& spec, const TraceMeta& meta,
                                                const TraceTotals& totals);

}  // namespace kvplace
