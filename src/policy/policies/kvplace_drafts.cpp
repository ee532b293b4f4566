/// kvplace-drafts:
///
///     as kvplace;  known: drafts of the layer's reads in the next w decode steps
///     gain = ln of how much likelier drafts are to name what is read than what is not, learned as it goes
///     value(block) += gain x the decode steps whose drafts name it
///     copies in the background: what drafts name comes in as well, ranked or not
///     see value_policy.h, drafts.h
#include "kvplace/policy/registry.h"
#include "policy/support/value_policy.h"

namespace kvplace {
namespace {

class KvplaceDrafts final : public LookaheadPolicy {
 public:
  KvplaceDrafts(std::uint32_t window, double depth) : depth_(depth), engine_(options_) { options_.drafts = window; }

  [[nodiscard]] std::uint32_t horizon() const override { return options_.drafts; }
  [[nodiscard]] std::size_t depth(std::size_t reads) const override {
    return static_cast<std::size_t>(depth_ * static_cast<double>(reads));
  }
  void start(const PolicyContext& context) override {
    options_.scored_by = context.has_ranking ? ScoredBy::kRanks : ScoredBy::kReads;
    engine_ = ValueEngine(options_);
    engine_.start(context);
  }
  void step(const StepInput& input, const Lookahead& lookahead, Decision& decision) override {
    engine_.step(input, lookahead.ranking(), decision, &lookahead);
  }

 private:
  ValueOptions options_;
  double depth_;
  ValueEngine engine_;
};

}  // namespace

void register_policy_kvplace_drafts(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "kvplace-drafts";
  info.doc = "kvplace, and what drafts of the next W decode steps name counts for more and comes in ahead";
  info.source = "kvplace: docs/flagship.md";
  info.information = Information::kLookahead;
  info.parameters = {{"w", "W, how far drafts look ahead", "decode steps", 4, 1, 127, true},
                     {"depth", "candidates it is told, as a multiple of what is read", "factor", 4, 1, 64, false}};
  info.by_default = false;
  info.uses_times = true;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<LookaheadPolicy>(
        std::make_unique<KvplaceDrafts>(static_cast<std::uint32_t>(p.at("w")), p.at("depth")));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
