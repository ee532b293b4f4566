#include "solve/path_plan/loads.h"

#include "solve/plan_tie.h"
#include "solve/prices/split_time.h"

namespace kvplace {
PlanLoads::PlanLoads(const Instance& instance, const PlanUses& uses)
    : instance_(instance),
      steps_per_cell_(uses.steps_per_cell()),
      split_(instance.options().mode == Mode::kInclusive && instance.options().mirrored_reads == MirroredReads::kSplit),
      sizes_{instance.kv_block_bytes(), instance.kv_block_bytes()},
      num_kinds_(1),
      loads_(uses.fixed()),
      times_(loads_.size()) {
  if (instance.layout().experts > 0) {
    sizes_[1] = instance.block_bytes(BlockId(0));
    num_kinds_ = sizes_[1] == sizes_[0] ? 1 : 2;
  }
  tie_ = kTie * far_read_time();
  for (std::size_t cell = 0; cell < loads_.size(); ++cell) {
    times_[cell] = time_of(loads_[cell]);
  }
}

double PlanLoads::far_read_time() const {
  return (sizes_[0] * std::int64_t{instance_.options().batch} / instance_.step_time().far_read_bandwidth()).value();
}

double PlanLoads::total() const {
  double sum = 0;
  for (const double time : times_) {
    sum += time;
  }
  return sum;
}

double PlanLoads::time_of(const CellLoad& load) const {
  return split_ ? split_time(instance_.step_time(), load.loads, load.mirrored, steps_per_cell_)
                : instance_.step_time()(load.loads, steps_per_cell_).value();
}

void PlanLoads::add(std::uint32_t cell, const CellLoad& more) {
  loads_[cell] += more;
  times_[cell] = time_of(loads_[cell]);
  if (priced_) {
    price(cell);
  }
}

void PlanLoads::find_prices() {
  const auto cells = static_cast<std::uint32_t>(loads_.size());
  promotions_.assign(num_kinds_, LeastTree(cells));
  demotions_.assign(instance_.options().mode == Mode::kExclusive ? num_kinds_ : 0, LeastTree(cells));
  priced_ = true;
  for (std::uint32_t cell = 0; cell < cells; ++cell) {
    price(cell);
  }
}

void PlanLoads::price(std::uint32_t cell) {
  const auto price_of = [&](const CellLoad& more) {
    const double price = time_with(cell, more) - times_[cell];
    return price > tie_ ? price : 0;
  };
  for (std::size_t kind = 0; kind < num_kinds_; ++kind) {
    promotions_[kind].set(cell, price_of(promotion(sizes_[kind], Bytes(0))));
  }
  for (std::size_t kind = 0; kind < demotions_.size(); ++kind) {
    demotions_[kind].set(cell, price_of(demotion(sizes_[kind])));
  }
}

PlanLoads::Step PlanLoads::cheapest_promotion(Bytes size, std::uint32_t first, std::uint32_t last) const {
  if (first > last) {
    return {LeastTree::Found().price, 0};
  }
  const LeastTree::Found found = promotions_[kind_of(size)].find<true>(cell_of(first), cell_of(last));
  return {found.price, std::min(last, found.at * steps_per_cell_ + steps_per_cell_ - 1)};
}

PlanLoads::Step PlanLoads::cheapest_demotion(Bytes size, std::uint32_t first, std::uint32_t last) const {
  if (first > last) {
    return {LeastTree::Found().price, 0};
  }
  const LeastTree::Found found = demotions_[kind_of(size)].find<false>(cell_of(first), cell_of(last));
  return {found.price, std::max(first, found.at * steps_per_cell_)};
}

CellLoad PlanLoads::promotion(Bytes size, Bytes read_from_far) const {
  CellLoad load;
  load.loads.add(Transfer::kPromotePassive, read_from_far);
  load.loads.add(Transfer::kPromote, size - read_from_far);
  load.loads = load.loads * std::int64_t{instance_.options().batch};
  return load;
}

CellLoad PlanLoads::demotion(Bytes size) const {
  CellLoad load;
  if (instance_.options().mode == Mode::kExclusive) {
    load.loads.add(Transfer::kDemote, size);
    load.loads = load.loads * std::int64_t{instance_.options().batch};
  }
  return load;
}

}  // namespace kvplace
