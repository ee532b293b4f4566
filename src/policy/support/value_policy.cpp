#include "policy/support/value_policy.h"

#include <algorithm>
#include <limits>

namespace kvplace {
namespace {

constexpr float kLeavesLast = 1e6F;  // above all values
// Values are of their layer's latest step. A block is worth so much more by the time a decode step has passed since:
// its layer's next step, in which it may be read, is then at hand.
constexpr float kRisePerDecodeStep = 1;

/// Tokens of the longest prompt that is there before the first decode step; later ones are not known yet.
std::int64_t first_prompt_tokens(const BlockLayout& layout) {
  if (layout.served == nullptr) {
    return layout.prompt_tokens;
  }
  std::int64_t most = 0;
  for (const std::uint32_t request : layout.served->running(0)) {
    most = std::max(most, std::int64_t{layout.prompt_of(request)});
  }
  return most;
}

}  // namespace

std::vector<ParameterInfo> value_option_parameters(ScoredBy scored_by) {
  const auto part = [](const char* name, const char* doc) {
    return ParameterInfo{name, doc, "off or on", 1, 0, 1, true, {"off", "on"}};
  };
  std::vector<ParameterInfo> parts = {
      part("shared", "the least value of all layers leaves; off: each layer keeps to its own part"),
      part("frequency", "values take in how often a block was read"),
      part("admission", "a block read from far enters only if it is worth a place"),
      part("balance", "values take in what a far read costs in its layer")};
  if (scored_by == ScoredBy::kRanks) {
    parts.push_back(part("copies", "with copies in the background, what ranks just behind the reads comes in ahead"));
  }
  return parts;
}

ValueOptions value_options_of(ScoredBy scored_by, const Parameters& p) {
  const auto is_on = [&p](const char* name) { return p.at(name) != 0; };
  return {scored_by,          is_on("shared"),  is_on("frequency"),
          is_on("admission"), is_on("balance"), scored_by == ScoredBy::kRanks && is_on("copies")};
}

void ValueEngine::start(const PolicyContext& context) {
  instance_ = context.instance;
  const BlockLayout& layout = instance_->layout();
  const std::int64_t prompt_tokens = first_prompt_tokens(layout);
  layers_.clear();
  last_read_.clear();
  for (std::uint32_t layer = 0; layer < instance_->layers(); ++layer) {
    layers_.emplace_back(options_, instance_->index(LayerIndex(layer), BlockId(0)));
    for (std::uint32_t i = 0; i < instance_->blocks_per_layer(); ++i) {
      const bool is_page = layout.kind(BlockId(i)) == BlockKind::kKvPage;
      const std::int64_t written = is_page ? layout.first_written(BlockId(i)) : -prompt_tokens;
      last_read_.push_back(static_cast<std::int32_t>(written + 1));
    }
  }
  used_ = Bytes(0);
  slot_of_.assign(instance_->num_blocks(), kNeverNear);
  left_.assign(instance_->num_blocks(), unknown_history(options_.scored_by));
  entering_.assign(instance_->num_blocks(), false);
  far_cost_.start(*instance_);
  margin_.start(instance_->layers());
  options_.copies = options_.copies && options_.shared && options_.balance &&
                    (options_.scored_by == ScoredBy::kRanks || options_.drafts > 0) &&
                    instance_->options().copies == Copies::kBackground;
  drafts_ = Drafts(options_.drafts);
  drafts_.start(*instance_);
  copies_.start(instance_->layers());
  for (const BlockIndex block : context.initial_near) {
    enter(layers_[instance_->layer_of(block).value()], block, unknown_history(options_.scored_by));
  }
}

void ValueEngine::step(const StepInput& input, std::span<const BlockId> ranking, Decision& decision,
                       const Lookahead* lookahead) {
  Layer& layer = layers_[input.layer.value()];
  end_requests(input, layer);
  if (lookahead != nullptr) {
    learn_from_drafts(input, *lookahead, layer);
  }
  if (options_.balance) {
    far_cost_.observe(input);
  }
  if (options_.shared) {
    learn_from_margin(input, layer);
  }
  enter_all(input, layer);
  mark(input, ranking, layer);
  layer.slots.advance(static_cast<std::int32_t>(input.step.value() + 1));
  if (!options_.admission) {
    for (const BlockIndex block : entered_) {
      const std::size_t slot = slot_of_[block.value()];
      layer.slots.set_value(slot, layer.slots.value(slot) + kLeavesLast);
    }
  }
  if (options_.copies) {
    value_copies(input, layer);
  }
  if (lookahead != nullptr) {
    raise_named(layer);
  }
  if (options_.copies) {
    offer_copies(input, ranking);
    copy_ahead(input);
  }
  drop_excess(input, layer, decision);
  for (const BlockIndex block : entered_) {
    if (entering_[block.value()]) {
      entering_[block.value()] = false;
      decision.promote.push_back(block);
    }
  }
}

void ValueEngine::enter(Layer& layer, BlockIndex block, const BlockHistory& history) {
  slot_of_[block.value()] = static_cast<std::uint32_t>(layer.slots.size());
  layer.slots.add(block, history, last_read_[block.value()]);
  const Bytes size = instance_->block_bytes(block);
  layer.used += size;
  used_ += size;
}

void ValueEngine::enter_all(const StepInput& input, Layer& layer) {
  entered_.clear();
  for (std::size_t i = 0; i < input.written.size(); ++i) {
    const BlockIndex block = input.written[i];
    if (input.written_is_new[i] == kPageBegun) {
      enter_new(layer, block, newborn_history(options_.scored_by, rank_value(0, 1)));
    } else if (input.written_is_new[i] == kPageArrived && is_newest(input, i)) {
      enter_new(layer, block, unknown_history(options_.scored_by));
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

/// Of a prompt that arrives as many of the newest pages as a request reads: the others would leave at once.
bool ValueEngine::is_newest(const StepInput& input, std::size_t written) const {
  const BlockLayout& layout = instance_->layout();
  const std::size_t reads =
      (input.hits.size() + input.misses.size()) / layout.served->running(input.step.value()).size();
  const std::size_t ahead = written + reads + 1;
  return ahead >= input.written.size() || layout.request(instance_->id_of(input.written[ahead])) !=
                                              layout.request(instance_->id_of(input.written[written]));
}

void ValueEngine::end_requests(const StepInput& input, Layer& layer) {
  for (const BlockIndex block : input.ended) {
    free_slot(layer, block);
    slot_of_[block.value()] = kNeverNear;
  }
}

void ValueEngine::enter_new(Layer& layer, BlockIndex block, const BlockHistory& history) {
  enter(layer, block, history);
  entering_[block.value()] = true;
  entered_.push_back(block);
}

void ValueEngine::enter_back(const StepInput& input, Layer& layer, BlockIndex block) {
  const std::uint32_t place = slot_of_[block.value()];
  const std::uint32_t left_in = place == kNeverNear ? input.step.value() : place - kFar;
  const std::uint32_t away = input.step.value() - std::min(left_in + 1, input.step.value());
  const BlockHistory& left = left_[block.value()];
  enter_new(layer, block, away == 0 ? left : aged(options_.scored_by, left, away));
}

void ValueEngine::learn_from_margin(const StepInput& input, const Layer& layer) {
  const float limit = margin_.limit() - weight(input.layer);
  std::size_t reads = 0;
  for (const BlockIndex block : input.hits) {
    reads += layer.slots.value(slot_of_[block.value()]) < limit ? 1U : 0U;
  }
  margin_.learn(input.layer, layer.slots.count_below(limit), reads);
}

void ValueEngine::mark(const StepInput& input, std::span<const BlockId> ranking, Layer& layer) {
  const std::size_t reads = std::max<std::size_t>(1, input.hits.size() + input.misses.size() + input.written.size());
  const bool by_ranks = options_.scored_by == ScoredBy::kRanks;
  const std::size_t known = std::max(reads, ranking.size());
  unranked_ = rank_value(1.5 * static_cast<double>(known), static_cast<double>(reads));
  if (by_ranks) {
    update_ranks(reads, known);
    layer.slots.clear_ranks(unranked_);
  }
  const float read_unranked = by_ranks ? ranks_[ranking.empty() ? reads / 2 : 0] : 0;
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

void ValueEngine::value_copies(const StepInput& input, Layer& layer) {
  std::erase_if(copies_.unread(input.layer), [&](const CopiesAhead::Copy& copy) {
    const std::uint32_t slot = slot_of_[copy.block.value()];
    if (slot >= kFar || layer.slots.last_read(slot) != copy.last_read ||
        CopiesAhead::is_old(copy, input.step.value())) {
      return true;
    }
    layer.slots.set_value(slot, CopiesAhead::value(layer.slots.x(slot)));
    return false;
  });
}

void ValueEngine::learn_from_drafts(const StepInput& input, const Lookahead& lookahead, const Layer& layer) {
  drafts_.begin_step(input);
  const auto step = static_cast<std::int32_t>(input.step.value());
  drafts_.learn(input, lookahead.reads(input.step, input.layer), [&](BlockIndex block) {
    return (is_near(block) ? layer.slots.last_read(slot_of_[block.value()]) : last_read_[block.value()]) == step;
  });
  drafts_.look(input, lookahead);
}

void ValueEngine::raise_named(Layer& layer) {
  for (const BlockId id : drafts_.named()) {
    const std::uint32_t slot = slot_of_[layer.first.value() + id.value()];
    if (slot < kFar) {
      layer.slots.set_value(slot, layer.slots.value(slot) + drafts_.gain_near(id));
    }
  }
}

void ValueEngine::offer_copies(const StepInput& input, std::span<const BlockId> ranking) {
  const std::size_t reads = input.hits.size() + input.misses.size() + input.written.size();
  copies_.begin_step(input.layer);
  const std::size_t end = std::min(ranking.size(), CopiesAhead::kRanks * reads);
  if (!drafts_.tell()) {
    for (std::size_t rank = reads; rank < end; ++rank) {
      const BlockIndex block = instance_->index(input.layer, ranking[rank]);
      if (!is_near(block) && !copies_.offer(input.layer, {block, ranks_[rank]})) {
        break;
      }
    }
    return;
  }
  const auto offer = [&](BlockId id, float x) {
    const BlockIndex block = instance_->index(input.layer, id);
    const float gain = drafts_.take_gain_far(id);
    if (!is_near(block)) {
      copies_.offer(input.layer, {block, x + gain});
    }
  };
  for (std::size_t rank = 0; rank < ranking.size(); ++rank) {
    if (drafts_.is_named(ranking[rank]) || (rank >= reads && rank < end)) {
      offer(ranking[rank], ranks_[rank]);
    }
  }
  for (const BlockId id : drafts_.named()) {
    if (drafts_.is_named(id)) {
      offer(id, unranked_);
    }
  }
  copies_.keep_best(input.layer);
}

void ValueEngine::copy_ahead(const StepInput& input) {
  for (std::uint32_t in_flight = input.copies_in_flight; in_flight < CopiesAhead::kInFlight; ++in_flight) {
    const std::optional<CopiesAhead::Candidate> best = copies_.take_best(far_cost_);
    if (!best) {
      break;
    }
    const LayerIndex at = instance_->layer_of(best->block);
    Layer& layer = layers_[at.value()];
    enter_back(input, layer, best->block);
    const std::uint32_t slot = slot_of_[best->block.value()];
    layer.slots.set_value(slot, CopiesAhead::value(best->x));
    copies_.unread(at).push_back({best->block, input.step.value(), layer.slots.last_read(slot)});
  }
}

void ValueEngine::leave(Layer& layer, BlockIndex block, std::uint32_t step, Decision& decision) {
  const std::uint32_t slot = slot_of_[block.value()];
  left_[block.value()] = layer.slots.history(slot);
  last_read_[block.value()] = layer.slots.last_read(slot);
  free_slot(layer, block);
  slot_of_[block.value()] = kFar + step;
  if (entering_[block.value()]) {
    entering_[block.value()] = false;
  } else {
    decision.evict.push_back(block);
  }
}

void ValueEngine::free_slot(Layer& layer, BlockIndex block) {
  const std::uint32_t slot = slot_of_[block.value()];
  layer.slots.remove(slot);
  if (slot < layer.slots.size()) {
    slot_of_[layer.slots.block(slot).value()] = slot;
  }
  const Bytes size = instance_->block_bytes(block);
  layer.used -= size;
  used_ -= size;
}

float ValueEngine::weight(LayerIndex layer) const {
  return (options_.balance ? far_cost_.log_worth(layer) : 0) + margin_.bias(layer);
}

void ValueEngine::leave_least(LayerIndex at_hand, std::uint32_t step, Decision& decision) {
  const std::uint32_t num_layers = instance_->layers();
  const float rise = kRisePerDecodeStep / static_cast<float>(num_layers);
  Layer* lowest = &layers_.front();
  float least = std::numeric_limits<float>::infinity();
  for (std::uint32_t l = 0; l < num_layers; ++l) {
    const std::uint32_t steps_since = (at_hand.value() + num_layers - l) % num_layers;
    const float value = layers_[l].slots.least() + weight(LayerIndex(l)) + rise * static_cast<float>(steps_since);
    if (value < least) {
      least = value;
      lowest = &layers_[l];
    }
  }
  margin_.block_leaves(least);
  leave(*lowest, lowest->slots.take_least(), step, decision);
}

void ValueEngine::drop_excess(const StepInput& input, Layer& layer, Decision& decision) {
  const std::uint32_t step = input.step.value();
  while (options_.shared && used_ > instance_->capacity()) {
    leave_least(input.layer, step, decision);
  }
  while (!options_.shared && layer.used > instance_->layer_capacity(input.layer)) {
    leave(layer, layer.slots.take_least(), step, decision);
  }
}

void ValueEngine::update_ranks(std::size_t reads, std::size_t ranks) {
  const std::size_t apart = reads > ranks_reads_ ? reads - ranks_reads_ : ranks_reads_ - reads;
  if (apart * 32 > reads) {
    ranks_reads_ = reads;
    ranks_.clear();
  }
  while (ranks_.size() < ranks) {
    ranks_.push_back(rank_value(static_cast<double>(ranks_.size()), static_cast<double>(ranks_reads_)));
  }
}

}  // namespace kvplace
