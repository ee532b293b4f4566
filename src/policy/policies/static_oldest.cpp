/// static-oldest:
///
///     near(block) = p < floor(C / s), p its position in the request, s the bytes of a position in all layers
///     a block that is to be near enters when it is written or first read, while there is room, and stays
#include "kvplace/policy/registry.h"
#include "policy/support/placed_policy.h"

namespace kvplace {
namespace {

/// The oldest blocks, as many of each layer as fit.
class Oldest {
 public:
  void start(const Instance& instance) {
    layout_ = instance.layout();
    const std::int64_t row = instance.kv_row_bytes().value();
    places_ = row == 0 ? 0 : instance.capacity().value() / row;
  }
  [[nodiscard]] bool chosen(LayerIndex, BlockId id) const { return position_of(layout_, id) < places_; }

 private:
  BlockLayout layout_;
  std::int64_t places_ = 0;
};

}  // namespace

void register_policy_static_oldest(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "static-oldest";
  info.doc = "the oldest blocks near, as many of each layer as fit: what a prefill that fills near memory first leaves";
  info.source = "HBMInit in the code before Fang et al., arXiv 2508.13231";
  info.information = Information::kCausal;
  info.by_default = false;
  info.make = [](const Parameters&) { return placed(Pooling::kPerLayer, Oldest()); };
  registry.add(std::move(info));
}

}  // namespace kvplace
