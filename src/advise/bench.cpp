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
  Spent spent = spent_in_step(entry.result, entry.instance, entry.stand.scale);
  spent.overhead += entry.the_case.extra_s;
  return spent;
}

}  // namespace kvplace
