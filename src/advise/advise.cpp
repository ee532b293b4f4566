#include "kvplace/advise/advise.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <set>

#include "advise/settings.h"
#include "advise/setup.h"
#include "kvplace/base/parse.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/solve/bound.h"
#include "size/search_progress.h"

namespace kvplace {
namespace {

constexpr double kReserve = 0.1;
constexpr double kAlike = 1.001;  // the simpler of two that take as long
constexpr double kMostSecondsOfBound = 5;
// Work in passes over the trace, about, for the bar.
constexpr double kPassesOfBound = 10;
constexpr double kPassesAfterBatches = 20 + 5 * kPassesOfBound;
constexpr double kPassesAfterPoints = 10 + kPassesAfterBatches;

using Clock = std::chrono::steady_clock;

class Adviser {
 public:
  Adviser(const InstanceSpec& spec, const AdviseOptions& options, const RunContext& context)
      : options_(options),
        progress_(context.progress, 10, "advising", "parts"),
        context_{context.threads, context.progress == nullptr ? nullptr : &progress_, context.interrupt},
        begin_(Clock::now()) {
    advice_.spec = spec;
    advice_.context = options.context;
    advice_.output = options.output;
  }

  Result<Advice> run() {
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

 private:
  [[nodiscard]] bool time_is_up() const {
    return std::chrono::duration<double>(Clock::now() - begin_).count() > options_.time_limit.value();
  }
  [[nodiscard]] double seconds_left() const {
    return options_.time_limit.value() - std::chrono::duration<double>(Clock::now() - begin_).count();
  }
  [[nodiscard]] std::uint64_t longest() const { return std::uint64_t{options_.context} + options_.output; }
  [[nodiscard]] std::uint32_t batch() const { return advice_.spec.options.batch; }

  Status prepare() {
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
    choose_deployment(spec, advice_.assumes);
    spec.options.bound_costs = BoundCosts::kEngine;
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

  Status find_room() {
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

  /// Whether the engine, or an ideal one, serves so many requests with far memory's help.
  [[nodiscard]] bool fits_with_far(std::uint32_t n) const {
    const Result<Room::Plan> plan = setup_->room().plan(n);
    if (!plan || plan->fit == FarHolds::kNothing) {
      return false;
    }
    return plan->fit == FarHolds::kKv ? setup_->tiers_kv() && setup_->fits_tiered(n, setup_->least_buffer_blocks())
                                      : true;
  }

  [[nodiscard]] std::vector<std::uint32_t> batches() const {
    const std::uint32_t groups = setup_->room().groups();
    std::set<std::uint32_t> all{batch()};
    for (const double factor : {0.25, 0.5, 2.0, 4.0}) {
      const auto of_groups = static_cast<std::uint32_t>(std::ceil(batch() * factor / groups));
      all.insert(std::max(1u, of_groups) * groups);
    }
    return {all.begin(), all.end()};
  }

  struct Found {
    std::optional<Estimate> all_near;
    std::optional<Estimate> engine;
    std::vector<Estimate> policies;
  };

  Result<Found> add(Bench& bench, const Setup& setup, std::uint32_t n) {
    Found found;
    KVPLACE_ASSIGN(near, setup.all_near(bench, n));
    KVPLACE_ASSIGN(engine, setup.engine(bench, n));
    KVPLACE_ASSIGN(policies, setup.policies(bench, n));
    found.all_near = std::move(near);
    found.engine = std::move(engine);
    found.policies = std::move(policies);
    return found;
  }

  static const Estimate* fastest(const Bench& bench, const std::vector<Estimate>& estimates) {
    const auto best = std::min_element(estimates.begin(), estimates.end(), [&](const Estimate& a, const Estimate& b) {
      return a.speed(bench).step_s < b.speed(bench).step_s;
    });
    return best == estimates.end() ? nullptr : &*best;
  }

  Status time_points() {
    bench_ = std::make_unique<Bench>(context_);
    for (const std::uint32_t n : batches()) {
      KVPLACE_ASSIGN(found, add(*bench_, *setup_, n));
      found_.push_back(std::move(found));
      AdvicePoint point;
      point.batch = n;
      KVPLACE_ASSIGN(plan, setup_->room().plan(n));
      point.experts_near = plan.experts_near;
      point.buffer_blocks = plan.fit == FarHolds::kNothing ? 0 : setup_->buffer_blocks(plan);
      advice_.points.push_back(point);
    }
    if (advice_.requests_all_near > 0) {
      KVPLACE_ASSIGN(most, setup_->all_near(*bench_, advice_.requests_all_near));
      most_all_near_ = std::move(most);
    }
    KVPLACE_TRY(run(*bench_, kPassesAfterPoints));
    for (std::size_t i = 0; i < found_.size(); ++i) {
      AdvicePoint& point = advice_.points[i];
      const Found& found = found_[i];
      if (found.all_near) {
        point.all_near = found.all_near->speed(*bench_);
      }
      const Estimate* spender = nullptr;
      if (const Estimate* best = fastest(*bench_, found.policies)) {
        point.best = best->speed(*bench_);
        spender = best;
      }
      // What is wholly near, and an engine's own split, are placements as well.
      for (const std::optional<Estimate>* other : {&found.all_near, &found.engine}) {
        if (*other && (!point.best || (*other)->speed(*bench_).step_s <= point.best->step_s * kAlike)) {
          point.best = (*other)->speed(*bench_);
          point.best->policy = point.best->policy.empty() ? "all near" : point.best->policy;
        }
      }
      if (found.engine) {
        point.engine = found.engine->speed(*bench_);
        point.engine_buffer_blocks = found.engine->buffer_blocks;
        spender = &*found.engine;
      }
      if (spender != nullptr) {
        point.spent = spender->spent(*bench_);
      }
    }
    if (most_all_near_) {
      advice_.most_all_near = most_all_near_->speed(*bench_);
    }
    return {};
  }

  /// Of the instance that the policies run on, in the time that is left.
  Status prove_points() {
    std::vector<std::size_t> order(advice_.points.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return (advice_.points[a].batch == batch()) > (advice_.points[b].batch == batch());
    });
    double points_left = static_cast<double>(order.size());
    for (const std::size_t i : order) {
      const double share = seconds_left() / points_left--;
      if (found_[i].policies.empty()) {
        continue;
      }
      const std::size_t at = found_[i].policies.front().parts.front().at;
      progress_.begin_part(kPassesOfBound, kPassesOfBound * points_left);
      BoundOptions search;
      search.claim = advice_.spec.engine.whole_requests ? Claim::kAny : Claim::kStep;
      search.time_limit = Seconds(std::clamp(share, 0.5, kMostSecondsOfBound));
      search.ascend = false;
      // A split of experts has them near from the start.
      const bool any_start = advice_.fit == FarHolds::kExperts;
      const Instance machine = bench_->instance(at).for_bounds();
      KVPLACE_ASSIGN(proven, solve_bound(*bench_->trace(at), any_start ? machine.with_start(Start::kFree) : machine,
                                         search, context_));
      progress_.end_part();
      if (context_.stop_requested()) {
        return interrupted("stopped before there was an answer");
      }
      const double bound = bench_->step_of(at, proven.verified.bound);
      // A split of experts is of mean routing, and what is all near writes nothing to far: they may be below it.
      if (bound <= advice_.points[i].best->step_s) {
        advice_.points[i].bound_step_s = bound;
      }
    }
    return {};
  }

  /// About `left` passes come after it.
  Status run(Bench& bench, double left) {
    progress_.begin_part(static_cast<double>(bench.size()), left);
    Status done = bench.run();
    progress_.end_part();
    return done;
  }

  /// A step of the engine; infinite if it does not fit.
  Result<double> engine_step(std::uint32_t n) {
    Bench bench(context_);
    KVPLACE_ASSIGN(engine, setup_->engine(bench, n));
    if (!engine) {
      return INFINITY;
    }
    KVPLACE_TRY(run(bench, kPassesAfterBatches));
    return engine->speed(bench).step_s;
  }

  /// The least batch, in whole groups, above `low` for which `holds`, if it does for `high`; by bisection.
  template <class Holds>
  Result<std::optional<std::uint32_t>> least(std::uint32_t low, std::uint32_t high, const Holds& holds) {
    const std::uint32_t groups = setup_->room().groups();
    low /= groups;
    high /= groups;
    if (high <= low) {
      return std::nullopt;
    }
    KVPLACE_ASSIGN(reached, holds(high * groups));
    if (!reached) {
      return std::nullopt;
    }
    while (high - low > 1 && !time_is_up()) {
      const std::uint32_t middle = low + (high - low) / 2;
      KVPLACE_ASSIGN(there, holds(middle * groups));
      (there ? high : low) = middle;
    }
    advice_.complete = advice_.complete && high - low <= 1;
    return high * groups;
  }

  Status find_batches() {
    const bool of_kv = advice_.fit == FarHolds::kKv || advice_.fit == FarHolds::kNothing;
    if (of_kv && setup_->tiers_kv() && advice_.requests_tiered > advice_.requests_all_near) {
      if (!advice_.most_all_near) {
        advice_.crossover_batch = setup_->room().groups();  // nothing fits without
      } else {
        const double enough = advice_.most_all_near->tokens_per_second;
        const auto pays = [&](std::uint32_t n) -> Result<bool> {
          KVPLACE_ASSIGN(step, engine_step(n));
          return n / step > enough;
        };
        // The speed may fall again where little is left near of each request: some batches between are tried as well.
        std::uint32_t low = advice_.requests_all_near;
        while (low < advice_.requests_tiered && !advice_.crossover_batch && !time_is_up()) {
          const std::uint32_t groups = setup_->room().groups();
          const std::uint32_t next = (low + std::max(groups, low / 2)) / groups * groups;
          const std::uint32_t high = std::min(next, advice_.requests_tiered);
          KVPLACE_ASSIGN(found, least(low, high, pays));
          advice_.crossover_batch = found;
          low = high;
        }
        advice_.complete = advice_.complete && (advice_.crossover_batch || low >= advice_.requests_tiered);
      }
    }
    if (options_.target) {
      const double most = 1 / *options_.target;
      const std::uint32_t groups = setup_->room().groups();
      const std::uint32_t high = std::max(advice_.requests_all_near, advice_.requests_tiered) + groups;
      const auto too_slow = [&](std::uint32_t n) -> Result<bool> {
        KVPLACE_ASSIGN(step, engine_step(n));
        return step > most;
      };
      KVPLACE_ASSIGN(found, least(0, high, too_slow));
      advice_.target_batch = found ? *found - groups : 0;
    }
    return {};
  }

  /// Tokens/s of what is asked for: of the engine, or of a policy.
  Result<std::optional<Estimate>> same(Bench& bench, const Setup& setup, std::uint32_t n, double more = 0,
                                       bool of_policy = false) const {
    const AdvicePoint* asked = advice_.asked();
    if (asked->engine && !of_policy) {
      return setup.engine(bench, n);
    }
    const Estimate* best = fastest(*bench_, found_[static_cast<std::size_t>(asked - advice_.points.data())].policies);
    if (best == nullptr) {
      return std::nullopt;
    }
    KVPLACE_ASSIGN(policies, setup.policies(bench, n, best->policy, more));
    return policies.empty() ? std::nullopt : std::optional(policies.front());
  }

  Status find_gains() {
    const AdvicePoint* asked = advice_.asked();
    const auto place = static_cast<std::size_t>(asked - advice_.points.data());
    const Estimate* best = fastest(*bench_, found_[place].policies);
    if (best == nullptr || time_is_up()) {
      return {};
    }
    const double now = best->speed(*bench_).tokens_per_second;
    constexpr double kGiB = 1 << 30;
    constexpr double kGB = 1e9;
    InstanceSpec faster = advice_.spec;
    const double link = faster.hardware.effective(faster.hardware.far.link_read).value();
    for (Rate* rate : {&faster.hardware.far.link_read, &faster.hardware.far.link_write}) {
      rate->spec = rate->spec * (1 + kGB / link);
      rate->measured = rate->measured * (1 + kGB / link);
    }
    faster.hardware.far.link_read_by_size.scale(1 + kGB / link);
    const Setup with_link(faster, *stands_, longest());
    Bench bench(context_);
    KVPLACE_ASSIGN(more_near, same(bench, *setup_, batch(), kGiB, true));
    KVPLACE_ASSIGN(more_link, same(bench, with_link, batch(), 0, true));
    KVPLACE_TRY(run(bench, kPassesAfterBatches));
    if (more_near) {
      advice_.gain_gib_near = more_near->speed(bench).tokens_per_second - now;
    }
    if (more_link) {
      advice_.gain_gb_s_link = more_link->speed(bench).tokens_per_second - now;
    }
    return find_gain_of_gpus(now);
  }

  /// The next number of GPUs that divides the work.
  Status find_gain_of_gpus(double now) {
    const std::uint32_t gpus = advice_.spec.options.gpus;
    const std::uint32_t most = advice_.spec.hardware.gpus == 0 ? 2 * gpus : advice_.spec.hardware.gpus;
    for (std::uint32_t more = gpus + 1; more <= most; ++more) {
      InstanceSpec spec = advice_.spec;
      spec.options.gpus = more;
      spec.options.attention_dp.reset();
      spec.options.attention_tp.reset();
      spec.options.expert_parallel = false;
      std::vector<std::string> notes;
      choose_deployment(spec, notes);
      TraceMeta meta;
      meta.layers = stands_->layers();
      if (!share_of_one_gpu(spec, meta, {})) {
        continue;
      }
      const Setup with_gpus(spec, *stands_, longest());
      Bench bench(context_);
      KVPLACE_ASSIGN(near, with_gpus.all_near(bench, batch()));
      KVPLACE_ASSIGN(policies, with_gpus.policies(bench, batch()));
      KVPLACE_TRY(run(bench, kPassesAfterBatches));
      if (near) {
        policies.push_back(*near);
      }
      if (const Estimate* best = fastest(bench, policies)) {
        advice_.gain_gpu = best->speed(bench).tokens_per_second - now;
        advice_.more_gpus = more - gpus;
      }
      break;
    }
    return {};
  }

  Status find_sensitivity();
  const AdviseOptions& options_;
  SearchProgress progress_;
  RunContext context_;
  Clock::time_point begin_;
  Advice advice_;
  std::unique_ptr<Stands> stands_;
  std::unique_ptr<Setup> setup_;
  std::unique_ptr<Bench> bench_;
  std::vector<Found> found_;
  std::optional<Estimate> most_all_near_;
};

struct Input {
  const char* name;
  void (*scale)(InstanceSpec& spec, double factor);
};

void scale_rate(Rate& rate, double factor) {
  rate.spec = rate.spec * factor;
  rate.measured = rate.measured * factor;
}

constexpr Input kInputs[] = {
    {"near.bandwidth", [](InstanceSpec& s, double f) { scale_rate(s.hardware.near.bandwidth, f); }},
    {"near.capacity",
     [](InstanceSpec& s, double f) {
       s.hardware.near.capacity = Bytes(std::llround(static_cast<double>(s.hardware.near.capacity.value()) * f));
     }},
    {"far.link_read",
     [](InstanceSpec& s, double f) {
       scale_rate(s.hardware.far.link_read, f);
       s.hardware.far.link_read_by_size.scale(f);
     }},
    {"far.bandwidth", [](InstanceSpec& s, double f) { scale_rate(s.hardware.far.bandwidth, f); }},
    {"engine.weights_efficiency",
     [](InstanceSpec& s, double f) { s.engine.weights_efficiency = std::min(1.0, s.engine.weights_efficiency * f); }},
    {"engine.kv_efficiency",
     [](InstanceSpec& s, double f) { s.engine.kv_efficiency = std::min(1.0, s.engine.kv_efficiency * f); }},
    {"engine.layer_overhead", [](InstanceSpec& s, double f) { s.engine.layer_overhead = s.engine.layer_overhead * f; }},
    {"engine.tiered_overhead",
     [](InstanceSpec& s, double f) { s.engine.tiered_overhead = s.engine.tiered_overhead * f; }},
};

Status Adviser::find_sensitivity() {
  const AdvicePoint* asked = advice_.asked();
  const bool of_engine = asked->engine.has_value();
  Bench bench(context_);
  KVPLACE_ASSIGN(base, same(bench, *setup_, batch()));
  if (time_is_up()) {
    advice_.complete = false;
  }
  if (!base || time_is_up()) {
    return {};
  }
  advice_.sensitive_speed = of_engine ? "engine" : "best policy";
  constexpr double kFactors[] = {0.8, 1.2};
  std::vector<std::array<std::optional<Estimate>, 2>> varied;
  std::vector<std::string> names;
  for (const Input& input : kInputs) {
    std::array<std::optional<Estimate>, 2> pair;
    for (std::size_t i = 0; i < 2; ++i) {
      InstanceSpec spec = advice_.spec;
      input.scale(spec, kFactors[i]);
      const Setup setup(spec, *stands_, longest());
      KVPLACE_ASSIGN(one, same(bench, setup, batch()));
      pair[i] = std::move(one);
    }
    names.emplace_back(input.name);
    varied.push_back(std::move(pair));
  }
  std::array<std::unique_ptr<Stands>, 2> other_contexts;
  if (options_.trace == nullptr) {
    std::array<std::optional<Estimate>, 2> pair;
    for (std::size_t i = 0; i < 2; ++i) {
      other_contexts[i] = std::make_unique<Stands>(*advice_.spec.model, options_, context_);
      KVPLACE_TRY(other_contexts[i]->make(kFactors[i]));
      const auto tokens = static_cast<std::uint64_t>(static_cast<double>(longest()) * kFactors[i]);
      const Setup setup(advice_.spec, *other_contexts[i], tokens);
      KVPLACE_ASSIGN(one, same(bench, setup, batch()));
      pair[i] = std::move(one);
    }
    names.emplace_back("context");
    varied.push_back(std::move(pair));
  }
  KVPLACE_TRY(run(bench, kPassesOfBound * 5));
  advice_.base_tokens_per_second = base->speed(bench).tokens_per_second;
  for (std::size_t i = 0; i < varied.size(); ++i) {
    const auto rate = [&](const std::optional<Estimate>& one) { return one ? one->speed(bench).tokens_per_second : 0; };
    advice_.sensitivity.push_back({names[i], rate(varied[i][0]), rate(varied[i][1])});
  }
  const auto swing = [&](const Sensitivity& s) {
    return std::max(std::abs(s.lower - advice_.base_tokens_per_second),
                    std::abs(s.higher - advice_.base_tokens_per_second));
  };
  std::stable_sort(advice_.sensitivity.begin(), advice_.sensitivity.end(),
                   [&](const Sensitivity& a, const Sensitivity& b) { return swing(a) > swing(b); });
  return {};
}

}  // namespace

const AdvicePoint* Advice::asked() const {
  for (const AdvicePoint& point : points) {
    if (point.batch == spec.options.batch) {
      return &point;
    }
  }
  return nullptr;
}

void choose_deployment(InstanceSpec& spec, std::vector<std::string>& notes) {
  InstanceOptions& options = spec.options;
  const Model& model = *spec.model;
  if (options.gpus == 1 && spec.hardware.gpus > 1 && !options.attention_tp && !options.attention_dp) {
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
