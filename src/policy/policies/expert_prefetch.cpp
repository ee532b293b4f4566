/// expert-prefetch:
///
///     as lru;  in layer l's step, for each expert a that l reads and each expert b that the layer before it read:
///     seen[b]++, together[b][a]++
///     then for the next layer (behind the last: the first, of the next decode step), for each of its experts c:
///     likely[c] = mean over a of together[a][c] / seen[a]
///     promote the `limit` likeliest that are far, each at least `least`, whatever leaves
#include <algorithm>
#include <cstddef>

#include "kvplace/policy/registry.h"
#include "policy/support/lru_buffers.h"

namespace kvplace {
namespace {

/// LRU per layer. Which experts a layer chooses says something of what the next one will: pairs are counted as they
/// come, and what is likely to be read and far comes in ahead, as most recently used.
class ExpertPrefetchPolicy final : public CausalPolicy {
 public:
  ExpertPrefetchPolicy(std::uint32_t limit, double least) : limit_(limit), least_(least) {}

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    buffers_.start(context);
    experts_ = instance_->layout().experts;
    seen_.assign(std::size_t{instance_->layers()} * experts_, 0);
    together_.assign(std::size_t{instance_->layers()} * experts_, {});
    likely_.assign(experts_, 0);
    has_before_ = false;
  }

  void step(const StepInput& input, Decision& decision) override {
    buffers_.end(input.ended);
    for (const BlockIndex block : input.hits) {
      buffers_.use(block);
    }
    for_each_entering(input, [this](BlockIndex block) { buffers_.enter(block); });
    buffers_.shrink(input.layer, decision);
    if (experts_ > 0 && instance_->layers() > 1) {
      find_read(input);
      learn(input.layer);
      prefetch(input.layer, decision);
    }
    buffers_.settle(decision);
  }

 private:
  [[nodiscard]] LayerIndex after(LayerIndex layer) const {
    return LayerIndex(layer.value() + 1 < instance_->layers() ? layer.value() + 1 : 0);
  }

  [[nodiscard]] std::size_t place(LayerIndex layer, std::uint32_t expert) const {
    return std::size_t{layer.value()} * experts_ + expert;
  }

  void find_read(const StepInput& input) {
    read_.clear();
    for (const std::span<const BlockIndex> blocks : {input.hits, input.misses}) {
      for (const BlockIndex block : blocks) {
        const BlockId id = instance_->id_of(block);
        if (instance_->layout().kind(id) == BlockKind::kExpert) {
          read_.push_back(id.value());
        }
      }
    }
  }

  /// Pairs of what the layer before read with what this one did.
  void learn(LayerIndex layer) {
    if (has_before_) {
      for (const std::uint32_t b : before_) {
        ++seen_[place(before_layer_, b)];
        std::vector<std::uint32_t>& with = together_[place(before_layer_, b)];
        with.resize(experts_, 0);
        for (const std::uint32_t a : read_) {
          ++with[a];
        }
      }
    }
    before_ = read_;
    before_layer_ = layer;
    has_before_ = true;
  }

  void prefetch(LayerIndex layer, Decision& decision) {
    std::fill(likely_.begin(), likely_.end(), 0.0);
    for (const std::uint32_t a : read_) {
      const std::vector<std::uint32_t>& with = together_[place(layer, a)];
      const double each = 1.0 / (std::max(1u, seen_[place(layer, a)]) * static_cast<double>(read_.size()));
      for (std::size_t c = 0; c < with.size(); ++c) {
        likely_[c] += with[c] * each;
      }
    }
    const LayerIndex next = after(layer);
    candidates_.clear();
    for (std::uint32_t c = 0; c < experts_; ++c) {
      if (likely_[c] >= least_ && !buffers_.holds(instance_->index(next, BlockId(c)))) {
        candidates_.push_back(c);
      }
    }
    const std::size_t taken = std::min<std::size_t>(limit_, candidates_.size());
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(taken);
    std::partial_sort(candidates_.begin(), end, candidates_.end(), [this](std::uint32_t a, std::uint32_t b) {
      return likely_[a] > likely_[b] || (likely_[a] == likely_[b] && a < b);
    });
    for (std::size_t i = 0; i < taken; ++i) {
      buffers_.enter(instance_->index(next, BlockId(candidates_[i])));
    }
    buffers_.shrink(next, decision);
  }

  std::uint32_t limit_;
  double least_;
  const Instance* instance_ = nullptr;
  LruBuffers buffers_;
  std::uint32_t experts_ = 0;
  std::vector<std::uint32_t> seen_;                   // [layer][expert], with a layer behind it
  std::vector<std::vector<std::uint32_t>> together_;  // [layer][expert][expert of the next]; empty: never
  std::vector<double> likely_;                        // by expert of the next layer
  std::vector<std::uint32_t> read_;
  std::vector<std::uint32_t> before_;
  LayerIndex before_layer_;
  bool has_before_ = false;
  std::vector<std::uint32_t> candidates_;
};

}  // namespace

void register_policy_expert_prefetch(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "expert-prefetch";
  info.doc = "LRU per layer, and experts of the next layer that go with those just read come in ahead";
  info.source = "here; after the expert predictors of MoE-Infinity (arXiv 2401.14361) and others, learned as it goes";
  info.information = Information::kCausal;
  info.parameters = {{"limit", "experts that come in ahead, at most", "experts per step", 1, 0, 65536, true},
                     {"least", "chance of being read of one that comes in ahead, at least", "share", 0.5, 0, 1, false}};
  info.by_default = false;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(
        std::make_unique<ExpertPrefetchPolicy>(static_cast<std::uint32_t>(p.at("limit")), p.at("least")));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
