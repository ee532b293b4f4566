#include "solve/path_plan/loads.h"

#include "solve/plan_tie.h"

namespace kvplace {
PlanLoads::PlanLoads(const Instance& instance, const PlanUses& uses)
    : instance_(instance),
      groups_(instance.groups()),
      split_(instance.options().mode == Mode::kInclusive && instance.options().mirrored_reads == MirroredReads::kSplit),
      sizes_(instance.block_sizes()),
      loads_(uses.fixed()),
      times_(loads_.size()) {
  tie_ = kTie * far_read_time();
  for (std::size_t group = 0; group < loads_.size(); ++group) {
    times_[group] = time_of(loads_[group]);
  }
}

double PlanLoads::far_read_time() const {
  const Bytes block = instance_.mean_kv_block_bytes() * std::int64_t{instance_.options().batch};
  return (block / instance_.step_time().far_read_bandwidth()).value();
}

double PlanLoads::total() const {
  double sum = 0;
  for (const double time : times_) {
    sum += time;
  }
  return sum;
}

double PlanLoads::time_of(const GroupLoad& load) const {
  return split_ ? split_time(instance_.step_time(), load.loads, load.mirrored, groups_.layers_per_group())
                : instance_.step_time()(load.loads, groups_.layers_per_group()).value();
}

void PlanLoads::add(std::uint32_t group, const GroupLoad& more) {
  loads_[group] += more;
  times_[group] = time_of(loads_[group]);
  if (priced_) {
    price(group);
  }
}

void PlanLoads::find_prices() {
  const auto groups = static_cast<std::uint32_t>(loads_.size());
  promotions_.assign(sizes_.size(), LeastTree(groups));
  demotions_.assign(instance_.options().mode == Mode::kExclusive ? sizes_.size() : 0, LeastTree(groups));
  priced_ = true;
  for (std::uint32_t group = 0; group < groups; ++group) {
    price(group);
  }
}

void PlanLoads::price(std::uint32_t group) {
  const auto price_of = [&](const GroupLoad& more) {
    const double price = time_with(group, more) - times_[group];
    return price > tie_ ? price : 0;
  };
  for (std::size_t kind = 0; kind < sizes_.size(); ++kind) {
    promotions_[kind].set(group, price_of(promotion(sizes_[kind], Bytes(0))));
  }
  for (std::size_t kind = 0; kind < demotions_.size(); ++kind) {
    demotions_[kind].set(group, price_of(demotion(sizes_[kind])));
  }
}

PlanLoads::Step PlanLoads::cheapest_promotion(Bytes size, std::uint32_t first, std::uint32_t last) const {
  if (first > last) {
    return {LeastTree::Found().price, 0};
  }
  const LeastTree::Found found = promotions_[kind_of(size)].find<true>(group_of(first), group_of(last));
  return {found.price, std::min(last, groups_.last_of(GroupIndex(found.at)).value())};
}

PlanLoads::Step PlanLoads::cheapest_demotion(Bytes size, std::uint32_t first, std::uint32_t last) const {
  if (first > last) {
    return {LeastTree::Found().price, 0};
  }
  const LeastTree::Found found = demotions_[kind_of(size)].find<false>(group_of(first), group_of(last));
  return {found.price, std::max(first, groups_.first_of(GroupIndex(found.at)).value())};
}

GroupLoad PlanLoads::promotion(Bytes size, Bytes read_from_far) const {
  GroupLoad load;
  load.loads.add_promotion(size, read_from_far);
  load.loads = load.loads * std::int64_t{instance_.options().batch};
  return load;
}

GroupLoad PlanLoads::demotion(Bytes size) const {
  GroupLoad load;
  if (instance_.options().mode == Mode::kExclusive) {
    load.loads.add(Transfer::kDemote, size, 1);
    load.loads = load.loads * std::int64_t{instance_.options().batch};
  }
  return load;
}

}  // namespace kvplace
