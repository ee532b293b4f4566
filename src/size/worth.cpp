// What one more GiB near, GB/s of link or point of sparsity gains.
#include <algorithm>
#include <cmath>

#include "size/search.h"
#include "size/variation.h"

namespace kvplace {
namespace {

constexpr double kPoint = 0.01;

/// None if all KV is near already.
Result<std::optional<Instance>> with_more_near(const Evaluator& evaluator, const Instance& instance) {
  const std::int64_t batch = instance.options().batch;
  const std::int64_t row = instance.kv_block_bytes().value() * instance.layers();  // a block in each layer
  const std::int64_t all = kv_bytes_of_request(instance).value();
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

Result<std::optional<Smaller>> with_fewer_bytes(const TraceReader& trace, const Evaluator& evaluator,
                                                const Instance& instance) {
  const std::int64_t block = instance.kv_block_bytes().value();
  const auto smaller = static_cast<std::int64_t>(std::floor(static_cast<double>(block) * (1 - kPoint)));
  if (trace.meta().has_read_bytes || instance.layout().experts > 0 || smaller <= 0) {
    return std::optional<Smaller>();
  }
  InstanceSpec spec = instance.spec();
  set_capacity(spec, Bytes(instance.capacity().value() / block * smaller * spec.options.batch));
  spec.options.block_bytes = Bytes(smaller);
  KVPLACE_ASSIGN(changed, evaluator.make(spec));
  const double points = static_cast<double>(block - smaller) / static_cast<double>(block) / kPoint;
  return std::optional(Smaller{std::move(changed), points});
}

}  // namespace

Result<SizeWorth> measure_worth(const TraceReader& trace, const Evaluator& evaluator, const Contender& contender,
                                const Instance& instance, Seconds total) {
  KVPLACE_ASSIGN(near, with_more_near(evaluator, instance));
  KVPLACE_ASSIGN(link, with_faster_link(evaluator, instance));
  KVPLACE_ASSIGN(sparsity, with_fewer_bytes(trace, evaluator, instance));
  std::vector<Evaluator::Trial> trials{{&contender, &link}};
  if (sparsity) {
    trials.push_back({&contender, &sparsity->instance});
  }
  if (near) {
    trials.push_back({&contender, &*near});
  }
  KVPLACE_ASSIGN(times, evaluator.times(trials));
  const double before = tokens_per_second(instance, total);
  // A bound with more of anything is one with less as well, so where it is found to be the higher one it proves no
  // loss.
  const auto gained = [&](const Instance& changed, Seconds time) {
    const double gain = tokens_per_second(changed, time) - before;
    return contender.policy ? gain : std::max(gain, 0.0);
  };
  SizeWorth worth;
  worth.gb_s_link = gained(link, times[0]);
  if (sparsity) {
    worth.point_of_sparsity = gained(sparsity->instance, times[1]) / sparsity->points;
  }
  worth.gib_near = near ? gained(*near, times.back()) : 0;
  if (!contender.policy) {
    KVPLACE_ASSIGN(bound, evaluator.bound(instance));
    worth.capacity_price_s_per_gib = bound.capacity_price_s_per_byte * kGiB;
  }
  return worth;
}

}  // namespace kvplace
