/// sa-guided:
///
///     known: the layer's reads in the next w decode steps
///     score(block missed now) = sum over its reads there of 1 / offset
///     promote the best ceil(r x their number)
///     room: blocks of any layer that are not read within their window, longest so first
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "kvplace/policy/registry.h"
#include "policy/support/recency_queue.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kMostAhead = 127;

/// The decode steps from now to the window's end that read a block: a ring of 128 bits, bit t % 128 for decode step t.
class ReadsAhead {
 public:
  void set(std::uint32_t step) { words_[step / 64 % 2] |= bit(step); }
  void clear(std::uint32_t step) { words_[step / 64 % 2] &= ~bit(step); }
  [[nodiscard]] bool any() const { return (words_[0] | words_[1]) != 0; }

  /// Sum over the reads of 1 / offset from `now`.
  [[nodiscard]] double score(std::uint32_t now) const {
    double sum = 0;
    for (std::uint32_t offset = 1; offset <= kMostAhead; ++offset) {
      const std::uint32_t step = now + offset;
      if ((words_[step / 64 % 2] & bit(step)) != 0) {
        sum += 1.0 / offset;
      }
    }
    return sum;
  }

 private:
  static std::uint64_t bit(std::uint32_t step) { return std::uint64_t{1} << (step % 64); }
  std::array<std::uint64_t, 2> words_{};
};

class SaGuidedPolicy final : public LookaheadPolicy {
 public:
  SaGuidedPolicy(std::uint32_t window, double ratio) : window_(window), ratio_(ratio) {}

  [[nodiscard]] std::uint32_t horizon() const override { return window_; }

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    ahead_.assign(instance_->num_blocks(), {});
    is_near_.assign(instance_->num_blocks(), false);
    times_.reset(instance_->num_blocks());
    for (const BlockIndex block : context.initial_near) {
      enter(block);
    }
    start_near_.assign(context.initial_near.begin(), context.initial_near.end());
  }

  void step(const StepInput& input, const Lookahead& lookahead, Decision& decision) override {
    const std::uint32_t now = input.step.value();
    for (const BlockIndex block : input.ended) {
      evictable_.remove(block);
      is_near_[block.value()] = false;
      used_ -= instance_->block_bytes(block);
    }
    look(now == 0 ? 1 : window_, input, lookahead);
    if (now == 0) {
      // Only now is it known which of the blocks near at the start are not read soon.
      for (const BlockIndex block : start_near_) {
        if (instance_->layer_of(block) == input.layer && is_near_[block.value()] && !ahead_[block.value()].any()) {
          evictable_.touch(block);
        }
      }
    }
    for (const BlockId id : lookahead.reads(input.step, input.layer)) {
      const BlockIndex block = instance_->index(input.layer, id);
      ahead_[block.value()].clear(now);
      if (is_near_[block.value()] && !ahead_[block.value()].any()) {
        evictable_.touch(block);
      }
    }
    for (const BlockIndex block : input.hits) {
      if (!ahead_[block.value()].any()) {
        evictable_.touch(block);
      }
    }
    candidates_.clear();
    for (const BlockIndex block : input.misses) {
      if (ahead_[block.value()].any()) {
        candidates_.push_back({ahead_[block.value()].score(now), block});
      }
    }
    for (const BlockIndex block : input.written) {
      if (ahead_[block.value()].any() && make_room(block, decision)) {
        enter(block);
        decision.promote.push_back(block);
      }
    }
    std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
      return a.score != b.score ? a.score > b.score : a.block < b.block;
    });
    const auto best = static_cast<std::size_t>(std::ceil(ratio_ * static_cast<double>(candidates_.size())));
    for (std::size_t i = 0; i < best && make_room(candidates_[i].block, decision); ++i) {
      enter(candidates_[i].block);
      decision.promote.push_back(candidates_[i].block);
    }
  }

 private:
  struct Candidate {
    double score;
    BlockIndex block;
  };

  /// Takes in the layer's reads from `from` to the window's end; a block read soon cannot be evicted.
  void look(std::uint32_t from, const StepInput& input, const Lookahead& lookahead) {
    for (std::uint32_t offset = from; offset <= window_; ++offset) {
      const StepIndex step(input.step.value() + offset);
      for (const BlockId id : lookahead.reads(step, input.layer)) {
        const BlockIndex block = instance_->index(input.layer, id);
        if (is_near_[block.value()] && !ahead_[block.value()].any()) {
          evictable_.remove(block);
        }
        ahead_[block.value()].set(step.value());
      }
    }
  }

  void enter(BlockIndex block) {
    is_near_[block.value()] = true;
    used_ += instance_->block_bytes(block);
  }

  bool make_room(BlockIndex block, Decision& decision) {
    const Bytes size = instance_->block_bytes(block);
    while (used_ + size > instance_->capacity()) {
      if (evictable_.empty()) {
        return false;
      }
      const BlockIndex victim = evictable_.pop();
      is_near_[victim.value()] = false;
      used_ -= instance_->block_bytes(victim);
      decision.evict.push_back(victim);
    }
    return true;
  }

  std::uint32_t window_;  // W, decode steps
  double ratio_;          // R
  const Instance* instance_ = nullptr;
  Bytes used_;
  std::vector<ReadsAhead> ahead_;  // by BlockIndex
  std::vector<bool> is_near_;      // by BlockIndex
  std::vector<BlockIndex> start_near_;
  TouchTimes times_;
  RecencyQueue evictable_{times_};  // near, not read within the window; longest so first
  std::vector<Candidate> candidates_;
};

}  // namespace

void register_policy_sa_guided(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "sa-guided";
  info.doc =
      "promotes the best share R of far blocks read again within W decode steps, evicts blocks not read within W";
  info.source = "Fang et al., arXiv 2508.13231: SA-guided, with W and R given";
  info.information = Information::kLookahead;
  info.parameters = {{"w", "W, how far it looks ahead", "decode steps", 5, 1, kMostAhead, true},
                     {"r", "R, share of the candidates that is promoted", "share", 0.5, 0.1, 1, false}};
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<LookaheadPolicy>(
        std::make_unique<SaGuidedPolicy>(static_cast<std::uint32_t>(p.at("w")), p.at("r")));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
