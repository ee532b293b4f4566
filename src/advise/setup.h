/// The cases of a deployment: all near, the engine as it ships, policies that read both sides at once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "advise/bench.h"
#include "advise/room.h"

namespace kvplace {

/// A step as a weighted sum of cases of a Bench: an engine that keeps some requests wholly near has two.
struct Estimate {
  struct Part {
    std::size_t at = 0;
    double weight = 1;
  };
  std::vector<Part> parts;
  std::uint32_t batch = 1;
  double extra_s = 0;
  std::string policy;
  std::uint64_t buffer_blocks = 0;

  [[nodiscard]] Speed speed(const Bench& bench) const;
  [[nodiscard]] Spent spent(const Bench& bench) const;
};

/// Traces that stand for what is read, made as they are needed.
class Stands {
 public:
  Stands(const Model& model, const AdviseOptions& options, const RunContext& context)
      : model_(model), options_(options), context_(context) {}

  [[nodiscard]] Status make(double context_factor = 1);
  /// KV, or all of it in coarse blocks.
  [[nodiscard]] const Stand& kv() const { return kv_; }
  /// Experts of a layer, of which a step reads so many.
  [[nodiscard]] Result<Stand> experts(std::uint32_t read);
  [[nodiscard]] const std::string& workload() const { return workload_; }
  [[nodiscard]] std::uint32_t layers() const { return layers_; }

 private:
  const Model& model_;
  const AdviseOptions& options_;
  const RunContext& context_;
  std::string workload_;
  std::uint32_t layers_ = 0;  ///< of the model, that are placed
  std::unique_ptr<TraceReader> kv_trace_;
  Stand kv_;
  std::map<std::uint32_t, std::unique_ptr<TraceReader>> experts_;
};

class Setup {
 public:
  Setup(const InstanceSpec& spec, Stands& stands, std::uint64_t longest);

  [[nodiscard]] const Room& room() const { return room_; }
  /// Blocks per layer and request for which near memory has room.
  [[nodiscard]] std::uint64_t buffer_blocks(const Room::Plan& plan) const;
  /// What the engine keeps near of a request; without one, as much as a step reads. 0 of dense workloads.
  [[nodiscard]] std::uint64_t least_buffer_blocks() const;
  [[nodiscard]] bool is_dense() const { return stands_.workload() == "dense"; }
  /// Whether the engine can keep a part of the KV near; ideal ones can.
  [[nodiscard]] bool tiers_kv() const;
  /// Whether far memory holds all KV, or only what is not near.
  [[nodiscard]] bool full_copy() const { return !is_dense(); }
  /// Whether so many requests fit with `least` blocks near of each.
  [[nodiscard]] bool fits_tiered(std::uint32_t batch, std::uint64_t least) const;
  /// Blocks that a step reads of a layer and request; 0 of dense workloads, any part of which may be far.
  [[nodiscard]] std::uint64_t blocks_read() const;

  // None where it does not fit.
  [[nodiscard]] Result<std::optional<Estimate>> all_near(Bench& bench, std::uint32_t batch) const;
  [[nodiscard]] Result<std::optional<Estimate>> engine(Bench& bench, std::uint32_t batch) const;
  /// One per policy tried, with all that near memory has room for; `more` bytes more of it on each GPU.
  [[nodiscard]] Result<std::vector<Estimate>> policies(Bench& bench, std::uint32_t batch, const std::string& only = {},
                                                       double more = 0) const;

 private:
  [[nodiscard]] std::uint64_t blocks_of(double tokens) const;
  [[nodiscard]] Case base(std::uint32_t batch, const Room::Plan& plan) const;
  [[nodiscard]] Result<Estimate> estimate(Bench& bench, const Stand& stand, const Case& a_case) const;
  [[nodiscard]] Result<std::optional<Estimate>> hot_buffers(Bench& bench, std::uint32_t batch,
                                                            const Room::Plan& plan) const;
  [[nodiscard]] Result<std::vector<Estimate>> expert_policies(Bench& bench, std::uint32_t batch, const Room::Plan& plan,
                                                              const std::string& only, double more) const;

  InstanceSpec spec_;
  Stands& stands_;
  Room room_;
  std::uint64_t longest_;
};

}  // namespace kvplace
