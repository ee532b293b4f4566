// What more of something gains, and what the answer hangs on.
#include <algorithm>
#include <array>
#include <cmath>

#include "advise/adviser.h"

namespace kvplace {
namespace {

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

}  // namespace

Result<std::optional<Estimate>> Adviser::same(Bench& bench, const Setup& setup, std::uint32_t n, double more,
                                              bool of_policy) const {
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

Status Adviser::find_gains() {
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

Status Adviser::find_gain_of_gpus(double now) {
  const std::uint32_t gpus = advice_.spec.options.gpus;
  const std::uint32_t most = advice_.spec.hardware.gpus == 0 ? 2 * gpus : advice_.spec.hardware.gpus;
  for (std::uint32_t more = gpus + 1; more <= most; ++more) {
    InstanceSpec spec = advice_.spec;
    spec.options.gpus = more;
    spec.options.attention_dp.reset();
    spec.options.attention_tp.reset();
    spec.options.expert_parallel = false;
    std::vector<std::string> notes;
    choose_deployment(spec, false, notes);
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

}  // namespace kvplace
