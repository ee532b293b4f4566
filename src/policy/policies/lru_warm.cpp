/// lru-warm:
///
///     as lru;  in the first `steps` decode steps, before the hits:
///     for each candidate of the selector's ranking, worst first:   it counts as used, and enters
#include <limits>

#include "kvplace/policy/registry.h"
#include "policy/support/lru_buffers.h"

namespace kvplace {
namespace {

/// LRU per layer whose buffers are filled in the first decode steps with the best candidates of the ranking, as if they
/// had been read just before, the best last.
class WarmLruPolicy final : public RankedPolicy {
 public:
  explicit WarmLruPolicy(std::uint32_t steps) : steps_(steps) {}

  [[nodiscard]] std::size_t depth(std::size_t) const override { return std::numeric_limits<std::size_t>::max(); }

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    buffers_.start(context);
  }

  void step(const StepInput& input, std::span<const BlockId> ranking, Decision& decision) override {
    buffers_.end(input.ended);
    if (input.step.value() < steps_) {
      for (std::size_t i = ranking.size(); i-- > 0;) {
        buffers_.enter(instance_->index(input.layer, ranking[i]));
      }
    }
    for (const BlockIndex block : input.hits) {
      buffers_.use(block);
    }
    for_each_entering(input, [this](BlockIndex block) { buffers_.enter(block); });
    buffers_.shrink(input.layer, decision);
    buffers_.settle(decision);
  }

 private:
  std::uint32_t steps_;
  const Instance* instance_ = nullptr;
  LruBuffers buffers_;
};

}  // namespace

void register_policy_lru_warm(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "lru-warm";
  info.doc = "LRU per layer, its buffers filled at the start with the selector's best candidates";
  info.source = "after ESS, arXiv 2512.10576, LRU-Warmup; the first decode steps' ranking stands for the prefill's";
  info.information = Information::kRanked;
  info.parameters = {{"steps", "how long it fills", "decode steps", 1, 1, 1e6, true}};
  info.requires_ranking = true;
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<RankedPolicy>(std::make_unique<WarmLruPolicy>(static_cast<std::uint32_t>(p.at("steps"))));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
