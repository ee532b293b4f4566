#include "kvplace/instance/deployment.h"

#include <algorithm>
#include <cmath>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

constexpr double kReserveOfDeployment = 0.1;  // what engines leave free by default

/// How many GPUs share the heads of a request, and how many groups of them there are.
struct Division {
  std::uint32_t tp = 1;
  std::uint32_t dp = 1;
};

Result<Division> divide_gpus(const InstanceOptions& options) {
  Division division;
  division.dp =
      options.attention_dp.value_or(options.attention_tp ? std::max(1u, options.gpus / *options.attention_tp) : 1);
  division.tp = options.attention_tp.value_or(std::max(1u, options.gpus / division.dp));
  if (std::uint64_t{division.tp} * division.dp != options.gpus) {
    return bad_input("--gpus " + std::to_string(options.gpus) + " are not --attention-tp " +
                     std::to_string(division.tp) + " x --attention-dp " + std::to_string(division.dp));
  }
  return division;
}

Status check_division(const InstanceSpec& spec, const TraceMeta& meta, const Division& division,
                      std::span<const LayerGroup> groups) {
  const std::uint32_t gpus = spec.options.gpus;
  const Hardware& hardware = spec.hardware;
  if (hardware.gpus > 0 && gpus > hardware.gpus) {
    return bad_input("--gpus " + std::to_string(gpus) + " are more than the " + std::to_string(hardware.gpus) + " of " +
                     hardware.name + ": a deployment is within one node");
  }
  const bool has_experts =
      std::any_of(groups.begin(), groups.end(), [](const LayerGroup& group) { return group.experts > 0; });
  if (spec.options.expert_parallel && !has_experts) {
    return bad_input("--expert-parallel needs a model with routed experts");
  }
  if (spec.options.experts_read && (!has_experts || meta.layout.experts > 0)) {
    return bad_input(has_experts ? "options.experts_read is for traces without expert blocks, which say what is read"
                                 : "options.experts_read needs a model with routed experts");
  }
  if (gpus == 1) {
    return {};
  }
  if (!spec.model) {
    return bad_input("--gpus " + std::to_string(gpus) + " needs --model, whose heads and weights they share");
  }
  if (meta.layout.experts > 0) {
    return bad_input("the trace has expert blocks, which are placed on one GPU: --gpus must be 1");
  }
  const std::uint32_t queries = spec.model->attention.query_heads;
  if (queries % division.tp != 0) {
    return bad_input(std::to_string(division.tp) + " GPUs do not divide the " + std::to_string(queries) +
                     " query heads of " + spec.model->name + ": give another --gpus or --attention-tp");
  }
  for (const LayerGroup& group : groups) {
    if (spec.options.expert_parallel && group.experts % gpus != 0) {
      return bad_input(std::to_string(gpus) + " GPUs do not divide the " + std::to_string(group.experts) +
                       " experts of " + spec.model->name + ": give another --gpus, or no --expert-parallel");
    }
    if (division.tp == 1 || !group.has_kv() || group.latent_dim > 0) {
      continue;
    }
    if (group.kv_heads == 0) {
      return bad_input("the KV heads of " + spec.model->name + " are not known, which --attention-tp " +
                       std::to_string(division.tp) + " divides: give --set model.attention.kv_heads=N");
    }
    if (group.kv_heads % division.tp != 0 && division.tp % group.kv_heads != 0) {
      return bad_input(std::to_string(division.tp) + " GPUs do not divide the " + std::to_string(group.kv_heads) +
                       " KV heads of " + spec.model->name + ": give another --gpus or --attention-tp");
    }
  }
  return {};
}

/// KV of a token in a layer on one GPU: some of the heads, at least one; of MLA all.
double kv_on_gpu(const LayerGroup& group, std::uint32_t tp) {
  const double whole = static_cast<double>(group.kv_bytes_per_token.value());
  return group.kv_heads == 0 || group.latent_dim > 0
             ? whole
             : whole * std::max(1u, group.kv_heads / tp) / static_cast<double>(group.kv_heads);
}

/// Which groups a trace of so many layers has, and how many layers of the model stand behind one of it.
struct Traced {
  std::vector<bool> group;  ///< by group
  std::int64_t layers = 0;
};

Traced find_traced(std::span<const LayerGroup> groups, std::uint32_t trace_layers, std::uint32_t model_layers) {
  Traced traced;
  const auto take = [&](const auto& belongs) {
    traced.group.clear();
    traced.layers = 0;
    for (const LayerGroup& group : groups) {
      traced.group.push_back(belongs(group));
      traced.layers += traced.group.back() ? num_layers(group) : 0;
    }
    return traced.layers;
  };
  if (trace_layers == model_layers) {  // windows are in it as well
    take([](const LayerGroup& group) { return group.has_kv(); });
    traced.layers = model_layers;
    return traced;
  }
  Bytes most;
  for (const LayerGroup& group : groups) {
    most = group.grows() ? std::max(most, group.kv_bytes_per_token) : most;
  }
  // Where layers that grow differ, a trace may be of those with the most KV, from which an indexer picks.
  if (take([&](const LayerGroup& group) { return group.grows() && group.kv_bytes_per_token == most; }) ==
      trace_layers) {
    return traced;
  }
  if (take([](const LayerGroup& group) { return group.grows(); }) == 0) {
    take([](const LayerGroup& group) { return group.has_kv(); });
  }
  return traced;
}

double tokens_of_step(const InstanceSpec& spec, const TraceMeta& meta) {
  return static_cast<double>(spec.options.batch) * meta.layout.requests;
}

/// Experts of a layer that a step of so many tokens reads: the measured share, or what uniform routing expects.
double experts_read(const InstanceOptions& options, std::uint32_t experts, std::uint32_t per_token, double tokens) {
  return options.experts_read ? *options.experts_read * experts : distinct_experts(experts, per_token, tokens);
}

Bytes rounded(double bytes) { return Bytes(std::llround(bytes)); }

/// Sums over the model's layers, on one GPU.
class Sums {
 public:
  Sums(const InstanceSpec& spec, const TraceMeta& meta, const TraceTotals& totals, const Division& division,
       const GpuShare& share)
      : options_(spec.options), division_(division), requests_(std::int64_t{share.requests} * meta.layout.requests) {
    prompt_ = meta.layout.prompt_tokens;
    steps_ = totals.steps;
    tokens_ = tokens_of_step(spec, meta);
    reads_experts_ = meta.layout.experts == 0;
  }

  void add(const LayerGroup& group, bool traced) {
    const double layers = num_layers(group);
    const double kv = kv_on_gpu(group, division_.tp);
    const double gpus = options_.gpus;
    const double expert = static_cast<double>(group.expert_bytes.value());
    const double dense = static_cast<double>(group.dense_weight_bytes.value());
    // Of a trace with experts they are what competes for near memory.
    weights_of_layers += layers * (dense / division_.tp + (reads_experts_ ? group.experts * expert / gpus : 0));
    whole_weights_of_layers += layers * (dense + group.experts * expert);
    const double distinct = experts_read(options_, group.experts, group.experts_per_token, tokens_);
    weights_read += layers * (dense / division_.tp + (reads_experts_ ? distinct * expert / gpus : 0));
    const double index_keys = static_cast<double>(group.selector_bytes_per_token.value());
    selector += layers * index_keys * longest();
    other_read += layers * index_keys * mean_context();
    const double of_state = static_cast<double>(group.state_bytes_per_request.value()) / division_.tp;
    state += layers * of_state;
    other_read += layers * of_state;
    const double entries = std::max<std::uint32_t>(1, group.tokens_per_entry);
    if (group.window > 0 && !(traced && group.kind == "window")) {
      window += layers * kv * entries * std::min<double>(group.window, longest());
      other_read += layers * kv * entries * std::min<double>(group.window, mean_context());
    }
    if (group.grows() && !traced) {
      other_kv += layers * kv * longest();
      other_read += layers * kv * mean_context();
    }
  }

  [[nodiscard]] double longest() const { return prompt_ + steps_; }
  [[nodiscard]] double mean_context() const { return prompt_ + (steps_ + 1) / 2; }
  [[nodiscard]] double requests() const { return static_cast<double>(requests_); }

  double weights_of_layers = 0;
  double whole_weights_of_layers = 0;
  double weights_read = 0;
  // Of one request.
  double other_read = 0;
  double selector = 0;
  double state = 0;
  double window = 0;
  double other_kv = 0;

 private:
  const InstanceOptions& options_;
  Division division_;
  std::int64_t requests_;
  double prompt_ = 0;
  double steps_ = 0;
  double tokens_ = 0;
  bool reads_experts_ = true;
};

/// One GPU and the model's mean layer: the weights of more experts for more tokens, and all else as it is given.
void set_mean_layer(const InstanceSpec& spec, const TraceMeta& meta, GpuShare& share) {
  const Model& model = *spec.model;
  const Experts& experts = model.experts;
  const Bytes expert = experts.bytes_per_expert;
  share.kv_bytes_per_token = model.kv_bytes_per_token_per_layer;
  share.kv_heads = model.attention.kind == "mla" ? 0 : model.attention.kv_heads;
  share.weight_bytes_per_step = model.weight_bytes_per_layer_per_step;
  if (meta.layout.experts > 0) {
    // The trace says which experts are read, so they are not counted again as weights.
    const Bytes routed = expert * std::int64_t{experts.active};
    share.weight_bytes_per_step = std::max(Bytes(0), share.weight_bytes_per_step - routed);
  } else if (experts.count > 0) {
    share.experts = experts.count;
    share.distinct_experts = experts_read(spec.options, experts.count, experts.active, tokens_of_step(spec, meta));
    const double with_experts = experts.layers == 0 ? model.layers : std::min(experts.layers, model.layers);
    const double more = (share.distinct_experts - experts.active) * static_cast<double>(expert.value());
    const double of_mean_layer = more * with_experts / std::max(1u, model.layers);
    share.weight_bytes_per_step = std::max(Bytes(0), share.weight_bytes_per_step + rounded(of_mean_layer));
  }
  Bytes weights = model.weight_bytes;
  if (meta.layout.experts > 0) {  // they are what competes for near memory
    const std::uint32_t with_experts = experts.layers == 0 ? model.layers : std::min(experts.layers, model.layers);
    weights = std::max(Bytes(0), weights - expert * (std::int64_t{experts.count} * with_experts));
  }
  share.near.weights = rounded(static_cast<double>(weights.value()) * spec.options.weights_near);
}

void set_layer_by_layer(const InstanceSpec& spec, const TraceMeta& meta, const TraceTotals& totals,
                        const Division& division, std::span<const LayerGroup> groups, GpuShare& share) {
  const Model& model = *spec.model;
  const Traced traced = find_traced(groups, meta.layers, model.layers);
  Sums sums(spec, meta, totals, division, share);
  double kv = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    sums.add(groups[i], traced.group[i]);
    if (traced.group[i] && groups[i].has_kv()) {
      const double here = kv_on_gpu(groups[i], division.tp);
      share.traced_kv_differs = share.traced_kv_differs || (kv > 0 && here != kv);
      share.kv_heads = here > kv && groups[i].latent_dim == 0 ? groups[i].kv_heads : share.kv_heads;
      kv = std::max(kv, here);
    }
    if (groups[i].experts > 0) {
      share.experts = groups[i].experts;
      share.distinct_experts =
          experts_read(spec.options, groups[i].experts, groups[i].experts_per_token, tokens_of_step(spec, meta));
    }
  }
  const double layers = static_cast<double>(std::max<std::int64_t>(1, traced.layers));
  share.kv_bytes_per_token = Bytes(static_cast<std::int64_t>(std::ceil(kv)));
  share.weight_bytes_per_step = rounded(sums.weights_read / layers);
  share.other_bytes_per_step = rounded(sums.other_read * sums.requests() / layers);
  const double outside =
      std::max(0.0, static_cast<double>(model.weight_bytes.value()) - sums.whole_weights_of_layers) / division.tp;
  NearBudget& near = share.near;
  near.weights = rounded((sums.weights_of_layers + outside) * spec.options.weights_near);
  near.selector = rounded(sums.selector * sums.requests());
  near.state = rounded(sums.state * sums.requests());
  near.window = rounded(sums.window * sums.requests());
  near.other_kv = rounded(sums.other_kv * sums.requests());
}

}  // namespace

Result<GpuShare> share_of_one_gpu(const InstanceSpec& spec, const TraceMeta& meta, const TraceTotals& totals) {
  KVPLACE_ASSIGN(division, divide_gpus(spec.options));
  const std::vector<LayerGroup> groups = spec.model ? layer_groups(*spec.model) : std::vector<LayerGroup>();
  KVPLACE_TRY(check_division(spec, meta, division, groups));
  GpuShare share;
  share.machine = spec.hardware.of_one_gpu();
  share.attention_tp = division.tp;
  share.attention_dp = division.dp;
  share.requests = (spec.options.batch + division.dp - 1) / division.dp;
  share.deployment = spec.options.gpus > 1 || spec.options.reserve || (spec.model && !spec.model->groups.empty());
  if (spec.model && share.deployment) {
    set_layer_by_layer(spec, meta, totals, division, groups, share);
  } else if (spec.model) {
    set_mean_layer(spec, meta, share);
  }
  NearBudget& near = share.near;
  near.memory = share.machine.near.capacity;
  if (share.deployment) {
    near.reserve =
        rounded(static_cast<double>(near.memory.value()) * spec.options.reserve.value_or(kReserveOfDeployment));
  }
  near.kv = near.memory - near.weights - near.reserve - near.selector - near.state - near.window - near.other_kv;
  return share;
}

}  // namespace kvplace
