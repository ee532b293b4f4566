#include "kvplace/advise/advise.h"

#include <algorithm>
#include <cmath>

#include "advise/adviser.h"
#include "advise/settings.h"
#include "kvplace/base/parse.h"
#include "kvplace/simulate/compare.h"

namespace kvplace {
namespace {

constexpr double kReserve = 0.1;

}  // namespace

Adviser::Adviser(const InstanceSpec& spec, const AdviseOptions& options, const RunContext& context)
    : options_(options),
      progress_(context.progress, 10, "advising", "parts"),
      context_{context.threads, context.progress == nullptr ? nullptr : &progress_, context.interrupt},
      begin_(Clock::now()) {
  advice_.spec = spec;
  advice_.context = options.context;
  advice_.output = options.output;
}

Result<Advice> Adviser::run() {
  KVPLACE_TRY(prepare());
  KVPLACE_TRY(find_room());
  KVPLACE_TRY(time_points());
  KVPLACE_TRY(find_batches());
  KVPLACE_TRY(find_gains());
  KVPLACE_TRY(find_sensitivity());
  KVPLACE_TRY(prove_points());
  progress_.close();
  advice_.settings = settings_of(advice_);
  return std::move(advice_);
}

double Adviser::seconds_left() const {
  return options_.time_limit.value() - std::chrono::duration<double>(Clock::now() - begin_).count();
}

Status Adviser::prepare() {
  InstanceSpec& spec = advice_.spec;
  if (!spec.model) {
    return bad_input("advise is about a model: give --model NAME, FILE.toml or a config.json");
  }
  KVPLACE_TRY(validate(*spec.model, "model " + spec.model->name));
  KVPLACE_TRY(validate(spec.hardware, "hardware " + spec.hardware.name));
  if (options_.context == 0) {
    return bad_input("advise needs the tokens of a request's context: give --context N, like 64K");
  }
  if (spec.options.near_capacity || spec.options.near_blocks_per_layer || spec.options.near_fraction) {
    return bad_input("advise finds what is left near for KV: leave out --near-capacity and the like");
  }
  choose_deployment(spec, options_.all_gpus, advice_.assumes);
  spec.options.bound_costs = BoundCosts::kEngine;
  spec.options.start = Start::kRecent;
  TraceMeta meta;
  meta.layers = traced_layers(*spec.model);
  KVPLACE_TRY(share_of_one_gpu(spec, meta, {}));
  advice_.manifest = options_.trace != nullptr ? make_manifest(*options_.trace) : make_manifest();
  stands_ = std::make_unique<Stands>(*spec.model, options_, context_);
  KVPLACE_TRY(stands_->make());
  setup_ = std::make_unique<Setup>(spec, *stands_, longest());
  advice_.workload = stands_->workload();
  advice_.synthetic = options_.trace == nullptr;
  advice_.layers = stands_->layers();
  advice_.trace_layers = stands_->kv().trace->meta().layers;
  advice_.block_tokens = stands_->kv().trace->meta().layout.block_tokens;
  return {};
}

Status Adviser::find_room() {
  const Room& room = setup_->room();
  KVPLACE_ASSIGN(plan, room.plan(batch()));
  advice_.fit = plan.fit;
  advice_.near = plan.share.near;
  advice_.kv_per_request = Bytes(std::llround(plan.kv_of_request));
  advice_.requests_per_gpu = plan.share.requests;
  advice_.least_buffer_blocks = setup_->least_buffer_blocks();
  advice_.requests_all_near = room.most([&](std::uint32_t n) { return room.all_near(n); });
  const auto tiered = [&](std::uint32_t n) { return fits_with_far(n); };
  advice_.requests_tiered = room.most(tiered);
  return {};
}

bool Adviser::fits_with_far(std::uint32_t n) const {
  const Result<Room::Plan> plan = setup_->room().plan(n);
  if (!plan || plan->fit == FarHolds::kNothing) {
    return false;
  }
  return plan->fit == FarHolds::kKv ? setup_->tiers_kv() && setup_->fits_tiered(n, setup_->least_buffer_blocks())
                                    : true;
}

const AdvicePoint* Advice::asked() const {
  for (const AdvicePoint& point : points) {
    if (point.batch == spec.options.batch) {
      return &point;
    }
  }
  return nullptr;
}

void choose_deployment(InstanceSpec& spec, bool all_gpus, std::vector<std::string>& notes) {
  InstanceOptions& options = spec.options;
  const Model& model = *spec.model;
  if (all_gpus && options.gpus == 1 && spec.hardware.gpus > 1 && !options.attention_tp && !options.attention_dp) {
    options.gpus = spec.hardware.gpus;
    notes.push_back("all " + std::to_string(options.gpus) + " GPUs of " + spec.hardware.name + " (--gpus)");
  }
  if (!options.reserve) {
    options.reserve = kReserve;
  }
  if (options.gpus == 1) {
    return;
  }
  const bool mla = model.attention.kind == "mla";
  if (!options.attention_tp && !options.attention_dp) {
    std::uint32_t tp = 1;
    if (!mla) {  // as many as share the KV heads; the rest have requests of their own
      tp = options.gpus;
      while (tp > 1 &&
             (model.attention.query_heads % tp != 0 || model.attention.kv_heads % tp != 0 || options.gpus % tp != 0)) {
        --tp;
      }
    }
    options.attention_tp = tp;
    options.attention_dp = options.gpus / tp;
    notes.push_back(mla ? "attention data-parallel over " + std::to_string(*options.attention_dp) +
                              " GPUs, as MLA's KV is whole on each that shares a request (--attention-dp)"
                        : "attention tensor-parallel over " + std::to_string(tp) +
                              (tp == 1 ? " GPU (--attention-tp)" : " GPUs (--attention-tp)"));
  }
  const std::vector<LayerGroup> groups = layer_groups(model);
  const bool divides =
      std::all_of(groups.begin(), groups.end(), [&](const LayerGroup& g) { return g.experts % options.gpus == 0; });
  const bool has_experts = std::any_of(groups.begin(), groups.end(), [](const LayerGroup& g) { return g.experts > 0; });
  if (has_experts && divides && !options.expert_parallel) {
    options.expert_parallel = true;
    notes.emplace_back("whole routed experts on each GPU (--expert-parallel)");
  }
}

Result<Advice> advise(const InstanceSpec& spec, const AdviseOptions& options, const RunContext& context) {
  return Adviser(spec, options, context).run();
}

}  // namespace kvplace
