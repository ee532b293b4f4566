#include "trace/block_births.h"

#include <algorithm>
#include <bit>

namespace kvplace {
namespace {

template <class Visit>
void for_each_member(const std::vector<std::uint64_t>& set, const Visit& visit) {
  for (std::size_t word = 0; word < set.size(); ++word) {
    for (std::uint64_t left = set[word]; left != 0; left &= left - 1) {
      visit(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(std::countr_zero(left)));
    }
  }
}

}  // namespace

BirthLedger::BirthLedger(const TraceMeta& meta, const TraceTotals& totals, std::size_t num_chunks)
    : layers_(meta.layers),
      initial_blocks_(meta.layout.initial_blocks()),
      blocks_per_layer_(totals.blocks_per_layer),
      taken_(num_chunks),
      known_(num_chunks * meta.layers, initial_blocks_) {}

std::vector<LayerBirths> BirthLedger::before(std::size_t chunk) const {
  const std::scoped_lock lock(mutex_);
  std::vector<LayerBirths> notes;
  notes.reserve(layers_);
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    notes.emplace_back(known_[chunk * layers_ + layer], blocks_per_layer_);
  }
  return notes;
}

std::optional<UnbornUse> BirthLedger::add(std::size_t chunk, const std::vector<LayerBirths>& notes) {
  const std::scoped_lock lock(mutex_);
  if (!taken_[chunk]) {
    take_births(chunk, notes);
    taken_[chunk] = true;
    advance();
  }
  std::optional<UnbornUse> found;
  if (chunk <= num_taken_in_order_) {
    found = check(chunk, notes);
  } else {
    remember(chunk, notes);
  }
  if (num_taken_in_order_ == taken_.size() && !used_in_.empty()) {  // once: from now on all can be checked at once
    const std::optional<UnbornUse> before = check_remembered();
    found = found ? found : before;
  }
  return found;
}

void BirthLedger::take_births(std::size_t chunk, const std::vector<LayerBirths>& notes) {
  born_in_.resize(place(layers_, initial_blocks_), kNever);  // not before a chunk is whole
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    for_each_member(notes[layer].born(), [&](std::uint32_t block) {
      if (block >= initial_blocks_) {
        std::uint32_t& born = born_in_[place(layer, block)];
        born = std::min(born, static_cast<std::uint32_t>(chunk));
      }
    });
  }
}

void BirthLedger::advance() {
  while (num_taken_in_order_ < taken_.size() && taken_[num_taken_in_order_]) {
    const std::size_t chunk = num_taken_in_order_++;
    for (std::uint32_t layer = 0; layer < layers_ && chunk + 1 < taken_.size(); ++layer) {
      std::uint32_t known = known_[chunk * layers_ + layer];
      while (known < blocks_per_layer_ && born_in_[place(layer, known)] <= chunk) {
        ++known;
      }
      known_[(chunk + 1) * layers_ + layer] = known;
    }
  }
}

std::optional<UnbornUse> BirthLedger::check(std::size_t chunk, const std::vector<LayerBirths>& notes) const {
  std::optional<UnbornUse> found;
  for (std::uint32_t layer = 0; layer < layers_ && !found; ++layer) {
    for_each_member(notes[layer].early(), [&](std::uint32_t block) {
      if (!found && born_in_[place(layer, block)] >= chunk) {
        found = UnbornUse{chunk, layer, BlockId(block)};
      }
    });
  }
  return found;
}

void BirthLedger::remember(std::size_t chunk, const std::vector<LayerBirths>& notes) {
  used_in_.resize(born_in_.size(), kNever);
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    for_each_member(notes[layer].early(), [&](std::uint32_t block) {
      std::uint32_t& used = used_in_[place(layer, block)];
      used = std::min(used, static_cast<std::uint32_t>(chunk));
    });
  }
}

std::optional<UnbornUse> BirthLedger::check_remembered() {
  std::optional<UnbornUse> found;
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    for (std::uint32_t block = initial_blocks_; block < blocks_per_layer_; ++block) {
      const std::uint32_t used = used_in_[place(layer, block)];
      if (used != kNever && used <= born_in_[place(layer, block)] && (!found || used < found->chunk)) {
        found = UnbornUse{used, layer, BlockId(block)};
      }
    }
  }
  used_in_.clear();
  return found;
}

}  // namespace kvplace
