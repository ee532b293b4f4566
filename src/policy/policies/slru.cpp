/// slru:
///
///     on entry:   push the block to the back of probation
///     on a hit:   move it to the back of protected
///     while protected has more than its share:   its front goes to the back of probation
///     to make room:   evict the front of probation, of protected if that is empty
#include "kvplace/policy/registry.h"
#include "policy/support/block_list.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// Blocks enter a probationary list; a hit moves them to a protected one of bounded size, whose oldest go back. The
/// oldest on probation leaves.
class SegmentedLruOrder {
 public:
  explicit SegmentedLruOrder(double protected_share) : protected_share_(protected_share) {}

  void start(const PolicyContext& context, std::size_t num_buffers) {
    links_.reset(*context.instance);
    segments_.clear();
    for (std::size_t buffer = 0; buffer < num_buffers; ++buffer) {
      segments_.push_back({BlockList(links_), BlockList(links_),
                           share_of(buffer_budget(*context.instance, num_buffers, buffer), protected_share_)});
    }
    is_protected_.assign(context.instance->num_blocks(), 0);
  }
  void hit(std::size_t buffer, std::span<const BlockIndex> hits) {
    Segments& segments = segments_[buffer];
    for (const BlockIndex block : hits) {
      if (is_protected_[block.value()] != 0) {
        segments.protected_ones.move_to_back(block);
        continue;
      }
      segments.probation.remove(block);
      segments.protected_ones.push_back(block);
      is_protected_[block.value()] = 1;
      while (segments.protected_ones.bytes() > segments.most_protected) {
        const BlockIndex oldest = segments.protected_ones.pop_front();
        is_protected_[oldest.value()] = 0;
        segments.probation.push_back(oldest);
      }
    }
  }
  void insert(std::size_t buffer, BlockIndex block) {
    is_protected_[block.value()] = 0;
    segments_[buffer].probation.push_back(block);
  }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) {
    Segments& segments = segments_[buffer];
    for (const BlockIndex block : ended) {
      (is_protected_[block.value()] != 0 ? segments.protected_ones : segments.probation).remove(block);
    }
  }
  BlockIndex take_victim(std::size_t buffer) {
    Segments& segments = segments_[buffer];
    return segments.probation.empty() ? segments.protected_ones.pop_front() : segments.probation.pop_front();
  }

 private:
  struct Segments {
    BlockList probation;
    BlockList protected_ones;
    Bytes most_protected;
  };

  double protected_share_;
  BlockLinks links_;
  std::vector<Segments> segments_;          // by buffer
  std::vector<std::uint8_t> is_protected_;  // by BlockIndex
};

}  // namespace

void register_policy_slru(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "slru";
  info.doc = "segmented LRU per layer: a block read again is protected from those read once";
  info.source = "Karedla, Love, Wherry, IEEE Computer 27(3), 1994";
  info.information = Information::kCausal;
  info.parameters = {{"protected", "protected segment", "share of the buffer", 0.8, 0, 1, false}};
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters& p) { return per_layer_buffers(SegmentedLruOrder(p.at("protected"))); };
  registry.add(std::move(info));
}

}  // namespace kvplace
