/// score-rank:
///
///     on entry and on each ranking: stamp the block with (decode step, rank)
///     to make room: evict the oldest stamp, within a decode step the worst rank
///     rankings are cut at ceil(depth x reads) candidates
#include <cmath>

#include "kvplace/policy/registry.h"
#include "policy/support/lru_buffers.h"

namespace kvplace {
namespace {

/// A buffer per layer with the blocks that the selector ranks highest. Blocks read without being ranked, as selectors
/// have it for the newest and the first ones, come before all; blocks not ranked come behind, the longer the farther.
class ScoreRankPolicy final : public RankedPolicy {
 public:
  explicit ScoreRankPolicy(double depth) : depth_(depth) {}

  [[nodiscard]] std::size_t depth(std::size_t reads) const override {
    return static_cast<std::size_t>(std::ceil(depth_ * static_cast<double>(reads)));
  }

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    buffers_.start(context);
    ranked_at_.assign(instance_->num_blocks(), 0);
    clock_ = 0;
  }

  void step(const StepInput& input, std::span<const BlockId> ranking, Decision& decision) override {
    buffers_.end(input.ended);
    ++clock_;
    for_each_entering(input, [this](BlockIndex block) { buffers_.enter(block); });
    for (std::size_t i = ranking.size(); i-- > 0;) {
      const BlockIndex block = instance_->index(input.layer, ranking[i]);
      ranked_at_[block.value()] = clock_;
      buffers_.use(block);
    }
    const auto use_unranked = [this](BlockIndex block) {
      if (ranked_at_[block.value()] != clock_) {
        buffers_.use(block);
      }
    };
    for (const BlockIndex block : input.hits) {
      use_unranked(block);
    }
    for_each_entering(input, use_unranked);
    buffers_.shrink(input.layer, decision);
    buffers_.settle(decision);
  }

 private:
  double depth_;  // candidates per block read
  const Instance* instance_ = nullptr;
  LruBuffers buffers_;
  std::vector<std::uint64_t> ranked_at_;  // by BlockIndex: the step, counted from 1
  std::uint64_t clock_ = 0;
};

}  // namespace

void register_policy_score_rank(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "score-rank";
  info.doc = "a hot buffer per layer that keeps what the selector ranks highest";
  info.source = "ArkVale, NeurIPS 2024";
  info.information = Information::kRanked;
  info.parameters = {{"depth", "candidates of which the rank is told", "per block read", 4, 1, 1024, false}};
  info.requires_ranking = true;
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<RankedPolicy>(std::make_unique<ScoreRankPolicy>(p.at("depth")));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
