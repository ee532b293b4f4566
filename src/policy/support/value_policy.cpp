#include "policy/support/value_policy.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvplace {
namespace {

constexpr float kCommonKept = 0.999F;        // of the counts of all layers, per decode step
constexpr float kLeavesLast = 1e6F;          // above all ln chances
constexpr float kMargin = 1;                 // of ln chance around the threshold, where decisions fall
constexpr std::uint32_t kMarginSamples = 8;  // one in so many of the blocks there is learned from
constexpr std::uint32_t kOtherSamples = 256;
constexpr float kNoLimit = std::numeric_limits<float>::infinity();
// So many blocks to leave, of a layer with so many, are found by a pass each; others by sorting.
constexpr std::int64_t kFewBlocks = 16;
constexpr std::size_t kFewSlots = 512;

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
  least_block_ = instance_->block_bytes(BlockId(0));
  for (std::uint32_t i = 0; i < instance_->blocks_per_layer(); ++i) {
    const BlockLayout& layout = instance_->layout();
    const bool is_page = layout.kind(BlockId(i)) == BlockKind::kKvPage;
    least_block_ = std::min(least_block_, instance_->block_bytes(BlockId(i)));
    token_of_.push_back(is_page ? layout.page(BlockId(i)) * layout.block_tokens : 0);
  }
  slot_of_.assign(instance_->num_blocks(), kNeverNear);
  last_read_.clear();
  for (std::uint32_t layer = 0; layer < instance_->layers(); ++layer) {
    for (const std::uint32_t token : token_of_) {
      const std::int64_t written = std::int64_t{token} - instance_->layout().prompt_tokens + 1;
      last_read_.push_back(static_cast<std::int32_t>(written));
    }
  }
  left_.assign(instance_->num_blocks(), unknown_history(options_.scored_by));
  entering_.assign(instance_->num_blocks(), false);
  threshold_.reset(instance_->capacity(), instance_->kv_block_bytes(), instance_->layers());
  far_cost_.start(*instance_);
  least_block_ = std::max(least_block_, Bytes(1));
  alike_ = options_.admission && instance_->layout().experts == 0;
  for (const BlockIndex block : context.initial_near) {
    enter(layers_[instance_->layer_of(block).value()], block, unknown_history(options_.scored_by));
  }
}

void ValueEngine::step(const StepInput& input, std::span<const BlockId> ranking, Decision& decision) {
  Layer& layer = layers_[input.layer.value()];
  const std::uint32_t step = input.step.value();
  if (options_.balance) {
    far_cost_.observe(input);
  }
  enter_all(input, layer);
  if (options_.balance) {
    enter_ahead(input, ranking, layer);
  }
  mark(input, ranking, layer);
  if (!options_.shared || input.layer.value() == 0) {
    common_counts_[options_.shared ? 0 : input.layer.value()].fade(kCommonKept);
  }
  layer.chance.begin_step(step, [&](BlockIndex block) {
    const std::uint32_t slot = slot_of_[block.value()];
    return slot < kFar ? layer.slots.last_read(slot) : last_read_[block.value()];
  });
  layer.slots.advance(layer.chance.tables(), static_cast<std::int32_t>(step + 1),
                      instance_->layout().prompt_tokens + step);
  if (options_.shared) {
    const float worth = options_.balance ? far_cost_.log_worth(input.layer) : 0;
    layer.threshold = threshold_.log_value() - worth;
  }
  sample(step, layer);
  if (options_.shared) {
    drop_below_threshold(step, layer, decision);
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
  const auto now = static_cast<std::int32_t>(input.step.value() + 1);
  const bool hold_back = options_.balance && far_cost_.hold_back(input.layer);
  for (const BlockIndex block : input.misses) {
    last_read_[block.value()] = now;
    __builtin_prefetch(&left_[block.value()]);
  }
  if (!hold_back) {
    for (const BlockIndex block : input.misses) {
      enter_back(input, layer, block);
    }
  }
}

void ValueEngine::enter_new(Layer& layer, BlockIndex block, const BlockHistory& history) {
  enter(layer, block, history);
  entering_[block.value()] = true;
  entered_.push_back(block);
}

void ValueEngine::enter_back(const StepInput& input, Layer& layer, BlockIndex block) {
  const std::uint32_t place = slot_of_[block.value()];
  const std::uint32_t away = place == kNeverNear ? 0 : input.step.value() - (place - kFar) - 1;
  const BlockHistory& left = left_[block.value()];
  enter_new(layer, block, away == 0 ? left : aged(options_.scored_by, left, away));
}

void ValueEngine::enter_ahead(const StepInput& input, std::span<const BlockId> ranking, Layer& layer) {
  Bytes room = far_cost_.idle(input.layer);
  for (std::size_t rank = 0; rank < ranking.size() && room > Bytes(0); ++rank) {
    const BlockIndex block = instance_->index(input.layer, ranking[rank]);
    if (!is_near(block)) {
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
  if (by_ranks) {
    layer.slots.clear_ranks({rank_value(1.5 * static_cast<double>(known), static_cast<double>(reads)), kUnranked});
  }
  const RankValue read_unranked = by_ranks ? ranks_[ranking.empty() ? reads / 2 : 0] : RankValue{0, kUnranked};
  const auto now = static_cast<std::int32_t>(input.step.value() + 1);
  for (const BlockIndex block : input.hits) {
    const std::uint32_t slot = slot_of_[block.value()];
    layer.slots.mark_read(slot, now);
    layer.slots.mark_rank(slot, read_unranked);
  }
  for (const auto& blocks : {input.misses, input.written}) {
    for (const BlockIndex block : blocks) {
      if (is_near(block)) {
        const std::uint32_t slot = slot_of_[block.value()];
        layer.slots.mark_read(slot, layer.slots.last_read(slot));
        layer.slots.mark_rank(slot, read_unranked);
      }
    }
  }
  if (by_ranks) {
    const std::uint32_t* const slots = slot_of_.data() + layer.first.value();
    for (std::size_t rank = 0; rank < ranking.size(); ++rank) {
      layer.slots.mark_rank(slots[ranking[rank].value()], ranks_[rank]);
    }
  }
}

void ValueEngine::leave(Layer& layer, std::size_t slot, std::uint32_t step, Decision& decision) {
  const BlockIndex block = layer.slots.block(slot);
  left_[block.value()] = layer.slots.history(slot);
  last_read_[block.value()] = layer.slots.last_read(slot);
  layer.slots.remove(slot);
  if (slot < layer.slots.size()) {
    slot_of_[layer.slots.block(slot).value()] = static_cast<std::uint32_t>(slot);
  }
  slot_of_[block.value()] = kFar + step;
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

void ValueEngine::sample(std::uint32_t step, Layer& layer) {
  for (std::size_t slot = step % kMarginSamples; slot < layer.slots.size(); slot += kMarginSamples) {
    const float value = layer.slots.value(slot);
    if (std::abs(value - layer.threshold) < kMargin || slot % kOtherSamples == step % kOtherSamples) {
      layer.chance.sample(layer.slots.block(slot), layer.slots.score(slot), traits(layer, slot, step), value);
    }
  }
}

void ValueEngine::drop_below_threshold(std::uint32_t step, Layer& layer, Decision& decision) {
  const Bytes excess = used_ - threshold_.least_filling();
  if (excess <= Bytes(0)) {
    return;
  }
  drop_lowest(layer, layer.threshold, excess, step, decision);
}

void ValueEngine::drop_excess(const StepInput& input, Layer& layer, Decision& decision) {
  const std::uint32_t step = input.step.value();
  Bytes excess = options_.shared ? used_ - instance_->capacity() : layer.used - instance_->layer_capacity(input.layer);
  if (excess <= Bytes(0)) {
    return;
  }
  drop_lowest(layer, kNoLimit, excess, step, decision);
}

void ValueEngine::drop_lowest(Layer& layer, float limit, Bytes excess, std::uint32_t step, Decision& decision) {
  leaving_.clear();
  bool may_be_more = true;
  if (alike_ && layer.slots.size() <= kFewSlots) {
    const std::int64_t most = (excess.value() + least_block_.value() - 1) / least_block_.value();
    const LowestValues lowest =
        layer.slots.take_lowest(limit, static_cast<std::size_t>(std::min(most, kFewBlocks)), leaving_);
    if (!options_.shared && lowest.count > 0) {
      layer.threshold = lowest.last;
    }
    excess -= least_block_ * static_cast<std::int64_t>(lowest.count);
    may_be_more = static_cast<std::int64_t>(lowest.count) == kFewBlocks;
  }
  if (may_be_more && excess > Bytes(0)) {
    find_lowest(layer, limit, excess);
  }
  for (const BlockIndex block : leaving_) {
    leave(layer, slot_of_[block.value()], step, decision);
  }
}

void ValueEngine::find_lowest(Layer& layer, float limit, Bytes excess) {
  // Nearly always the blocks not much above the threshold are enough, and no other has a lower value.
  find_below(layer, std::min(limit, layer.threshold + kMargin));
  if (limit == kNoLimit && least_block_ * static_cast<std::int64_t>(order_.size()) < excess) {
    find_below(layer, kNoLimit);
    for (std::size_t slot = 0; slot < layer.slots.size() && !options_.admission; ++slot) {
      if (!may_leave(layer.slots.block(slot))) {
        order_.emplace_back(layer.slots.value(slot) + kLeavesLast, slot);
      }
    }
  }
  const std::int64_t most = (excess.value() + least_block_.value() - 1) / least_block_.value();
  const auto sorted = std::min(most, static_cast<std::int64_t>(order_.size()));
  std::partial_sort(order_.begin(), order_.begin() + sorted, order_.end());
  for (const ValueAndSlot& lowest : std::span(order_).first(static_cast<std::size_t>(sorted))) {
    if (excess <= Bytes(0)) {
      break;
    }
    if (!options_.shared) {
      layer.threshold = lowest.value();
    }
    leaving_.push_back(layer.slots.block(lowest.slot()));
    excess -= instance_->block_bytes(leaving_.back());
  }
}

void ValueEngine::find_below(const Layer& layer, float value) {
  const std::size_t size = layer.slots.size();
  order_.resize(size);
  std::size_t found = 0;
  for (std::size_t slot = 0; slot < size; ++slot) {
    order_[found] = ValueAndSlot(layer.slots.value(slot), slot);
    found += layer.slots.value(slot) < value ? 1U : 0U;
  }
  order_.resize(found);
  if (!options_.admission) {
    std::erase_if(order_, [&](const ValueAndSlot& at) { return !may_leave(layer.slots.block(at.slot())); });
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
