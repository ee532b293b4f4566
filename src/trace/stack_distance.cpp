#include "trace/stack_distance.h"

#include <algorithm>

namespace kvplace {
namespace {

/// Calls on_read for the blocks only read and on_appended for those appended, in ascending order of all.
template <class OnRead, class OnAppended>
void for_each_touched(std::span<const BlockId> reads, std::span<const BlockId> appended, const OnRead& on_read,
                      const OnAppended& on_appended) {
  auto read = reads.begin();
  for (const BlockId newborn : appended) {
    for (; read != reads.end() && *read < newborn; ++read) {
      on_read(*read);
    }
    on_appended(newborn);
    if (read != reads.end() && *read == newborn) {
      ++read;
    }
  }
  for (; read != reads.end(); ++read) {
    on_read(*read);
  }
}

/// The lowest `count` bits; REQUIRES: 0 < count <= 64.
constexpr std::uint64_t low_bits(std::size_t count) { return ~std::uint64_t{0} >> (64 - count); }

/// Like std::popcount, which is a call into a library where the processor may lack the instruction.
constexpr std::uint32_t count_bits(std::uint64_t bits) {
  bits -= (bits >> 1) & 0x5555555555555555u;
  bits = (bits & 0x3333333333333333u) + ((bits >> 2) & 0x3333333333333333u);
  bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return static_cast<std::uint32_t>((bits * 0x0101010101010101u) >> 56);
}

}  // namespace

std::vector<std::uint64_t> DistanceHistogram::misses_up_to(std::uint64_t most) const {
  std::vector<std::uint64_t> misses(most + 1);
  std::uint64_t left = this->misses(0);
  for (std::uint64_t capacity = 0; capacity <= most; ++capacity) {
    misses[capacity] = left;
    left -= capacity < counts_.size() ? counts_[capacity] : 0;
  }
  return misses;
}

std::uint64_t DistanceHistogram::misses(std::uint64_t capacity) const {
  std::uint64_t misses = cold_;
  for (std::size_t distance = counts_.size(); distance > capacity; --distance) {
    misses += counts_[distance - 1];
  }
  return misses;
}

RecencyList::RecencyList(std::size_t blocks)
    : slot_(blocks, kNoSlot), used_((2 * blocks) / kWordSlots + 1), tree_(used_.size() + 1) {}

std::uint32_t RecencyList::used_before(std::size_t word) const {
  std::uint32_t used = 0;
  for (std::size_t node = word; node != 0; node &= node - 1) {
    used += tree_[node];
  }
  return used;
}

void RecencyList::count(std::size_t word, std::uint32_t change) {
  for (std::size_t node = word + 1; node < tree_.size(); node += node & (~node + 1)) {
    tree_[node] += change;
  }
}

void RecencyList::release(std::span<const std::uint32_t> slots) {
  // Blocks read together lie together: their changes to a word are counted at once.
  std::size_t word = 0;
  std::uint32_t change = 0;
  for (const std::uint32_t slot : slots) {
    if (slot / kWordSlots != word) {
      count(word, change);
      word = slot / kWordSlots;
      change = 0;
    }
    used_[word] &= ~(std::uint64_t{1} << (slot % kWordSlots));
    --change;
  }
  count(word, change);
}

void RecencyList::occupy(std::size_t begin, std::size_t end) {
  while (begin < end) {
    const std::size_t word = begin / kWordSlots;
    const std::size_t length = std::min(end - begin, kWordSlots - begin % kWordSlots);
    used_[word] |= low_bits(length) << (begin % kWordSlots);
    count(word, static_cast<std::uint32_t>(length));
    begin += length;
  }
}

void RecencyList::renumber() {
  // The tree is made anew, so that its place can hold the slots in use before each word.
  std::uint32_t used = 0;
  for (std::size_t word = 0; word < used_.size(); ++word) {
    tree_[word] = used;
    used += count_bits(used_[word]);
  }
  for (std::uint32_t& slot : slot_) {
    if (slot != kNoSlot) {
      const std::size_t word = slot / kWordSlots;
      slot = tree_[word] + count_bits(used_[word] & (low_bits(slot % kWordSlots + 1) >> 1));
    }
  }
  std::fill(used_.begin(), used_.end(), 0);
  std::fill(tree_.begin(), tree_.end(), 0);
  occupy(0, size_);
  next_slot_ = size_;
}

void RecencyList::make_room(std::size_t touches) {
  if (next_slot_ + touches > used_.size() * kWordSlots) {
    renumber();
  }
  known_word_ = 0;
  before_known_word_ = 0;
  vacated_.clear();
}

std::uint32_t RecencyList::distance_of(std::uint32_t slot) {
  const std::size_t word = slot / kWordSlots;
  if (word != known_word_) {
    known_word_ = word;
    before_known_word_ = used_before(word);
  }
  const std::uint64_t not_newer = used_[word] & low_bits(slot % kWordSlots + 1);
  return size_ - before_known_word_ - count_bits(not_newer);
}

void RecencyList::touch(std::span<const BlockId> reads, std::span<const BlockId> appended, std::size_t first_block) {
  make_room(reads.size() + appended.size());
  std::uint32_t* const slots = slot_.data() + first_block;
  auto next = static_cast<std::uint32_t>(next_slot_);
  for_each_touched(
      reads, appended,
      [&](BlockId id) {
        const std::uint32_t slot = slots[id.value()];
        slots[id.value()] = next++;
        if (slot == kNoSlot) {
          distances_.add_cold();
          return;
        }
        distances_.add(distance_of(slot));
        vacated_.push_back(slot);
      },
      [&](BlockId id) {
        const std::uint32_t slot = slots[id.value()];
        slots[id.value()] = next++;
        if (slot != kNoSlot) {
          vacated_.push_back(slot);
        }
      });
  release(vacated_);
  occupy(next_slot_, next);
  size_ += next - static_cast<std::uint32_t>(next_slot_ + vacated_.size());
  next_slot_ = next;
}

void RecencyList::touch_like_lru(std::span<const BlockId> reads, std::span<const BlockId> appended,
                                 std::uint64_t capacity) {
  make_room(reads.size() + appended.size());
  near_.clear();
  entering_.clear();
  const auto classify = [&](BlockId id, bool is_appended) {
    const std::uint32_t slot = slot_[id.value()];
    const bool known = slot != kNoSlot;
    const std::uint32_t distance = known ? distance_of(slot) : 0;
    if (!is_appended && known) {
      distances_.add(distance);
    } else if (!is_appended) {
      distances_.add_cold();
    }
    const bool near = known && distance < capacity;
    if (near && is_appended && !std::binary_search(reads.begin(), reads.end(), id)) {
      return;
    }
    (near ? near_ : entering_).push_back(id);
    if (known) {
      vacated_.push_back(slot);
    }
  };
  for_each_touched(reads, appended, [&](BlockId id) { classify(id, false); }, [&](BlockId id) { classify(id, true); });
  auto next = static_cast<std::uint32_t>(next_slot_);
  for (const std::vector<BlockId>* group : {&near_, &entering_}) {
    for (const BlockId id : *group) {
      slot_[id.value()] = next++;
    }
  }
  release(vacated_);
  occupy(next_slot_, next);
  size_ += next - static_cast<std::uint32_t>(next_slot_ + vacated_.size());
  next_slot_ = next;
}

}  // namespace kvplace
