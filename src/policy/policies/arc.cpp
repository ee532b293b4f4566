/// arc:
///
///     on a hit:   move the block to the back of T2
///     on entry:   in B1: target += max(1, |B2| / |B1|), push to T2;  in B2: target -= max(1, |B1| / |B2|), push to T2;
///                 else push to T1
///     to make room:   |T1| above target: evict T1's front to B1;  else evict T2's front to B2
#include <algorithm>
#include <array>

#include "kvplace/policy/registry.h"
#include "policy/support/block_list.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// T1 holds blocks read once, T2 those read again; B1 and B2 remember what left them. p, the room T1 is to have,
/// grows with each read of a block in B1 and shrinks with each of one in B2.
class AdaptiveOrder {
 public:
  void start(const PolicyContext& context, std::size_t num_buffers) {
    instance_ = context.instance;
    links_.reset(*instance_);
    const BlockList list(links_);
    caches_.clear();
    for (std::size_t buffer = 0; buffer < num_buffers; ++buffer) {
      caches_.push_back({{list, list, list, list}, 0, buffer_budget(*instance_, num_buffers, buffer)});
    }
    place_.assign(instance_->num_blocks(), kNowhere);
  }
  void hit(std::size_t buffer, std::span<const BlockIndex> hits) {
    Cache& cache = caches_[buffer];
    for (const BlockIndex block : hits) {
      cache.lists[place_[block.value()]].remove(block);
      put(cache, kT2, block);
    }
  }
  void expect(std::size_t buffer, BlockIndex block) {
    Cache& cache = caches_[buffer];
    expected_ = block;
    found_in_ = place_[block.value()];
    if (found_in_ == kB1 || found_in_ == kB2) {
      const double own = bytes(cache, found_in_);
      const double other = bytes(cache, found_in_ == kB1 ? kB2 : kB1);
      const double change = static_cast<double>(instance_->block_bytes(block).value()) * std::max(1.0, other / own);
      cache.target = found_in_ == kB1 ? std::min(cache.target + change, static_cast<double>(cache.budget.value()))
                                      : std::max(cache.target - change, 0.0);
      cache.lists[found_in_].remove(block);
      place_[block.value()] = kNowhere;
    }
  }
  void insert(std::size_t buffer, BlockIndex block) {
    put(caches_[buffer], found_in_ == kB1 || found_in_ == kB2 ? kT2 : kT1, block);
  }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      caches_[buffer].lists[place_[block.value()]].remove(block);
      place_[block.value()] = kNowhere;
    }
  }
  BlockIndex take_victim(std::size_t buffer) {
    Cache& cache = caches_[buffer];
    if (found_in_ == kB1 || found_in_ == kB2) {
      return replace(cache);
    }
    const Bytes size = instance_->block_bytes(expected_);
    if (cache.lists[kT1].bytes() + cache.lists[kB1].bytes() + size > cache.budget) {
      if (cache.lists[kB1].empty()) {
        return forget_oldest(cache, kT1);
      }
      while (!cache.lists[kB1].empty() && cache.lists[kT1].bytes() + cache.lists[kB1].bytes() + size > cache.budget) {
        forget_oldest(cache, kB1);
      }
    } else {
      Bytes all = size;
      for (const BlockList& list : cache.lists) {
        all += list.bytes();
      }
      for (; all > cache.budget * 2 && !cache.lists[kB2].empty();) {
        all -= instance_->block_bytes(forget_oldest(cache, kB2));
      }
    }
    return replace(cache);
  }

 private:
  static constexpr std::uint8_t kT1 = 0;
  static constexpr std::uint8_t kT2 = 1;
  static constexpr std::uint8_t kB1 = 2;
  static constexpr std::uint8_t kB2 = 3;
  static constexpr std::uint8_t kNowhere = 4;
  struct Cache {
    std::array<BlockList, 4> lists;
    double target;  // p, bytes
    Bytes budget;
  };

  [[nodiscard]] static double bytes(const Cache& cache, std::uint8_t list) {
    return static_cast<double>(cache.lists[list].bytes().value());
  }
  void put(Cache& cache, std::uint8_t list, BlockIndex block) {
    cache.lists[list].push_back(block);
    place_[block.value()] = list;
  }
  BlockIndex forget_oldest(Cache& cache, std::uint8_t list) {
    const BlockIndex block = cache.lists[list].pop_front();
    place_[block.value()] = kNowhere;
    return block;
  }
  /// The paper's REPLACE.
  BlockIndex replace(Cache& cache) {
    const double in_t1 = bytes(cache, kT1);
    const bool too_many = in_t1 > cache.target || (in_t1 == cache.target && found_in_ == kB2);
    const bool from_t1 = cache.lists[kT2].empty() || (in_t1 > 0 && too_many);
    const BlockIndex block = cache.lists[from_t1 ? kT1 : kT2].pop_front();
    put(cache, from_t1 ? kB1 : kB2, block);
    return block;
  }

  const Instance* instance_ = nullptr;
  BlockIndex expected_{0};
  std::uint8_t found_in_ = kNowhere;  // the list that the block expected was in
  BlockLinks links_;
  std::vector<Cache> caches_;        // by buffer
  std::vector<std::uint8_t> place_;  // by BlockIndex: its list
};

}  // namespace

void register_policy_arc(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "arc";
  info.doc = "adaptive replacement per layer: learns how much room blocks read once and those read again are worth";
  info.source = "Megiddo, Modha, FAST 2003";
  info.information = Information::kCausal;
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters&) { return per_layer_buffers(AdaptiveOrder()); };
  registry.add(std::move(info));
}

}  // namespace kvplace
