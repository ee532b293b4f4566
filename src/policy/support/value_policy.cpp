#include "policy/support/value_policy.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace kvplace {
namespace {

constexpr float kCommonKept = 0.999F;        // of the counts of all layers, per decode step
constexpr float kLeavesLast = 1e6F;          // above all ln chances
constexpr float kMargin = 1;                 // of ln chance around the threshold, where decisions fall
constexpr std::uint32_t kMarginSamples = 8;  // one in so many of the blocks there is learned from
constexpr std::uint32_t kOtherSamples = 256;

}  // namespace

std::vector<ParameterInfo> value_option_parameters() {
  const auto part = [](const char* name, const char* doc) {
    return ParameterInfo{name, doc, "off or on", 1, 0, 1, true, {"off", "on"}};
  };
  return {part("shared", "one threshold over all layers; off: each layer keeps to its own part"),
          part("frequency", "values take in how often a block was read"),
          part("admission", "a block read from far enters only if it is worth a place"),
          part("balance", "values take in what a far read costs in its layer")};
}

ValueOptions value_options_of(ScoredBy scored_by, const Parameters& p) {
  return {scored_by, p.at("shared") != 0, p.at("frequency") != 0, p.at("admission") != 0, p.at("balance") != 0};
}

void ValueEngine::start(const PolicyContext& context) {
  instance_ = context.instance;
  common_counts_.assign(options_.shared ? 1 : instance_->layers(), {});
  layers_.clear();
  for (std::uint32_t layer = 0; layer < instance_->layers(); ++layer) {
    layers_.emplace_back(options_, common_counts_[options_.shared ? 0 : layer]);
    layers_.back().first = instance_->index(LayerIndex(layer), BlockId(0));
  }
  token_of_.clear();
  for (std::uint32_t i = 0; i < instance_->blocks_per_layer(); ++i) {
    const BlockLayout& layout = instance_->layout();
    const bool is_page = layout.kind(BlockId(i)) == BlockKind::kKvPage;
    token_of_.push_back(is_page ? layout.page(BlockId(i)) * layout.block_tokens : 0);
  }
  slot_of_.assign(instance_->num_blocks(), kFar);
  last_read_.clear();
  for (std::uint32_t layer = 0; layer < instance_->layers(); ++layer) {
    for (const std::uint32_t token : token_of_) {
      const std::int64_t written = std::int64_t{token} - instance_->layout().prompt_tokens + 1;
      last_read_.push_back(static_cast<std::int32_t>(written));
    }
  }
  left_.assign(instance_->num_blocks(), {unknown_history(options_.scored_by), kNever});
  entering_.assign(instance_->num_blocks(), false);
  threshold_.reset(instance_->capacity(), instance_->kv_block_bytes(), instance_->layers());
  far_cost_.start(*instance_);
  for (const BlockIndex block : context.initial_near) {
    enter(layers_[instance_->layer_of(block).value()], block, unknown_history(options_.scored_by));
  }
}

void ValueEngine::step(const StepInput& input, std::span<const BlockId> ranking, Decision& decision) {
  Layer& layer = layers_[input.layer.value()];
  if (options_.balance) {
    far_cost_.observe(input);
  }
  note_reads(input);
  enter_all(input, layer);
  if (options_.balance) {
    enter_ahead(input, ranking, layer);
  }
  mark(input, ranking, layer);
  layer.slots.advance();
  if (!options_.shared || input.layer.value() == 0) {
    common_counts_[options_.shared ? 0 : input.layer.value()].fade(kCommonKept);
  }
  layer.chance.begin_step(input.step.value(), last_read_);
  if (options_.shared) {
    const float worth = options_.balance ? far_cost_.log_worth(input.layer) : 0;
    layer.threshold = threshold_.log_value() - worth;
  }
  sample(input.step.value(), layer);
  if (options_.shared) {
    drop_below_threshold(input.step.value(), layer, decision);
  }
  drop_excess(input, layer, decision);
  for (const BlockIndex block : entered_) {
    if (entering_[block.value()]) {
      entering_[block.value()] = false;
      decision.promote.push_back(block);
    }
  }
  threshold_.follow(used_);
}

void ValueEngine::note_reads(const StepInput& input) {
  const auto now = static_cast<std::int32_t>(input.step.value() + 1);
  for (const auto& blocks : {input.hits, input.misses}) {
    for (const BlockIndex block : blocks) {
      last_read_[block.value()] = now;
    }
  }
}

void ValueEngine::enter(Layer& layer, BlockIndex block, const BlockHistory& history) {
  slot_of_[block.value()] = static_cast<std::uint32_t>(layer.slots.size());
  layer.slots.add(block, history, token_of_[block.value() - layer.first.value()], last_read_[block.value()]);
  const Bytes size = instance_->block_bytes(block);
  layer.used += size;
  used_ += size;
}

void ValueEngine::enter_all(const StepInput& input, Layer& layer) {
  entered_.clear();
  for (std::size_t i = 0; i < input.written.size(); ++i) {
    const BlockIndex block = input.written[i];
    if (input.written_is_new[i] != 0) {
      enter_new(layer, block, newborn_history(options_.scored_by, rank_value(0, 1)));
    }
  }
  if (options_.balance && far_cost_.hold_back(input.layer)) {
    return;
  }
  for (const BlockIndex block : input.misses) {
    enter_back(input, layer, block);
  }
}

void ValueEngine::enter_new(Layer& layer, BlockIndex block, const BlockHistory& history) {
  enter(layer, block, history);
  entering_[block.value()] = true;
  entered_.push_back(block);
}

void ValueEngine::enter_back(const StepInput& input, Layer& layer, BlockIndex block) {
  const Left& left = left_[block.value()];
  const std::uint32_t away = left.step == kNever ? 0 : input.step.value() - left.step - 1;
  enter_new(layer, block, away == 0 ? left.history : aged(options_.scored_by, left.history, away));
}

void ValueEngine::enter_ahead(const StepInput& input, std::span<const BlockId> ranking, Layer& layer) {
  Bytes room = far_cost_.idle(input.layer);
  for (std::size_t rank = 0; rank < ranking.size() && room > Bytes(0); ++rank) {
    const BlockIndex block = instance_->index(input.layer, ranking[rank]);
    if (slot_of_[block.value()] == kFar) {
      room -= instance_->block_bytes(block);
      if (room >= Bytes(0)) {
        enter_back(input, layer, block);
      }
    }
  }
}

void ValueEngine::mark(const StepInput& input, std::span<const BlockId> ranking, Layer& layer) {
  const std::size_t reads = std::max<std::size_t>(1, input.hits.size() + input.misses.size() + input.written.size());
  const bool by_ranks = options_.scored_by == ScoredBy::kRanks;
  const std::size_t known = std::max(reads, ranking.size());
  if (by_ranks) {
    update_ranks(reads, known);
  }
  const float unranked = by_ranks ? rank_value(1.5 * static_cast<double>(known), static_cast<double>(reads)) : 0;
  layer.slots.clear_marks({unranked, kUnranked});
  const RankValue read_unranked = by_ranks ? ranks_[ranking.empty() ? reads / 2 : 0] : RankValue{0, kUnranked};
  const auto mark_read = [&](BlockIndex block) {
    const std::uint32_t slot = slot_of_[block.value()];
    if (slot != kFar) {
      layer.slots.mark_read(slot, last_read_[block.value()]);
      layer.slots.mark_rank(slot, read_unranked);
    }
  };
  std::for_each(input.hits.begin(), input.hits.end(), mark_read);
  std::for_each(input.misses.begin(), input.misses.end(), mark_read);
  std::for_each(input.written.begin(), input.written.end(), mark_read);
  if (by_ranks) {
    for (std::size_t rank = 0; rank < ranking.size(); ++rank) {
      const std::uint32_t slot = slot_of_[instance_->index(input.layer, ranking[rank]).value()];
      if (slot != kFar) {
        layer.slots.mark_rank(slot, ranks_[rank]);
      }
    }
  }
}

void ValueEngine::leave(Layer& layer, std::size_t slot, std::uint32_t step, Decision& decision) {
  const BlockIndex block = layer.slots.block(slot);
  left_[block.value()] = {layer.slots.history(slot), step};
  layer.slots.remove(slot);
  if (slot < layer.slots.size()) {
    slot_of_[layer.slots.block(slot).value()] = static_cast<std::uint32_t>(slot);
  }
  slot_of_[block.value()] = kFar;
  const Bytes size = instance_->block_bytes(block);
  layer.used -= size;
  used_ -= size;
  if (entering_[block.value()]) {
    entering_[block.value()] = false;
  } else {
    decision.evict.push_back(block);
  }
}

BlockTraits ValueEngine::traits(const Layer& layer, std::size_t slot, std::uint32_t step) const {
  const std::uint32_t newest = instance_->layout().prompt_tokens + step;
  const auto unread = static_cast<std::uint32_t>(static_cast<std::int32_t>(step + 1) - layer.slots.last_read(slot));
  return {layer.slots.rank_bin(slot), recency_bin(unread), age_bin(layer.slots.token(slot), newest), unread};
}

float ValueEngine::value_of(const Layer& layer, std::size_t slot, std::uint32_t step) const {
  return layer.chance.log_chance(layer.slots.score(slot), traits(layer, slot, step));
}

void ValueEngine::find_below(const Layer& layer, float log_chance) {
  const std::array<float, kRankBins> scores = layer.chance.surely_above(log_chance);
  const std::size_t size = layer.slots.size();
  found_.resize(std::max(found_.size(), size));
  num_found_ = 0;
  for (std::size_t slot = 0; slot < size; ++slot) {
    found_[num_found_] = static_cast<std::uint32_t>(slot);
    num_found_ += layer.slots.score(slot) <= scores[layer.slots.rank_bin(slot)] ? 1U : 0U;
  }
}

void ValueEngine::sample(std::uint32_t step, Layer& layer) {
  const std::array<float, kRankBins> scores = layer.chance.surely_above(layer.threshold + kMargin);
  for (std::size_t slot = step % kMarginSamples; slot < layer.slots.size(); slot += kMarginSamples) {
    const float score = layer.slots.score(slot);
    const bool always = slot % kOtherSamples == step % kOtherSamples;
    if (score > scores[layer.slots.rank_bin(slot)] && !always) {
      continue;
    }
    const BlockTraits known = traits(layer, slot, step);
    const float value = layer.chance.log_chance(score, known);
    if (std::abs(value - layer.threshold) < kMargin || always) {
      layer.chance.sample(layer.slots.block(slot), score, known, value);
    }
  }
}

void ValueEngine::drop_below_threshold(std::uint32_t step, Layer& layer, Decision& decision) {
  order_.clear();
  find_below(layer, layer.threshold);
  for (std::size_t i = 0; i < num_found_; ++i) {
    const std::uint32_t slot = found_[i];
    const float value = value_of(layer, slot, step);
    if (value < layer.threshold && may_leave(layer.slots.block(slot))) {
      order_.emplace_back(value, slot);
    }
  }
  drop_lowest(layer, used_ - threshold_.least_filling(), step, decision);
}

void ValueEngine::drop_excess(const StepInput& input, Layer& layer, Decision& decision) {
  const std::uint32_t step = input.step.value();
  Bytes excess = options_.shared ? used_ - instance_->capacity() : layer.used - instance_->layer_capacity(input.layer);
  if (excess <= Bytes(0)) {
    return;
  }
  // Nearly always the blocks not much above the threshold are enough, and no other has a lower value.
  const float enough = layer.threshold + kMargin;
  Bytes found;
  order_.clear();
  find_below(layer, enough);
  for (std::size_t i = 0; i < num_found_; ++i) {
    const std::uint32_t slot = found_[i];
    const float value = value_of(layer, slot, step);
    if (value <= enough && may_leave(layer.slots.block(slot))) {
      order_.emplace_back(value, slot);
      found += instance_->block_bytes(layer.slots.block(slot));
    }
  }
  if (found < excess) {
    order_.clear();
    for (std::size_t slot = 0; slot < layer.slots.size(); ++slot) {
      const float value = value_of(layer, slot, step);
      order_.emplace_back(may_leave(layer.slots.block(slot)) ? value : value + kLeavesLast, slot);
    }
  }
  drop_lowest(layer, excess, step, decision);
}

void ValueEngine::drop_lowest(Layer& layer, Bytes excess, std::uint32_t step, Decision& decision) {
  std::make_heap(order_.begin(), order_.end(), std::greater<>());
  leaving_.clear();
  while (excess > Bytes(0) && !order_.empty()) {
    std::pop_heap(order_.begin(), order_.end(), std::greater<>());
    if (!options_.shared) {
      layer.threshold = order_.back().first;
    }
    leaving_.push_back(layer.slots.block(order_.back().second));
    order_.pop_back();
    excess -= instance_->block_bytes(leaving_.back());
  }
  for (const BlockIndex block : leaving_) {
    leave(layer, slot_of_[block.value()], step, decision);
  }
}

void ValueEngine::update_ranks(std::size_t reads, std::size_t ranks) {
  const std::size_t apart = reads > ranks_reads_ ? reads - ranks_reads_ : ranks_reads_ - reads;
  if (apart * 32 > reads) {
    ranks_reads_ = reads;
    ranks_.clear();
  }
  while (ranks_.size() < ranks) {
    const auto rank = static_cast<double>(ranks_.size());
    const auto of = static_cast<double>(ranks_reads_);
    ranks_.emplace_back(rank_value(rank, of), rank_bin(rank, of));
  }
}

}  // namespace kvplace
