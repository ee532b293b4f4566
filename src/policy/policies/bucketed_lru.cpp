/// bucketed-lru:
///
///     age(block) = min(buckets - 1, floor(now / width) - floor(last use / width))
///     on a hit or an entry:   the block goes to the newest bucket
///     to make room:   evict from the oldest bucket that has any, there the least id
#include "base/index_set.h"
#include "kvplace/policy/registry.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// LRU whose ages have few values: decode steps since the last use over `width`, up to `buckets` - 1. Of the blocks of
/// the greatest age the one of the least id leaves, as a scan over the buffer finds it.
class BucketedOrder {
 public:
  BucketedOrder(std::uint32_t buckets, std::uint32_t width) : num_recent_(buckets - 1), width_(width) {}

  void start(const PolicyContext& context, std::size_t num_buffers) {
    instance_ = context.instance;
    buffers_.assign(num_buffers, Buffer{std::vector(num_recent_ + 1, IndexSet(instance_->blocks_per_layer())), 0});
    bucket_of_.assign(instance_->num_blocks(), 0);
  }
  void begin(std::size_t buffer, StepIndex step) {
    for (std::uint32_t& now = buffers_[buffer].now; now < step.value() / width_;) {
      ++now;
      grow_old(buffer, now % num_recent_);
    }
  }
  void hit(std::size_t buffer, std::span<const BlockIndex> hits) {
    for (const BlockIndex block : hits) {
      buffers_[buffer].buckets[bucket_of_[block.value()]].erase(instance_->id_of(block).value());
      insert(buffer, block);
    }
  }
  void insert(std::size_t buffer, BlockIndex block) { put(buffer, buffers_[buffer].now % num_recent_, block); }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      buffers_[buffer].buckets[bucket_of_[block.value()]].erase(instance_->id_of(block).value());
    }
  }
  BlockIndex take_victim(std::size_t buffer) {
    Buffer& from = buffers_[buffer];
    IndexSet* oldest = &from.buckets[num_recent_];
    for (std::uint32_t age = 1; oldest->empty(); ++age) {
      oldest = &from.buckets[(from.now + age) % num_recent_];
    }
    const BlockId id(oldest->from(0));
    oldest->erase(id.value());
    return instance_->index(LayerIndex(static_cast<std::uint32_t>(buffer)), id);
  }

 private:
  struct Buffer {
    std::vector<IndexSet> buckets;  // of block ids: a ring by time of last use, then all that are older
    std::uint32_t now;              // the bucket at hand, counted from the first decode step
  };

  void put(std::size_t buffer, std::uint32_t bucket, BlockIndex block) {
    bucket_of_[block.value()] = bucket;
    buffers_[buffer].buckets[bucket].insert(instance_->id_of(block).value());
  }
  /// The bucket that is to be the newest gives its blocks to the oldest.
  void grow_old(std::size_t buffer, std::uint32_t bucket) {
    IndexSet& members = buffers_[buffer].buckets[bucket];
    for (std::uint32_t id = members.last(); id != IndexSet::kNone; id = members.last()) {
      members.erase(id);
      put(buffer, num_recent_, instance_->index(LayerIndex(static_cast<std::uint32_t>(buffer)), BlockId(id)));
    }
  }

  std::uint32_t num_recent_;
  std::uint32_t width_;  // decode steps
  const Instance* instance_ = nullptr;
  std::vector<Buffer> buffers_;           // by layer
  std::vector<std::uint32_t> bucket_of_;  // by BlockIndex
};

}  // namespace

void register_policy_bucketed_lru(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "bucketed-lru";
  info.doc = "LRU per layer with ages of few values, as a GPU can keep them; ties by position";
  info.source = "SPIN, arXiv 2604.26837; its number of buckets and their width are not published";
  info.information = Information::kCausal;
  info.parameters = {{"buckets", "values that an age can have", "buckets", 8, 2, 1024, true},
                     {"width", "time that a bucket covers", "decode steps", 1, 1, 1e6, true}};
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters& p) {
    return per_layer_buffers(
        BucketedOrder(static_cast<std::uint32_t>(p.at("buckets")), static_cast<std::uint32_t>(p.at("width"))));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
