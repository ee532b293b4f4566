/// From a deployment to an answer: does it fit, how fast is it, what does tiering gain, what must be set or bought:
/// `kvplace advise` (docs/advise.md).
///
/// Without a trace a synthetic one takes its place (generate/workload.h), of fewer layers than the model where that has
/// many: they stand for all. Room is that of requests at their longest, time that of requests at half of their output.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kvplace/base/manifest.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/simulate/spent.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

struct AdviseOptions {
  std::uint32_t context = 0;           ///< tokens of a request before it is decoded
  std::uint32_t output = 1024;         ///< tokens decoded
  std::optional<double> target;        ///< tokens/s that each request is to get
  const TraceReader* trace = nullptr;  ///< what is read; null: a synthetic workload
  std::string workload;                ///< its name; empty: that which fits the model
  bool all_gpus = true;                ///< of a node, if one is all that options.gpus says
  Seconds time_limit{50};              ///< of the searches for bounds and for what is varied
};

/// What is far in this deployment.
enum class FarHolds : std::uint8_t {
  kKv,       ///< KV, as far as it does not fit
  kExperts,  ///< routed experts: not all weights fit
  kWeights,  ///< weights of a model without enough experts, and KV
  kNothing,  ///< it does not fit at all
};

/// A decode step of a batch.
struct Speed {
  double tokens_per_second = 0;  ///< of all requests
  double step_s = 0;             ///< what a request waits for a token
  std::string policy;            ///< what decides who is near; empty: all is
};

struct AdvicePoint {
  std::uint32_t batch = 0;
  std::uint64_t buffer_blocks = 0;         ///< blocks per layer and request that near memory has room for
  std::uint64_t engine_buffer_blocks = 0;  ///< those that the engine uses
  std::optional<Speed> all_near;           ///< none: it does not fit
  std::optional<Speed> engine;             ///< as it ships; none: it does not fit
  std::optional<Speed> best;               ///< the fastest policy tried, with far reads beside near ones
  std::optional<double> bound_step_s;      ///< no schedule of what `best` is one of takes less
  std::optional<Spent> spent;              ///< of the engine, else of the best policy
  double experts_near = 1;                 ///< share of the routed experts that is near
};

/// Tokens/s of the batch asked for, with an input 20 % lower and 20 % higher.
struct Sensitivity {
  std::string input;
  double lower = 0;
  double higher = 0;
};

struct Advice {
  Manifest manifest;
  InstanceSpec spec;  ///< as resolved, with what advise chose
  std::uint32_t context = 0;
  std::uint32_t output = 0;
  std::string workload;
  bool synthetic = true;
  std::uint32_t layers = 0;        ///< of the model whose KV is placed
  std::uint32_t trace_layers = 0;  ///< that stand for them
  std::uint32_t block_tokens = 1;
  FarHolds fit = FarHolds::kKv;
  NearBudget near;       ///< of one GPU, for the batch asked for
  Bytes kv_per_request;  ///< on one GPU, at its longest
  std::uint32_t requests_per_gpu = 1;
  std::uint32_t requests_all_near = 0;
  std::uint32_t requests_tiered = 0;      ///< with what the engine keeps near of each, or as much as a step reads
  std::string tiered_limit;               ///< what ends it: "near memory", "far memory"
  std::uint64_t least_buffer_blocks = 0;  ///< of each, for that
  std::optional<std::uint32_t> crossover_batch;
  std::optional<Speed> most_all_near;           ///< of requests_all_near
  std::vector<AdvicePoint> points;              ///< in ascending order of batch; one of them is asked for
  std::optional<std::uint32_t> target_batch;    ///< the most found at which each request gets the target
  std::map<std::string, std::string> settings;  ///< by engine: its flags
  std::vector<std::string> assumes;
  std::optional<double> gain_gib_near;  ///< tokens/s that one more GiB of near memory on each GPU gains the best policy
  std::optional<double> gain_gb_s_link;
  std::optional<double> gain_gpu;  ///< and as many more GPUs as divide the work
  std::uint32_t more_gpus = 0;
  std::vector<Sensitivity> sensitivity;
  std::string sensitive_speed;  ///< whose: "engine" or "best policy"
  double base_tokens_per_second = 0;
  bool complete = true;  ///< false: time was up before all was varied

  [[nodiscard]] const AdvicePoint* asked() const;
};

/// Chooses what is left open: all GPUs of a node if asked for, attention data-parallel for MLA and tensor-parallel
/// else, whole experts per GPU where they divide, a reserve of 0.1.
void choose_deployment(InstanceSpec& spec, bool all_gpus, std::vector<std::string>& notes);

/// Errors: bad input, as without a model; interrupted.
[[nodiscard]] Result<Advice> advise(const InstanceSpec& spec, const AdviseOptions& options, const RunContext& context);

/// With the keys of docs/json.md.
[[nodiscard]] std::string to_json(const Advice& advice);

}  // namespace kvplace
