#include "policy/support/belady_policy.h"

#include <algorithm>
#include <set>

namespace kvplace {

std::size_t BeladyPolicy::moment_of(std::uint32_t step, LayerIndex layer) const {
  if (step == kNeverRead) {
    return orders_.front().never();
  }
  return pooling_ == Pooling::kPerLayer ? step : std::size_t{step} * instance_->layers() + layer.value();
}

void BeladyPolicy::insert(BlockIndex block, std::size_t moment) {
  const std::size_t buffer = buffer_of(instance_->layer_of(block));
  used_[buffer] += instance_->block_bytes(block);
  orders_[buffer].add(block, moment);
}

std::vector<BlockIndex> BeladyPolicy::start(const PolicyContext& context, std::span<const std::uint32_t> first_reads) {
  instance_ = context.instance;
  const std::size_t num_buffers = pooling_ == Pooling::kPerLayer ? instance_->layers() : 1;
  const std::size_t num_moments =
      std::size_t{instance_->steps()} * (pooling_ == Pooling::kPerLayer ? 1 : instance_->layers());
  budgets_.clear();
  for (std::size_t i = 0; i < num_buffers; ++i) {
    budgets_.push_back(pooling_ == Pooling::kPerLayer
                           ? instance_->layer_capacity(LayerIndex(static_cast<std::uint32_t>(i)))
                           : instance_->capacity());
  }
  used_.assign(num_buffers, Bytes(0));
  links_.assign(instance_->num_blocks(), 0);
  is_gone_.assign(instance_->num_blocks(), false);
  orders_.assign(num_buffers, NextUseOrder(num_moments, links_));
  std::vector<BlockIndex> near(context.initial_near.begin(), context.initial_near.end());
  if (instance_->options().start == Start::kFree) {
    near = choose_start(first_reads);
  }
  for (const BlockIndex block : near) {
    insert(block, moment_of(first_reads[block.value()], instance_->layer_of(block)));
  }
  if (ahead_.queue > 0 && instance_->options().copies == Copies::kBackground) {
    far_.emplace(num_moments, links_);
    const std::set<BlockIndex> is_near(near.begin(), near.end());
    for (std::uint32_t b = 0; b < instance_->num_blocks(); ++b) {
      const BlockIndex block(b);
      if (instance_->id_of(block).value() < instance_->layout().initial_blocks() && is_near.count(block) == 0) {
        leave_far(block, moment_of(first_reads[b], instance_->layer_of(block)));
      }
    }
  }
  return near;
}

std::vector<BlockIndex> BeladyPolicy::choose_start(std::span<const std::uint32_t> first_reads) {
  std::vector<BlockIndex> by_first_read;
  for (std::uint32_t b = 0; b < instance_->num_blocks(); ++b) {
    const BlockIndex block(b);
    if (first_reads[b] != kNeverRead && instance_->id_of(block).value() < instance_->layout().initial_blocks()) {
      by_first_read.push_back(block);
    }
  }
  std::stable_sort(by_first_read.begin(), by_first_read.end(), [&](BlockIndex a, BlockIndex b) {
    return moment_of(first_reads[a.value()], instance_->layer_of(a)) <
           moment_of(first_reads[b.value()], instance_->layer_of(b));
  });
  std::vector<Bytes> left = budgets_;
  std::vector<BlockIndex> chosen;
  for (const BlockIndex block : by_first_read) {
    Bytes& room = left[buffer_of(instance_->layer_of(block))];
    if (instance_->block_bytes(block) <= room) {
      room -= instance_->block_bytes(block);
      chosen.push_back(block);
    }
  }
  return chosen;
}

void BeladyPolicy::step(const StepInput& input, const NextReadsView& next_reads, Decision& decision) {
  const std::size_t buffer = buffer_of(input.layer);
  NextUseOrder& order = orders_[buffer];
  order.drop(moment_of(input.step.value(), input.layer));
  for (const BlockIndex block : input.ended) {
    used_[buffer] -= instance_->block_bytes(block);
    is_gone_[block.value()] = true;
  }
  for (std::size_t i = 0; i < input.hits.size(); ++i) {
    order.add(input.hits[i], moment_of(next_reads.of_hits[i], input.layer));
  }
  if (far_) {
    far_->drop(moment_of(input.step.value(), input.layer));
    for (std::size_t i = 0; i < input.written.size(); ++i) {
      const std::size_t moment = moment_of(next_reads.of_written[i], input.layer);
      if (moment != far_->never()) {
        far_->remove(input.written[i], moment);  // where it is unless it is new, or read in this step
      }
    }
  }
  candidates_.clear();
  for (std::size_t i = 0; i < input.written.size(); ++i) {
    add_candidate(input, input.written[i], next_reads.of_written[i], Transfer::kPromote, input.written_is_new[i] != 0);
  }
  for (std::size_t i = 0; i < input.misses.size(); ++i) {
    add_candidate(input, input.misses[i], next_reads.of_misses[i], Transfer::kPromotePassive, false);
  }
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.moment != b.moment ? a.moment < b.moment : a.block < b.block;
  });
  Loads loads = input.loads;
  for (const Candidate& candidate : candidates_) {
    Loads with_it = loads;
    if (!candidate.free) {
      const std::int64_t batch = instance_->options().batch;
      with_it.add(candidate.entering, instance_->block_bytes(candidate.block) * batch, batch);
    }
    const bool balanced =
        balance_ == Balance::kIgnore || candidate.entering != Transfer::kPromotePassive || !near_is_slower(with_it);
    if (balanced && make_room(buffer, candidate, decision)) {
      insert(candidate.block, candidate.moment);
      decision.promote.push_back(candidate.block);
      loads = with_it;
    } else {
      leave_far(candidate.block, candidate.moment);
    }
  }
  if (far_) {
    fetch_ahead(input, decision);
  }
}

void BeladyPolicy::add_candidate(const StepInput& input, BlockIndex block, std::uint32_t next_read, Transfer entering,
                                 bool free) {
  if (next_read != kNeverRead) {
    candidates_.push_back({block, moment_of(next_read, input.layer), entering, free});
  }
}

/// Evicts residents read later than the candidate until it fits; false, and nothing changed, if that is not enough.
bool BeladyPolicy::make_room(std::size_t buffer, const Candidate& candidate, Decision& decision) {
  NextUseOrder& order = orders_[buffer];
  const Bytes size = instance_->block_bytes(candidate.block);
  Bytes room = budgets_[buffer] - used_[buffer];
  victims_.clear();
  victim_moments_.clear();
  while (room < size && !order.empty() && order.farthest() > candidate.moment) {
    const std::size_t moment = order.farthest();
    const BlockIndex farthest = order.take_farthest();
    if (is_gone_[farthest.value()]) {
      continue;
    }
    victim_moments_.push_back(moment);
    victims_.push_back(farthest);
    room += instance_->block_bytes(victims_.back());
  }
  if (room < size) {
    for (std::size_t i = victims_.size(); i-- > 0;) {
      order.add(victims_[i], victim_moments_[i]);
    }
    return false;
  }
  used_[buffer] = budgets_[buffer] - room;
  for (std::size_t i = 0; i < victims_.size(); ++i) {
    leave_far(victims_[i], victim_moments_[i]);
    // Only what is fetched ahead can displace what entered in this step, which then stays far.
    const auto entered =
        far_ ? std::find(decision.promote.begin(), decision.promote.end(), victims_[i]) : decision.promote.end();
    if (entered != decision.promote.end()) {
      decision.promote.erase(entered);
    } else {
      decision.evict.push_back(victims_[i]);
    }
  }
  return true;
}

void BeladyPolicy::leave_far(BlockIndex block, std::size_t moment) {
  if (far_ && moment != far_->never()) {
    far_->add(block, moment);
  }
}

void BeladyPolicy::fetch_ahead(const StepInput& input, Decision& decision) {
  const std::size_t first = moment_of(input.step.value(), input.layer) + 1 + ahead_.lead;
  for (std::uint32_t in_flight = input.copies_in_flight; in_flight < ahead_.queue; ++in_flight) {
    const std::size_t moment = far_->next_from(first);
    if (moment == far_->never()) {
      return;
    }
    const BlockIndex block = far_->take(moment);
    const bool just_left = std::find(decision.evict.begin(), decision.evict.end(), block) != decision.evict.end();
    if (just_left || !make_room(0, {block, moment}, decision)) {
      far_->add(block, moment);
      return;
    }
    insert(block, moment);
    decision.promote.push_back(block);
  }
}

bool BeladyPolicy::near_is_slower(const Loads& loads) const {
  const std::array<double, kNumChannels> times = instance_->step_time().channel_times(loads);
  const auto time_on = [&](Channel channel) { return times[at(channel)]; };
  return time_on(Channel::kNearMem) >
         std::max({time_on(Channel::kFarLinkRead), time_on(Channel::kFarLinkWrite), time_on(Channel::kFarMem)});
}

}  // namespace kvplace
