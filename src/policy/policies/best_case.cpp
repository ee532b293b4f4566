/// best-case:
///
///     share = min(1, near bytes / D_R, alpha*),  D_R = all bytes read in the decode step
///     every layer reads that share from near;  nothing moves
///     no placement does this: it splits weights too
#include <algorithm>

#include "kvplace/policy/registry.h"
#include "policy/support/placed_policy.h"

namespace kvplace {
namespace {

/// Reads min(C_near / D_R, alpha*) of D_R from near in every step and moves nothing (formulation, "Policies").
/// C_near counts what the weights take, as D_R counts reading them.
class BestCasePolicy final : public IdealPolicy {
 public:
  void start(const PolicyContext& context) override {
    const Instance& instance = *context.instance;
    alpha_star_ = balanced_share(instance);
    const StepIndex last(std::max(1u, instance.steps()) - 1);
    Bytes weights_near;
    for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
      weights_near += Bytes(instance.fixed_loads(last, LayerIndex(layer)).on(Channel::kNearMem));
    }
    near_bytes_ = instance.capacity() * std::int64_t{instance.options().batch} + weights_near;
  }
  [[nodiscard]] double near_share(Bytes total) const override {
    return total.value() == 0 ? 1 : std::min({1.0, near_bytes_ / total, alpha_star_});
  }

 private:
  double alpha_star_ = 0;
  Bytes near_bytes_;
};

}  // namespace

void register_policy_best_case(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "best-case";
  info.doc =
      "the paper's ideal: every step reads the best share from near that capacity allows; no placement does this";
  info.source = "Fang et al., arXiv 2508.13231";
  info.information = Information::kIdeal;
  info.uses_times = true;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<IdealPolicy>(std::make_unique<BestCasePolicy>());
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
