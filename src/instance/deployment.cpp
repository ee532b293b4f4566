#include "kvplace/instance/deployment.h"

#include <algorithm>
#include <cmath>

#include "kvplace/base/parse.h"
#include "kvplace/instance/layer_map.h"

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
  if (spec.options.experts_near) {
    if (!has_experts || meta.layout.experts > 0) {
      return bad_input(has_experts ? "options.experts_near is for traces without expert blocks, which are placed"
                                   : "options.experts_near needs a model with routed experts");
    }
    if (spec.options.weights_near != 1) {
      return bad_input("options.experts_near and options.weights_near both say which weights are near: give one");
    }
  }
  if (meta.layout.served != nullptr && spec.options.batch != 1) {
    return bad_input("the trace has the requests of a served batch, each with its own text: --batch must be 1");
  }
  if (gpus == 1) {
    return {};
  }
  if (meta.layout.served != nullptr && division.dp > 1) {
    return bad_input("the requests of a served batch are those of one group of GPUs: --attention-dp must be 1");
  }
  if (!spec.model) {
    return bad_input("--gpus " + std::to_string(gpus) + " needs --model, whose heads and weights they share");
  }
  if (meta.layout.experts > 0) {
    return bad_input("the trace has expert blocks, which are placed on one GPU: --gpus must be 1");
  }
  if (hardware.fabric.value() > 0 && spec.model->hidden_size == 0) {
    return bad_input("hardware.fabric needs the width of what the GPUs of " + spec.model->name +
                     " tell each other: give --set model.hidden_size=N");
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

/// What a step runs for.
struct StepBatch {
  double requests = 1;             ///< on one GPU
  double tokens = 1;               ///< verified, of all GPUs' requests
  double requests_in_context = 1;  ///< that a token of Instance::context_tokens() stands for

  /// Of a served batch so many requests run at once; the context is that of all of them.
  [[nodiscard]] static StepBatch of_running(double running) { return {running, running, 1}; }
};

/// Of the mean step.
StepBatch mean_batch(const InstanceSpec& spec, const TraceMeta& meta, const TraceTotals& totals,
                     const GpuShare& share) {
  if (meta.layout.served != nullptr) {
    return StepBatch::of_running(totals.verified_per_step());
  }
  const double requests = static_cast<double>(share.requests) * meta.layout.requests;
  return {requests, static_cast<double>(spec.options.batch) * meta.layout.requests * totals.verified_per_step(),
          requests};
}

/// Experts of a layer that a step of so many tokens reads: the measured share, or what uniform routing expects.
double experts_read(const InstanceOptions& options, std::uint32_t experts, std::uint32_t per_token, double tokens) {
  return options.experts_read ? *options.experts_read * experts : distinct_experts(experts, per_token, tokens);
}

/// What one GPU sends in a layer, activations in bf16. An all-reduce over g GPUs sends 2 (g - 1) / g of its bytes:
/// after attention over the t GPUs of a group, after the MLP over all G. Where each group has tokens of its own and
/// experts are whole, a token goes to its k experts and back instead.
double fabric_bytes(const InstanceSpec& spec, const Division& division, const LayerGroup& group, double tokens) {
  constexpr double kBytesOfActivation = 2;
  const double gpus = spec.options.gpus;
  const double of_token = spec.model->hidden_size * kBytesOfActivation;
  const auto all_reduce = [&](double of, double sent) { return 2 * (of - 1) / of * sent * of_token; };
  const double of_group = tokens / division.dp;
  const bool dispatched = spec.options.expert_parallel && division.dp > 1 && group.experts > 0;
  const double mlp = dispatched ? 2 * (gpus - 1) / gpus * group.experts_per_token * of_group / division.tp * of_token
                                : all_reduce(gpus, tokens);
  return all_reduce(division.tp, of_group) + mlp;
}

Bytes rounded(double bytes) { return Bytes(std::llround(bytes)); }

/// Sums over layers of the model, on one GPU; traffic and rooms of one request.
struct LayerSums {
  double weights = 0;
  double whole_weights = 0;
  double weights_read = 0;
  double far_experts_read = 0;
  double always_read = 0;     ///< states, windows
  double read_per_token = 0;  ///< of the context: index keys, KV that is not in the trace
  double selector = 0;
  double state = 0;
  double window = 0;
  double other_kv = 0;

  LayerSums& operator+=(const LayerSums& other) {
    weights += other.weights;
    whole_weights += other.whole_weights;
    weights_read += other.weights_read;
    far_experts_read += other.far_experts_read;
    always_read += other.always_read;
    read_per_token += other.read_per_token;
    selector += other.selector;
    state += other.state;
    window += other.window;
    other_kv += other.other_kv;
    return *this;
  }
};

/// The text as a request has it.
struct Text {
  Text(const TraceMeta& meta, const TraceTotals& totals)
      : longest(static_cast<double>(meta.layout.prompt_tokens) + static_cast<double>(totals.tokens())),
        mean(meta.layout.prompt_tokens + (static_cast<double>(totals.tokens()) + 1) / 2),
        verified(totals.verified_per_step()),
        reads_experts(meta.layout.experts == 0) {
    if (const ServedRequests* served = meta.layout.served.get()) {
      longest = static_cast<double>(served->most_tokens()) / served->most_running();
      mean = served->mean_context() + 1;
      verified = 1;
    }
  }

  double longest;  ///< of a served batch the mean of those that run where all of them are longest
  double mean;     ///< with the tokens of the step at hand
  double verified;
  bool reads_experts;  ///< as weights: the trace has none as blocks
};

LayerSums sums_of(const LayerGroup& layer, bool traced, const Text& text, double tokens_of_step,
                  const InstanceOptions& options, const Division& division) {
  LayerSums sums;
  const double kv = kv_on_gpu(layer, division.tp);
  const double gpus = options.gpus;
  const double expert = static_cast<double>(layer.expert_bytes.value());
  const double dense = static_cast<double>(layer.dense_weight_bytes.value());
  // Of a trace with experts they are what competes for near memory.
  const double experts_near = text.reads_experts ? options.experts_near.value_or(1) : 0;
  sums.weights = dense / division.tp + experts_near * layer.experts * expert / gpus;
  sums.whole_weights = dense + layer.experts * expert;
  const double distinct = experts_read(options, layer.experts, layer.experts_per_token, tokens_of_step);
  const double read = text.reads_experts ? distinct * expert / gpus : 0;
  sums.weights_read = dense / division.tp + read;
  sums.far_experts_read = read * (1 - experts_near);
  const double index_keys = static_cast<double>(layer.selector_bytes_per_token.value());
  sums.selector = index_keys * text.longest;
  sums.read_per_token = index_keys * text.verified;
  sums.state = static_cast<double>(layer.state_bytes_per_request.value()) / division.tp;
  sums.always_read = sums.state;
  const double entries = std::max<std::uint32_t>(1, layer.tokens_per_entry);
  if (layer.window > 0 && !(traced && layer.kind == "window")) {
    sums.window = kv * entries * std::min<double>(layer.window, text.longest);
    sums.always_read += kv * entries * std::min<double>(layer.window, text.mean);
  }
  if (layer.grows() && !traced) {
    sums.other_kv = kv * text.longest;
    sums.read_per_token += kv;
  }
  return sums;
}

/// The mean of so many layers, in whole bytes; what is lost of those per token is there at the mean context.
TracedLayer traced_layer(const LayerSums& sums, double kv, const StepBatch& batch, double layers, const Text& text) {
  TracedLayer layer;
  layer.kv_bytes_per_token = Bytes(static_cast<std::int64_t>(std::ceil(kv)));
  layer.weight_bytes_per_step = rounded(sums.weights_read / layers);
  layer.far_experts_per_step = rounded(sums.far_experts_read / layers);
  const double per_token = sums.read_per_token * batch.requests_in_context / layers;
  const double contexts = batch.requests / batch.requests_in_context;
  layer.other_bytes_per_token = Bytes(static_cast<std::int64_t>(per_token));
  // The context of a step is that before it.
  const double lost = (per_token - static_cast<double>(layer.other_bytes_per_token.value())) * (text.mean - 1);
  layer.other_bytes_per_step = rounded(sums.always_read * batch.requests / layers + (per_token + lost) * contexts);
  return layer;
}

/// One GPU and the model's mean layer: the weights of more experts for more tokens, and all else as it is given.
void set_mean_layer(const InstanceSpec& spec, const TraceMeta& meta, const StepBatch& batch, GpuShare& share) {
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
    share.distinct_experts = experts_read(spec.options, experts.count, experts.active, batch.tokens);
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
  share.stands_in = meta.layers != model.layers;
  TracedLayer mean;
  mean.kv_bytes_per_token = share.kv_bytes_per_token;
  mean.weight_bytes_per_step = share.weight_bytes_per_step;
  share.layers = {mean};
}

void set_layer_by_layer(const InstanceSpec& spec, const TraceMeta& meta, const TraceTotals& totals,
                        const StepBatch& batch, const Division& division, GpuShare& share) {
  const Model& model = *spec.model;
  const LayerMap map = map_layers(model, meta);
  const std::vector<LayerGroup> layers = layers_of(model);
  const Text text(meta, totals);
  // A trace of experts alone says nothing of KV: it is left out of time and room.
  const bool has_pages = totals.blocks_per_layer > meta.layout.experts;
  share.layers_are = map.text;
  share.stands_in = map.stands_in;
  LayerSums all;
  std::vector<LayerSums> in_step(map.stands_in ? 0 : meta.layers);
  double most_kv = 0;
  double sent = 0;
  std::int64_t num_traced = 0;
  for (std::size_t at = 0; at < layers.size(); ++at) {
    const LayerGroup& layer = layers[at];
    const LayerSums sums = sums_of(layer, map.traced[at] || !has_pages, text, batch.tokens, spec.options, division);
    all += sums;
    sent += fabric_bytes(spec, division, layer, batch.tokens);
    if (!map.stands_in) {
      in_step[map.runs_in[at]] += sums;
    }
    if (map.traced[at]) {
      const double kv = kv_on_gpu(layer, division.tp);
      share.kv_heads = kv > most_kv && layer.latent_dim == 0 ? layer.kv_heads : share.kv_heads;
      most_kv = std::max(most_kv, kv);
      ++num_traced;
    }
    if (layer.experts > 0) {
      share.experts = layer.experts;
      share.distinct_experts = experts_read(spec.options, layer.experts, layer.experts_per_token, batch.tokens);
    }
  }
  for (std::size_t i = 0; i < in_step.size(); ++i) {
    double kv = 0;
    for (const std::uint32_t at : map.reads[i]) {
      kv += layers[at].has_kv() ? kv_on_gpu(layers[at], division.tp) : 0;
    }
    share.layers.push_back(traced_layer(in_step[i], kv, batch, 1, text));
    most_kv = std::max(most_kv, kv);
  }
  const auto num_layers = static_cast<double>(map.stands_in ? std::max<std::int64_t>(1, num_traced) : meta.layers);
  if (map.stands_in) {
    share.layers.push_back(traced_layer(all, most_kv, batch, num_layers, text));
  }
  share.kv_bytes_per_token = Bytes(static_cast<std::int64_t>(std::ceil(most_kv)));
  share.layers_per_traced = model.layers / num_layers;
  share.weight_bytes_per_step = rounded(all.weights_read / num_layers);
  share.other_bytes_per_step =
      rounded((all.always_read + all.read_per_token * text.mean) * batch.requests / num_layers);
  share.fabric_bytes_per_step = spec.hardware.fabric.value() > 0 ? sent / num_layers : 0;
  const double outside =
      std::max(0.0, static_cast<double>(model.weight_bytes.value()) - all.whole_weights) / division.tp;
  NearBudget& near = share.near;
  near.weights = rounded((all.weights + outside) * spec.options.weights_near);
  near.selector = rounded(all.selector * batch.requests);
  near.state = rounded(all.state * batch.requests);
  near.window = rounded(all.window * batch.requests);
  near.other_kv = rounded(all.other_kv * batch.requests);
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
  share.requests = share.requests_of(spec.options.batch);
  share.deployment = spec.options.gpus > 1 || spec.options.reserve || spec.options.experts_near ||
                     (spec.model && !spec.model->groups.empty());
  const auto set_model = [&](const StepBatch& batch, GpuShare& of) {
    if (spec.model && share.deployment) {
      set_layer_by_layer(spec, meta, totals, batch, division, of);
    } else if (spec.model) {
      set_mean_layer(spec, meta, batch, of);
    }
  };
  set_model(mean_batch(spec, meta, totals, share), share);
  for (std::uint32_t running = 1; meta.layout.served != nullptr && running <= meta.layout.most_running(); ++running) {
    GpuShare of = share;
    of.layers.clear();
    set_model(StepBatch::of_running(running), of);
    share.layers_by_running.push_back(std::move(of.layers));
    share.near = of.near;  // at last that of the most
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
