/// token-ratio:
///
///     near(block) = p mod group < group x share, p its position in the request: the first of every group
///     share 0 = alpha*
///     a block that is to be near enters when it is written or first read, while there is room, and stays
#include "kvplace/policy/registry.h"
#include "policy/support/placed_policy.h"

namespace kvplace {
namespace {

/// Of each group of so many consecutive blocks the first ones, in all layers alike.
class FirstOfGroup {
 public:
  FirstOfGroup(std::uint32_t group, double share) : group_(group), share_(share) {}
  void start(const Instance& instance) {
    layout_ = instance.layout();
    share_ = share_ > 0 ? share_ : balanced_share(instance);
  }
  [[nodiscard]] bool chosen(LayerIndex, BlockId id) const {
    return position_of(layout_, id) % group_ < group_ * share_;
  }

 private:
  std::uint32_t group_;
  double share_;
  BlockLayout layout_;
};

}  // namespace

void register_policy_token_ratio(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "token-ratio";
  info.doc = "of each group of blocks the first share alpha* near, in all layers alike, while there is room";
  info.source = "BatchRatio in the code before Fang et al., arXiv 2508.13231";
  info.information = Information::kCausal;
  info.parameters = {{"group", "consecutive blocks that the share is taken of", "blocks", 16, 1, 65536, true},
                     {"share", "blocks near; 0: alpha*, which keeps both sides busy", "share", 0, 0, 1, false}};
  info.by_default = false;
  info.uses_times = true;
  info.make = [](const Parameters& p) {
    return placed(Pooling::kPerLayer, FirstOfGroup(static_cast<std::uint32_t>(p.at("group")), p.at("share")));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
