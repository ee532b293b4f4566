#include "advise/setup.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

/// Those tried for the fastest: what engines have, what moves nothing, and this project's own.
std::vector<std::string> policies_of(bool dense, bool tokens) {
  if (dense) {
    return {"static"};
  }
  return tokens ? std::vector<std::string>{"lru", "hisparse", "kvplace"}
                : std::vector<std::string>{"lru", "static", "kvplace"};
}

}  // namespace

Speed Estimate::speed(const Bench& bench) const {
  Speed sum;
  for (const Part& part : parts) {
    sum.step_s += part.weight * bench.speed(part.at).step_s;
  }
  sum.step_s += extra_s;
  sum.tokens_per_second = batch / sum.step_s;
  sum.policy = policy;
  return sum;
}

Spent Estimate::spent(const Bench& bench) const {
  Spent sum;
  for (const Part& part : parts) {
    const Spent one = bench.spent(part.at);
    sum.weights += part.weight * one.weights;
    sum.kv_near += part.weight * one.kv_near;
    sum.link += part.weight * one.link;
    sum.selector += part.weight * one.selector;
    sum.overhead += part.weight * one.overhead;
  }
  sum.overhead += extra_s;
  return sum;
}

Setup::Setup(const InstanceSpec& spec, Stands& stands, std::uint64_t longest)
    : spec_(spec), stands_(stands), room_(spec, stands.layers(), longest), longest_(longest) {}

std::uint64_t Setup::buffer_blocks(const Room::Plan& plan) const {
  const double block = static_cast<double>(plan.share.kv_bytes_per_token.value()) *
                       stands_.kv().trace->meta().layout.block_tokens * stands_.layers() * plan.share.requests;
  const double all = std::ceil(static_cast<double>(longest_) / stands_.kv().trace->meta().layout.block_tokens);
  return block <= 0 ? 0 : static_cast<std::uint64_t>(std::min(all, std::floor(plan.room / block)));
}

std::uint64_t Setup::blocks_of(double tokens) const {
  const double most = static_cast<double>(longest_);
  return static_cast<std::uint64_t>(std::ceil(std::min(tokens, most) / stands_.kv().trace->meta().layout.block_tokens));
}

std::uint64_t Setup::blocks_read() const { return is_dense() ? 0 : blocks_of(stands_.kv().tokens); }

std::uint64_t Setup::least_buffer_blocks() const {
  if (is_dense()) {
    return 0;
  }
  const Engine& engine = spec_.engine;
  if (engine.tiering != Tiering::kKv) {
    return blocks_read();
  }
  const double tokens =
      engine.buffer_tokens > 0 ? engine.buffer_tokens : std::max(1.0, engine.buffer_per_top_k) * stands_.kv().tokens;
  return blocks_of(tokens);
}

bool Setup::tiers_kv() const {
  if (spec_.engine.name.empty()) {
    return true;
  }
  // Those that do today keep single tokens, as an indexer picks them.
  return spec_.engine.tiering == Tiering::kKv && spec_.model->attention.sparse_top_k > 0 &&
         stands_.kv().trace->meta().layout.block_tokens == 1;
}

bool Setup::fits_tiered(std::uint32_t batch, std::uint64_t least) const {
  const Result<Room::Plan> plan = room_.plan(batch);
  if (!plan || plan->fit == FarHolds::kNothing) {
    return false;
  }
  const double each = static_cast<double>(least) * stands_.kv().trace->meta().layout.block_tokens *
                      static_cast<double>(plan->share.kv_bytes_per_token.value()) * stands_.layers();
  return room_.tiered(batch, each, full_copy());
}

Case Setup::base(std::uint32_t batch, const Room::Plan& plan) const {
  Case a_case;
  a_case.spec = spec_;
  a_case.batch = batch;
  InstanceOptions& options = a_case.spec.options;
  options.batch = batch;
  options.mode = full_copy() ? Mode::kInclusive : Mode::kExclusive;
  options.weights_near = plan.weights_near;
  if (plan.experts_near < 1) {
    options.experts_near = plan.experts_near;
  }
  options.near_blocks_per_layer = static_cast<std::uint32_t>(buffer_blocks(plan));
  return a_case;
}

Result<Estimate> Setup::estimate(Bench& bench, const Stand& stand, const Case& a_case) const {
  KVPLACE_ASSIGN(at, bench.add(stand, a_case));
  Estimate estimate;
  estimate.parts = {{at, 1}};
  estimate.batch = a_case.batch;
  estimate.policy = a_case.policy;
  estimate.buffer_blocks = a_case.spec.options.near_blocks_per_layer.value_or(0);
  return estimate;
}

Result<std::optional<Estimate>> Setup::all_near(Bench& bench, std::uint32_t batch) const {
  if (!room_.all_near(batch)) {
    return std::nullopt;
  }
  KVPLACE_ASSIGN(plan, room_.plan(batch));
  Case near = base(batch, plan);
  near.policy = "static";
  near.spec.options.near_blocks_per_layer.reset();
  near.spec.options.near_fraction = 1;
  near.spec.options.mode = Mode::kExclusive;  // far memory has no part in it
  KVPLACE_ASSIGN(made, estimate(bench, stands_.kv(), near));
  made.policy.clear();
  return made;
}

Result<std::optional<Estimate>> Setup::hot_buffers(Bench& bench, std::uint32_t batch, const Room::Plan& plan) const {
  const bool ideal = spec_.engine.name.empty();
  Case tiered = base(batch, plan);
  const std::uint64_t fits = buffer_blocks(plan);
  const std::uint64_t own = ideal ? fits : std::min(fits, least_buffer_blocks());
  tiered.spec.options.near_blocks_per_layer = static_cast<std::uint32_t>(own);
  tiered.policy = is_dense() ? "static" : ideal ? "lru" : spec_.engine.policy;
  KVPLACE_ASSIGN(made, estimate(bench, stands_.kv(), tiered));
  if (!spec_.engine.whole_requests) {
    return made;
  }
  // As many requests as fit are wholly near. Staged reads add up, so that a step's time is linear in who is where.
  const double requests = plan.share.requests;
  const double buffer = static_cast<double>(own) * static_cast<double>(plan.share.kv_bytes_per_token.value()) *
                        stands_.kv().trace->meta().layout.block_tokens * stands_.layers();
  const double more = plan.kv_of_request - buffer;
  const double whole =
      more <= 0 ? requests : std::clamp(std::floor((plan.room - requests * buffer) / more), 0.0, requests);
  Case near = tiered;
  near.policy = "static";
  near.spec.options.near_blocks_per_layer.reset();
  near.spec.options.near_fraction = 1;
  near.spec.options.mode = Mode::kExclusive;
  KVPLACE_ASSIGN(all, estimate(bench, stands_.kv(), near));
  const double share = whole / requests;
  made.parts = {{made.parts.front().at, 1 - share}, {all.parts.front().at, share}};
  // A step that has any hot buffers pays for them in full.
  made.extra_s = share > 0 && share < 1 ? share * spec_.engine.tiered_overhead.value() * stands_.layers() : 0;
  return made;
}

Result<std::optional<Estimate>> Setup::engine(Bench& bench, std::uint32_t batch) const {
  KVPLACE_ASSIGN(plan, room_.plan(batch));
  if (plan.fit == FarHolds::kNothing) {
    return std::nullopt;
  }
  if (plan.fit == FarHolds::kKv) {
    if (!tiers_kv()) {
      return all_near(bench, batch);
    }
    return fits_tiered(batch, least_buffer_blocks()) ? hot_buffers(bench, batch, plan)
                                                     : Result<std::optional<Estimate>>(std::nullopt);
  }
  if (!spec_.engine.name.empty() && spec_.engine.tiering != Tiering::kExperts) {
    return std::nullopt;
  }
  Case split = base(batch, plan);
  split.policy = "static";
  KVPLACE_ASSIGN(made, estimate(bench, stands_.kv(), split));
  return made;
}

Result<std::vector<Estimate>> Setup::policies(Bench& bench, std::uint32_t batch, const std::string& only,
                                              double more) const {
  KVPLACE_ASSIGN(plan, room_.plan(batch));
  plan.room += more;
  if (plan.fit == FarHolds::kExperts) {
    return expert_policies(bench, batch, plan, only, more);
  }
  std::vector<Estimate> made;
  if (plan.fit == FarHolds::kNothing || (plan.fit == FarHolds::kKv && !fits_tiered(batch, blocks_read()))) {
    return made;
  }
  const bool tokens = stands_.kv().trace->meta().layout.block_tokens == 1;
  for (const std::string& policy : policies_of(is_dense(), tokens)) {
    if (only.empty() || only == policy) {
      Case both = base(batch, plan);
      both.policy = policy;
      both.spec.options.overlap = Overlap::kFull;
      KVPLACE_ASSIGN(one, estimate(bench, stands_.kv(), both));
      made.push_back(std::move(one));
    }
  }
  return made;
}

Result<std::vector<Estimate>> Setup::expert_policies(Bench& bench, std::uint32_t batch, const Room::Plan& plan,
                                                     const std::string& only, double more) const {
  const Model& model = *spec_.model;
  const GpuShare& share = plan.share;
  // All that is read but routed experts, as weights of the layers that have them; what experts there is room for.
  Bench apart(bench.context());
  Case split = base(batch, plan);
  split.policy = "static";
  KVPLACE_ASSIGN(beside, estimate(apart, stands_.kv(), split));
  const Instance& whole = apart.instance(beside.parts.front().at);
  const double kv =
      stands_.kv().tokens * static_cast<double>(share.kv_bytes_per_token.value()) * share.requests * stands_.layers();
  const double layers_of_trace = whole.layers();
  const double routed = share.distinct_experts;
  double expert_layers = 0;
  double expert_bytes = 0;
  for (const LayerGroup& group : layer_groups(model)) {
    expert_layers += group.experts > 0 ? num_layers(group) : 0;
    expert_bytes = group.experts > 0 ? static_cast<double>(group.expert_bytes.value()) : expert_bytes;
  }
  const double fixed =
      static_cast<double>((whole.weight_bytes_per_step() + whole.share().other_bytes_per_step).value()) *
          layers_of_trace * stands_.kv().scale -
      routed * expert_bytes * expert_layers / spec_.options.gpus + kv;
  std::vector<Estimate> made;
  if (spec_.options.gpus > 1) {  // traces of experts are of one GPU
    return made;
  }
  KVPLACE_ASSIGN(stand, stands_.experts(static_cast<std::uint32_t>(std::lround(routed))));
  const double experts_near = plan.experts_near * share.experts * expert_bytes * expert_layers + more;
  const Engine& engine = spec_.engine;
  for (const std::string policy : {"lru", "lfu-aging", "kvplace"}) {
    if (!only.empty() && only != policy) {
      continue;
    }
    Case cached;
    cached.spec = spec_;
    cached.batch = batch;
    cached.policy = policy;
    cached.spec.options.batch = 1;
    cached.spec.options.overlap = Overlap::kFull;
    cached.spec.options.near_capacity = Bytes(std::llround(experts_near / stand.scale));
    cached.spec.options.weight_bytes_per_step = Bytes(std::llround(std::max(0.0, fixed) / expert_layers));
    cached.spec.engine.layer_overhead = cached.spec.engine.step_overhead = cached.spec.engine.tiered_overhead =
        Seconds(0);
    cached.spec.engine.far_computes = false;
    cached.extra_s = engine.layer_overhead.value() * model.layers + engine.step_overhead.value() +
                     engine.tiered_overhead.value() * expert_layers;
    KVPLACE_ASSIGN(one, estimate(bench, stand, cached));
    made.push_back(std::move(one));
  }
  return made;
}

}  // namespace kvplace
