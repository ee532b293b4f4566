#include "bound/layer_paths.h"

#include <algorithm>
#include <limits>

namespace kvplace {
namespace {

/// More than any path costs; with the cost of a path added it still fits 64 bits.
constexpr std::int64_t kImpossible = std::int64_t{1} << 62;

/// The first of the record's reads [begin, end) whose id is not below `id`.
std::size_t first_read_from(const StepView& record, std::size_t begin, std::size_t end, BlockId id) {
  const auto reads = record.reads.first(end).subspan(begin);
  return begin + static_cast<std::size_t>(std::lower_bound(reads.begin(), reads.end(), id) - reads.begin());
}

}  // namespace

LayerPaths::LayerPaths(const PathCosts& costs, const BlockLayout& layout, std::uint32_t layer)
    : costs_(costs),
      layer_(layer),
      page_units_(costs.page_units(layer)),
      experts_(layout.experts),
      served_(layout.served.get()),
      context_tokens_(layout.prompt_tokens),
      move_blocks_(move_kernel()),
      end_(layout.initial_blocks()),
      near_(costs.certificate().numbers.blocks_per_layer, 0),
      arriving_(costs.any() ? costs.certificate().numbers.blocks_per_layer : 0, kImpossible),
      exists_(costs.certificate().numbers.blocks_per_layer, 0) {
  std::fill_n(exists_.begin(), end_, std::uint8_t{1});
  switch (costs.certificate().numbers.start) {
    case Start::kFree:
      for (std::uint32_t id = 0; id < end_; ++id) {
        near_[id] = units_of(BlockId(id)) * static_cast<std::int64_t>(costs.certificate().start_price);
      }
      return;
    case Start::kEmpty:
      std::fill_n(near_.begin(), end_, kImpossible);
      return;
    case Start::kRecent:
      start_recent();
      return;
  }
}

void LayerPaths::start_recent() {
  const BoundNumbers& numbers = costs_.certificate().numbers;
  Int128 of_all_layers = 0;
  for (std::uint32_t layer = 0; layer < numbers.layers; ++layer) {
    of_all_layers += of_layer(numbers.kv_block_bytes, layer);
  }
  const Int128 places = capacity_of_request(numbers, Claim::kStep) / of_all_layers;
  const auto recent = static_cast<std::uint32_t>(std::min<Int128>(places, end_ - experts_));
  std::fill_n(near_.begin(), end_ - recent, kImpossible);
  std::fill_n(near_.begin() + (end_ - recent), recent, -kImpossible);  // near for nothing, far cannot be
  far_ticks_ = Int128{kImpossible} * recent;
  lowest_ = recent > 0 ? -kImpossible : 0;
}

Result<StepLoads> LayerPaths::step(const StepView& record, const Moves& after) {
  const StepPrices prices = costs_.prices(record.step.value(), layer_);
  lowest_ -= largest_units() * std::max(prices.far_read, prices.new_kv_far);  // a block is read or appended to
  StepLoads loads;
  Int128 bytes_read_by_rule = 0;
  Int128 new_kv = 0;
  std::size_t next = 0;
  for (std::size_t i = 0; i < record.appended.size(); ++i) {
    const BlockId id = record.appended[i];
    const std::int64_t written =
        costs_.new_kv_bytes(layer_, record.written_tokens.empty() ? 1 : record.written_tokens[i]);
    new_kv += written;
    const std::size_t found = first_read_from(record, next, record.reads.size(), id);
    read(record, next, found, prices, loads);
    next = found;
    if (found < record.reads.size() && record.reads[found] == id) {
      bytes_read_by_rule += units_read(record, found) * Int128{costs_.certificate().unit_bytes};
      ++next;
    }
    append(id.value(), written, prices);
  }
  read(record, next, record.reads.size(), prices, loads);
  std::uint32_t running = 1;
  std::uint64_t context_tokens = context_tokens_;
  if (served_ != nullptr) {
    running = record.tokens.decoded;
    context_tokens = served_->context_tokens(record.step.value());
    end_requests(record.step.value());
  }
  move(after);
  KVPLACE_ASSIGN(fixed, costs_.fixed(layer_, running, bytes_read_by_rule, new_kv, context_tokens));
  context_tokens_ += record.tokens.decoded;
  loads.fixed_bytes = fixed.bytes;
  loads.waiting_bytes = fixed.waiting_bytes;
  return loads;
}

Int128 LayerPaths::ticks() const {
  Int128 ticks = far_ticks_;
  for (std::size_t id = 0; id < end_; ++id) {
    ticks += std::min(std::int64_t{0}, near_[id]);  // what arrives was near or far for less
  }
  return ticks;
}

/// A unit is one byte if the trace has partial reads.
std::int64_t LayerPaths::units_read(const StepView& record, std::size_t i) const {
  const std::int64_t whole = units_of(record.reads[i]);
  const bool partial = !record.read_bytes.empty() && record.read_bytes[i] != 0;
  return partial ? std::min(whole, std::int64_t{record.read_bytes[i]}) : whole;
}

/// Reads [begin, end) of the record; none of them is of a block appended to in this step.
void LayerPaths::read(const StepView& record, std::size_t begin, std::size_t end, const StepPrices& p,
                      StepLoads& loads) {
  const std::span<const BlockId> ids = record.reads.first(end).subspan(begin);
  if (record.read_bytes.empty()) {
    const std::size_t experts = experts_ == 0 ? 0 : first_read_from(record, begin, end, BlockId(experts_)) - begin;
    read_alike(ids.first(experts), costs_.expert_units(), 0, p);
    read_alike(ids.subspan(experts), page_units_, 0, p);
    loads.units_read += Int128{costs_.expert_units()} * static_cast<std::int64_t>(experts) +
                        Int128{page_units_} * static_cast<std::int64_t>(ids.size() - experts);
    return;
  }
  for (std::size_t i = begin; i < end; ++i) {
    const std::int64_t units = units_read(record, i);
    const std::int64_t rest = units_of(record.reads[i]) - units;
    loads.units_read += units;
    loads.whole_reads = loads.whole_reads && rest == 0;
    read_alike(ids.subspan(i - begin, 1), units, rest, p);
  }
}

/// A promotion of a block just read from far is never dearer than another, so that the step's common moves may come
/// after it. What arrives is read from far; a copy that spans steps may have the rest from others.
void LayerPaths::read_alike(std::span<const BlockId> ids, std::int64_t units, std::int64_t rest, const StepPrices& p) {
  const std::int64_t hit_beyond_miss = units * (costs_.near_read(p) - p.far_read);
  const std::int64_t enter = units * p.near + (costs_.any() ? 0 : rest * (p.near + p.far_read));
  std::int64_t* const near = near_.data();
  for (const BlockId id : ids) {
    near[id.value()] = std::min(near[id.value()] + hit_beyond_miss, enter);
  }
  if (costs_.any()) {
    std::int64_t* const arriving = arriving_.data();
    for (const BlockId id : ids) {
      arriving[id.value()] = std::min(arriving[id.value()], enter);
    }
  }
  far_ticks_ += Int128{units * p.far_read} * static_cast<std::int64_t>(ids.size());
}

/// Pages of a request are gone from both sides with its last step, for nothing.
void LayerPaths::end_requests(std::uint32_t step) {
  for (const std::uint32_t request : served_->ending(step)) {
    for (const BlockId id : served_->blocks_of(request)) {
      far_ticks_ += std::min(std::int64_t{0}, near_[id.value()]);
      exists_[id.value()] = 0;
      near_[id.value()] = 0;
      if (!arriving_.empty()) {
        arriving_[id.value()] = 0;
      }
    }
  }
}

void LayerPaths::append(std::uint32_t id, std::int64_t new_kv, const StepPrices& p) {
  const std::int64_t in_far = costs_.new_kv_far(p, new_kv);
  const std::int64_t in_near = costs_.new_kv_near(p, new_kv) - in_far;
  far_ticks_ += in_far;
  if (exists_[id] != 0) {
    near_[id] += in_near;
    return;
  }
  // Newborn: it is where it is written. The step's common moves, which come after this, never pay for it, since its new
  // KV is no larger than the block.
  exists_[id] = 1;
  end_ = std::max(end_, id + 1);
  near_[id] = in_near;
  if (!arriving_.empty()) {
    arriving_[id] = kImpossible;
  }
}

void LayerPaths::move(const Moves& moves) {
  move(0, experts_, costs_.expert_units(), moves);
  move(experts_, end_, page_units_, moves);
  lowest_ = -moves.near_to_far * largest_units();
}

void LayerPaths::move(std::size_t begin, std::size_t end, std::int64_t units, const Moves& of_unit) {
  const bool again = of_unit.near_to_arriving != Moves::kNever;
  const Moves moves{units * of_unit.far_to_far,       units * of_unit.far_to_near,
                    units * of_unit.near_to_far,      units * of_unit.near_to_near,
                    units * of_unit.arriving_to_near, again ? units * of_unit.near_to_arriving : Moves::kNever};
  const BlockCosts blocks{near_.data() + begin, arriving_.empty() ? nullptr : arriving_.data() + begin, end - begin};
  // Staying far costs nothing: the sum is between 0 and what the blocks' lowest make together.
  const bool fits =
      Int128{lowest_} * static_cast<std::int64_t>(blocks.count) > std::numeric_limits<std::int64_t>::min();
  far_ticks_ += fits ? Int128{move_blocks_(blocks, moves)} : move_blocks_wide(blocks, moves);
}

}  // namespace kvplace
