/// layer-split:
///
///     near(block) = its layer is one of the first L x share
///     share 0 = the lesser of alpha* and what fits at the start
///     a block that is to be near enters when it is written or first read, while there is room, and stays
#include <algorithm>

#include "kvplace/policy/registry.h"
#include "policy/support/placed_policy.h"

namespace kvplace {
namespace {

class FirstLayers {
 public:
  explicit FirstLayers(double share) : share_(share) {}
  void start(const Instance& instance) {
    const double share = share_ > 0 ? share_ : std::min(balanced_share(instance), share_that_fits(instance));
    layers_near_ = share * instance.layers();
  }
  [[nodiscard]] bool chosen(LayerIndex layer, BlockId) const { return layer.value() < layers_near_; }

 private:
  double share_;
  double layers_near_ = 0;
};

}  // namespace

void register_policy_layer_split(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "layer-split";
  info.doc = "the first layers near, whole, the others far";
  info.source = "SplitToken in the code before Fang et al., arXiv 2508.13231";
  info.information = Information::kCausal;
  info.parameters = {{"share", "layers near, rounded up; 0: alpha*, or what fits at the start if that is less", "share",
                      0, 0, 1, false}};
  info.by_default = false;
  info.uses_times = true;
  info.make = [](const Parameters& p) { return placed(Pooling::kAllLayers, FirstLayers(p.at("share"))); };
  registry.add(std::move(info));
}

}  // namespace kvplace
