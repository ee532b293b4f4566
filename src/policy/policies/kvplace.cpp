/// kvplace:
///
///     value(block) = how likely it is to be read soon, by rank, recency and frequency, times what a hit saves there
///     a missed block enters if it is worth more than the least valuable near block, of any layer
///     far reads that hide behind near work are left far
///     copies in the background: while fewer than 2 are in flight, the best ranked far block of any layer comes in
///     see value_policy.h
#include "kvplace/policy/registry.h"
#include "policy/support/value_policy.h"

namespace kvplace {
namespace {

class Kvplace final : public RankedPolicy {
 public:
  Kvplace(const ValueOptions& options, double depth) : options_(options), engine_(options), depth_(depth) {}

  [[nodiscard]] std::size_t depth(std::size_t reads) const override {
    return static_cast<std::size_t>(depth_ * static_cast<double>(reads));
  }
  void start(const PolicyContext& context) override {
    options_.scored_by = context.has_ranking ? ScoredBy::kRanks : ScoredBy::kReads;
    engine_ = ValueEngine(options_);
    engine_.start(context);
  }
  void step(const StepInput& input, std::span<const BlockId> ranking, Decision& decision) override {
    engine_.step(input, ranking, decision);
  }

 private:
  ValueOptions options_;
  ValueEngine engine_;
  double depth_;
};

}  // namespace

void register_policy_kvplace(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "kvplace";
  info.doc =
      "keeps what is most likely to be read soon, weighed by what a far read costs; by the selector's ranks, if known";
  info.source = "kvplace: docs/flagship.md";
  info.information = Information::kRanked;
  info.parameters = {{"depth", "candidates it is told, as a multiple of what is read", "factor", 4, 1, 64, false}};
  for (ParameterInfo& part : value_option_parameters(ScoredBy::kRanks)) {
    info.parameters.push_back(std::move(part));
  }
  info.uses_times = true;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<RankedPolicy>(
        std::make_unique<Kvplace>(value_options_of(ScoredBy::kRanks, p), p.at("depth")));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
