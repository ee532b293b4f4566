#include "advise/bench.h"

#include <algorithm>

namespace kvplace {

Result<std::size_t> Bench::add(const Stand& stand, const Case& a_case) {
  InstanceSpec spec = a_case.spec;
  spec.engine.step_overhead = spec.engine.step_overhead * (1 / stand.scale);  // once, however many layers there are
  KVPLACE_ASSIGN(instance, Instance::make(spec, stand.trace->meta(), stand.trace->totals()));
  entries_.push_back({stand, a_case, std::move(instance), {}, false});
  return entries_.size() - 1;
}

Status Bench::run() {
  std::map<const TraceReader*, std::vector<Entry*>> by_trace;
  for (Entry& entry : entries_) {
    if (!entry.done) {
      by_trace[entry.stand.trace].push_back(&entry);
    }
  }
  for (auto& [trace, entries] : by_trace) {
    std::vector<ReplayJob> jobs;
    for (const Entry* entry : entries) {
      KVPLACE_ASSIGN(policy, PolicyRegistry::instance().parse(entry->the_case.policy));
      jobs.push_back({&entry->instance, policy});
    }
    KVPLACE_ASSIGN(results, replay(*trace, jobs, context_));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (!results[i].complete) {
        return interrupted("stopped before there was an answer");
      }
      entries[i]->result = std::move(results[i]);
      entries[i]->done = true;
    }
  }
  return {};
}

double Bench::step_of(std::size_t at, Seconds total) const {
  const Entry& entry = entries_[at];
  return total.value() / std::max(1u, entry.instance.steps()) * entry.stand.scale + entry.the_case.extra_s;
}

Speed Bench::speed(std::size_t at) const {
  const Entry& entry = entries_[at];
  Speed speed;
  speed.step_s = step_of(at, entry.result.total);
  speed.tokens_per_second = entry.the_case.batch / speed.step_s;
  speed.policy = entry.result.policy.label();
  return speed;
}

Spent Bench::spent(std::size_t at) const {
  const Entry& entry = entries_[at];
  const Instance& instance = entry.instance;
  const GpuShare& share = instance.share();
  const Engine& engine = instance.spec().engine;
  const StepTime& time = instance.step_time();
  constexpr std::size_t kNear = kvplace::at(Channel::kNearMem);
  const double scale = entry.stand.scale;
  const double layers = instance.layers();
  const double steps = std::max(1u, entry.result.steps);
  const double near_rate = time.rate(Channel::kNearMem).value();
  double near_bytes = static_cast<double>(entry.result.channel_bytes[kNear]) / steps;
  double weights = 0;
  for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
    const Instance::FixedLoads& fixed = instance.fixed_of(StepIndex(0), LayerIndex(layer));
    near_bytes += static_cast<double>(fixed.loads.near_more);
    weights += static_cast<double>(fixed.near_weights.value());
  }
  const double longest = static_cast<double>(instance.layout().prompt_tokens) + instance.steps();
  const double mean = instance.layout().prompt_tokens + (instance.steps() + 1.0) / 2;
  Spent spent;
  const double peak = time.bandwidth(Channel::kNearMem).value();
  spent.weights = weights / (peak * engine.weights_efficiency) * scale;
  spent.selector = static_cast<double>(share.near.selector.value()) * mean / std::max(1.0, longest) / near_rate;
  spent.kv_near = std::max(0.0, near_bytes / near_rate * scale - spent.weights - spent.selector);
  const Seconds of_layer = engine.layer_overhead * share.layers_per_traced + time.overhead() +
                           (instance.tiered() ? engine.tiered_overhead : Seconds(0));
  spent.overhead = (of_layer.value() * layers + engine.step_overhead.value()) * scale + entry.the_case.extra_s;
  spent.link = std::max(0.0, speed(at).step_s - spent.weights - spent.selector - spent.kv_near - spent.overhead);
  return spent;
}

}  // namespace kvplace
