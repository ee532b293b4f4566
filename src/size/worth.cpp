// What one more GiB near, GB/s of link or point of sparsity gains.
#include <algorithm>
#include <cmath>

#include "size/search.h"
#include "size/variation.h"

namespace kvplace {
namespace {

constexpr double kPoint = 0.01;

/// None if everything is near already.
Result<std::optional<Instance>> with_more_near(const Evaluator& evaluator, const Instance& instance) {
  const std::int64_t batch = instance.options().batch;
  const std::int64_t row = instance.kv_row_bytes().value();  // a block in each layer
  const std::int64_t all = competing_bytes(instance).value();
  const auto rows = static_cast<std::int64_t>(std::llround(kGiB / static_cast<double>(row * batch)));
  const std::int64_t raised = std::min(all, instance.capacity().value() + std::max<std::int64_t>(1, rows) * row);
  if (raised <= instance.capacity().value()) {
    return std::optional<Instance>();
  }
  InstanceSpec spec = instance.spec();
  set_capacity(spec, Bytes(raised * batch));
  KVPLACE_ASSIGN(changed, evaluator.make(spec));
  return std::optional(std::move(changed));
}

Result<Instance> with_faster_link(const Evaluator& evaluator, const Instance& instance) {
  InstanceSpec spec = instance.spec();
  scale_link(spec.hardware, 1 + kGB / instance.step_time().bandwidth(Channel::kFarLinkRead).value());
  return evaluator.make(spec);
}

/// A smaller instance and the points by which its blocks are smaller, about one.
struct Smaller {
  Instance instance;
  double points = 0;
};

Result<std::optional<Smaller>> with_fewer_bytes(const Evaluator& evaluator, const Instance& instance) {
  const std::int64_t block = instance.mean_kv_block_bytes().value();
  const auto smaller = static_cast<std::int64_t>(std::floor(static_cast<double>(block) * (1 - kPoint)));
  if (!instance.uniform() || smaller <= 0) {
    return std::optional<Smaller>();
  }
  InstanceSpec spec = instance.spec();
  set_capacity(spec, Bytes(instance.capacity().value() / block * smaller * instance.options().batch));
  spec.options.block_bytes = Bytes(smaller);
  KVPLACE_ASSIGN(changed, evaluator.make(spec));
  const double points = static_cast<double>(block - smaller) / static_cast<double>(block) / kPoint;
  return std::optional(Smaller{std::move(changed), points});
}

/// An answer beside its variations.
struct Varied {
  const Answered* answer = nullptr;
  Instance link;
  std::optional<Smaller> smaller;
  std::optional<Instance> near;
};

Result<SizeWorth> worth_of(Evaluator& evaluator, const Varied& varied, double left) {
  const Contender& contender = *varied.answer->contender;
  std::vector<Evaluator::Trial> trials{{&contender, &varied.answer->instance}, {&contender, &varied.link}};
  if (varied.smaller) {
    trials.push_back({&contender, &varied.smaller->instance});
  }
  if (varied.near) {
    trials.push_back({&contender, &*varied.near});
  }
  KVPLACE_ASSIGN(times, evaluator.times(trials, left));
  const double before = tokens_per_second(varied.answer->instance, varied.answer->total);
  // A bound with more of anything is one with less as well, so where it is found to be the higher one it proves no
  // loss.
  const auto gained = [&](const Instance& changed, const Timed& timed) {
    const double gain = tokens_per_second(changed, timed.total) - before;
    return contender.policy ? gain : std::max(gain, 0.0);
  };
  SizeWorth worth;
  worth.gb_s_link = gained(varied.link, times[1]);
  if (varied.smaller) {
    worth.point_of_sparsity = gained(varied.smaller->instance, times[2]) / varied.smaller->points;
  }
  worth.gib_near = varied.near ? gained(*varied.near, times.back()) : 0;
  if (!contender.policy) {
    worth.capacity_price_s_per_gib = times.front().capacity_price_s_per_byte * kGiB;
  }
  return worth;
}

}  // namespace

double passes_of_worth(std::span<const Contender> contenders) {
  constexpr double kVariations = 3;
  double passes = 0;
  for (const Contender& contender : contenders) {
    passes += kVariations * (contender.policy ? 1 : kPassesOfBound);
  }
  return passes;
}

Result<std::vector<SizeWorth>> measure_worth(Evaluator& evaluator, std::span<const Answered> answers, double after) {
  std::vector<Varied> varied;
  for (const Answered& answer : answers) {
    KVPLACE_ASSIGN(near, with_more_near(evaluator, answer.instance));
    KVPLACE_ASSIGN(link, with_faster_link(evaluator, answer.instance));
    KVPLACE_ASSIGN(smaller, with_fewer_bytes(evaluator, answer.instance));
    varied.push_back({&answer, std::move(link), std::move(smaller), std::move(near)});
  }
  // All at once, so that replays share a pass and bounds run beside each other; then each by itself is known.
  std::vector<Evaluator::Trial> all;
  for (const Varied& v : varied) {
    all.push_back({v.answer->contender, &v.link});
    if (v.smaller) {
      all.push_back({v.answer->contender, &v.smaller->instance});
    }
    if (v.near) {
      all.push_back({v.answer->contender, &*v.near});
    }
  }
  if (!all.empty()) {
    KVPLACE_TRY(evaluator.times(all, after));
  }
  std::vector<SizeWorth> worths;
  for (const Varied& v : varied) {
    KVPLACE_ASSIGN(worth, worth_of(evaluator, v, after));
    worths.push_back(worth);
  }
  return worths;
}

}  // namespace kvplace
