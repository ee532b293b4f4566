#include "report/sweep.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "size/time_limit.h"
#include "size/variation.h"

namespace kvplace {
namespace {

/// A sweep with an instance for each of its values.
struct Swept {
  FigureSweep figure;
  std::vector<Instance> instances;

  /// Nothing where the machine cannot be so.
  void add(double value, const Result<Instance>& instance, bool asked) {
    if (instance) {
      figure.asked = asked ? instances.size() : figure.asked;
      figure.values.push_back(value);
      instances.push_back(*instance);
    }
  }
};

/// From a quarter of what was asked for to all there is, in whole blocks per layer.
Swept capacities(const Instance& instance, const Evaluator& evaluator) {
  constexpr int kSteps = 6;
  const std::int64_t row = std::max<std::int64_t>(1, instance.kv_row_bytes().value());
  const std::int64_t batch = instance.options().batch;
  const std::int64_t asked = instance.capacity().value();
  const std::int64_t most = (competing_bytes(instance).value() + row - 1) / row;
  const double least =
      std::max(1.0, std::min(static_cast<double>(asked) / static_cast<double>(row), static_cast<double>(most)) / 4);
  std::vector<std::int64_t> all{asked};
  for (int i = 0; i <= kSteps; ++i) {
    const double blocks = least * std::pow(static_cast<double>(most) / least, static_cast<double>(i) / kSteps);
    all.push_back(std::llround(blocks) * row);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  Swept swept;
  for (const std::int64_t bytes : all) {
    if (bytes == asked) {
      swept.add(static_cast<double>(bytes * batch), instance, true);
    } else if (bytes > 0) {
      InstanceSpec spec = instance.spec();
      set_capacity(spec, Bytes(bytes * batch));
      swept.add(static_cast<double>(bytes * batch), evaluator.make(spec), false);
    }
  }
  return swept;
}

Swept links(const Instance& instance, const Evaluator& evaluator) {
  Swept swept;
  for (const double factor : {0.25, 0.5, 1.0, 2.0, 4.0, 8.0}) {
    InstanceSpec spec = instance.spec();
    scale_link(spec.hardware, factor);
    const double given = instance.step_time().bandwidth(Channel::kFarLinkRead).value();
    swept.add(given * factor, factor == 1 ? Result<Instance>(instance) : evaluator.make(spec), factor == 1);
  }
  return swept;
}

/// All of both sweeps' instances.
std::vector<const Instance*> all_of(const std::vector<Swept*>& sweeps) {
  std::vector<const Instance*> all;
  for (const Swept* swept : sweeps) {
    for (const Instance& instance : swept->instances) {
      all.push_back(&instance);
    }
  }
  return all;
}

void take_row(const std::vector<Seconds>& times, const std::vector<Swept*>& sweeps,
              const std::function<std::vector<Seconds>&(FigureSweep&)>& row) {
  auto next = times.begin();
  for (Swept* swept : sweeps) {
    const auto end = next + static_cast<std::ptrdiff_t>(swept->instances.size());
    row(swept->figure).assign(next, end);
    next = end;
  }
}

Status replay_all(Evaluator& evaluator, const std::vector<Swept*>& sweeps, const std::vector<PolicySpec>& policies) {
  const std::vector<const Instance*> instances = all_of(sweeps);
  std::vector<Contender> contenders;
  for (const PolicySpec& policy : policies) {
    contenders.push_back({policy});
  }
  std::vector<Evaluator::Trial> trials;
  for (const Contender& contender : contenders) {
    for (const Instance* instance : instances) {
      trials.push_back({&contender, instance});
    }
  }
  KVPLACE_ASSIGN(all_near, evaluator.all_near(instances, static_cast<double>(trials.size())));
  take_row(all_near, sweeps, [](FigureSweep& figure) -> std::vector<Seconds>& { return figure.all_near; });
  KVPLACE_ASSIGN(timed, evaluator.times(trials, 0));
  for (std::size_t p = 0; p < policies.size(); ++p) {
    std::vector<Seconds> times;
    for (std::size_t i = 0; i < instances.size(); ++i) {
      times.push_back(timed[p * instances.size() + i].total);
    }
    take_row(times, sweeps, [&policies, p](FigureSweep& figure) -> std::vector<Seconds>& {
      figure.policies.push_back(policies[p].label());
      return figure.time.emplace_back();
    });
  }
  return {};
}

}  // namespace

Result<FigureSweeps> sweep_figures(const TraceReader& trace, const Instance& instance,
                                   const std::vector<PolicySpec>& policies, Seconds bounds_limit,
                                   const RunContext& context) {
  constexpr Seconds kNoLimit(1e9);
  TimeLimit no_limit(kNoLimit, context.interrupt);
  Evaluator evaluator(trace, context, no_limit, "replaying sweeps");
  Swept near_capacity = capacities(instance, evaluator);
  Swept link = links(instance, evaluator);
  const std::vector<Swept*> sweeps{&near_capacity, &link};
  KVPLACE_TRY(replay_all(evaluator, sweeps, policies));
  evaluator.progress().close();

  TimeLimit limit(bounds_limit, context.interrupt);
  Evaluator prover(trace, context, limit, "proving bounds");
  const Contender certified;
  std::vector<Evaluator::Trial> trials;
  for (const Instance* one : all_of(sweeps)) {
    trials.push_back({&certified, one});
  }
  const Result<std::vector<Timed>> proven = prover.times(trials, 0);
  prover.progress().close();
  if (proven) {
    std::vector<Seconds> times;
    for (const Timed& timed : *proven) {
      times.push_back(timed.total);
    }
    take_row(times, sweeps, [](FigureSweep& figure) -> std::vector<Seconds>& { return figure.certified; });
  } else if (limit.outer_requested()) {
    return tl::unexpected(proven.error());
  } else {
    for (Swept* swept : sweeps) {
      swept->figure.why_uncertified = proven.error().kind == ErrorKind::kInterrupted
                                          ? "the proofs did not end within the time limit"
                                          : proven.error().message;
    }
  }
  return FigureSweeps{std::move(near_capacity.figure), std::move(link.figure)};
}

}  // namespace kvplace
