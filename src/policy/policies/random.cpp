/// random:
///
///     on entry (read from far, or written):   add the block to its layer's buffer
///     to make room:   evict one of the buffer's blocks, drawn uniformly by the run's seed
#include "kvplace/policy/registry.h"
#include "policy/support/buffer_policy.h"
#include "policy/support/random_number.h"

namespace kvplace {
namespace {

class RandomOrder {
 public:
  void start(const PolicyContext& context, std::size_t num_buffers) {
    members_.assign(num_buffers, {});
    random_ = RandomNumber(context.instance->options().seed);
  }
  void hit(std::size_t, std::span<const BlockIndex>) {}
  void insert(std::size_t buffer, BlockIndex block) { members_[buffer].push_back(block); }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) { erase_ended(members_[buffer], ended); }
  BlockIndex take_victim(std::size_t buffer) {
    std::vector<BlockIndex>& members = members_[buffer];
    const std::uint32_t chosen = random_.below(static_cast<std::uint32_t>(members.size()));
    const BlockIndex block = members[chosen];
    members[chosen] = members.back();
    members.pop_back();
    return block;
  }

 private:
  std::vector<std::vector<BlockIndex>> members_;  // by buffer
  RandomNumber random_{0};
};

}  // namespace

void register_policy_random(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "random";
  info.doc = "a hot buffer per layer, a random block out (seed: --seed)";
  info.source = "classic";
  info.information = Information::kCausal;
  info.buffer_per_layer = true;
  info.make = [](const Parameters&) { return per_layer_buffers(RandomOrder()); };
  registry.add(std::move(info));
}

}  // namespace kvplace
