/// static-ratio:
///
///     near(block) = floor((p + 1) share) > floor(p share), p its position in the request: evenly spread
///     share 0 = the share of the blocks at the start that fits
///     a block that is to be near enters when it is written or first read, while there is room, and stays
#include <cmath>

#include "kvplace/policy/registry.h"
#include "policy/support/placed_policy.h"

namespace kvplace {
namespace {

/// The same share of each layer's blocks, spread evenly over the positions.
class EvenShare {
 public:
  explicit EvenShare(double share) : share_(share) {}
  void start(const Instance& instance) {
    layout_ = instance.layout();
    share_ = share_ > 0 ? share_ : share_that_fits(instance);
  }
  [[nodiscard]] bool chosen(LayerIndex, BlockId id) const {
    const double position = position_of(layout_, id);
    return std::floor((position + 1) * share_) > std::floor(position * share_);
  }

 private:
  double share_;
  BlockLayout layout_;
};

}  // namespace

void register_policy_static_ratio(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "static-ratio";
  info.doc =
      "a fixed share of each layer's blocks near, spread evenly over the positions; nothing moves after its first use";
  info.source = "FlexGen, ICML 2023, and DAK, arXiv 2604.26074";
  info.information = Information::kCausal;
  info.parameters = {{"share", "blocks near; 0: what fits at the start", "share", 0, 0, 1, false}};
  info.by_default = false;
  info.uses_times = true;
  info.make = [](const Parameters& p) { return placed(Pooling::kPerLayer, EvenShare(p.at("share"))); };
  registry.add(std::move(info));
}

}  // namespace kvplace
