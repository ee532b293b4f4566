#include "select/support/choose.h"

#include <algorithm>
#include <bit>

namespace kvplace {
namespace {

constexpr std::uint32_t kExponent = 0x7f800000U;
constexpr std::uint32_t kSign = 0x80000000U;

/// Ascending keys are descending scores, then ascending ids.
std::uint64_t sort_key(float score, std::uint32_t id) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F);  // -0 becomes 0
  const std::uint32_t ascending = (bits & kSign) != 0 ? ~bits : bits | kSign;
  return std::uint64_t{~ascending} << 32U | id;
}

BlockId id_of(std::uint64_t key) { return BlockId(static_cast<std::uint32_t>(key)); }

float score_of(std::uint64_t key) {
  const auto ascending = ~static_cast<std::uint32_t>(key >> 32U);
  return std::bit_cast<float>((ascending & kSign) != 0 ? ascending & ~kSign : ~ascending);
}

/// The fewest of the sorted `others` that with the forced ones hold `share` of the total score.
std::size_t fewest_with_share(std::span<const std::uint64_t> forced, std::span<const std::uint64_t> others,
                              double share) {
  double total = 0;
  double held = 0;
  for (const std::uint64_t key : forced) {
    held += score_of(key);
  }
  for (const std::uint64_t key : others) {
    total += score_of(key);
  }
  total += held;
  std::size_t count = 0;
  while (held < share * total && count < others.size()) {
    held += score_of(others[count++]);
  }
  return count;
}

auto iterator_at(std::vector<std::uint64_t>& keys, std::size_t i) {
  return keys.begin() + static_cast<std::ptrdiff_t>(i);
}

}  // namespace

std::optional<std::uint32_t> Chooser::choose(std::span<const float> scores, const Budget& budget, std::uint32_t depth,
                                             Choice& choice) {
  const auto blocks = static_cast<std::uint32_t>(scores.size());
  const std::uint32_t sinks = std::min(budget.sinks, blocks);
  const std::uint32_t recent_from = std::max(sinks, blocks - std::min(budget.recent, blocks));
  forced_.clear();
  others_.resize(recent_from - sinks);
  bool all_finite = true;
  const auto key_of = [&](std::uint32_t id) {
    all_finite = all_finite && (std::bit_cast<std::uint32_t>(scores[id]) & kExponent) != kExponent;
    return sort_key(scores[id], id);
  };
  for (std::uint32_t id = 0; id < sinks; ++id) {
    forced_.push_back(key_of(id));
  }
  for (std::uint32_t id = sinks; id < recent_from; ++id) {
    others_[id - sinks] = key_of(id);
  }
  for (std::uint32_t id = recent_from; id < blocks; ++id) {
    forced_.push_back(key_of(id));
  }
  if (!all_finite) {
    std::uint32_t id = 0;
    while ((std::bit_cast<std::uint32_t>(scores[id]) & kExponent) != kExponent) {
      ++id;
    }
    return id;
  }

  std::size_t chosen = 0;  // of the others
  std::size_t listed = 0;  // of the others, in the set or behind it
  const auto list_others = [&] {
    listed =
        std::min(others_.size(), std::max<std::size_t>(chosen, depth - std::min<std::size_t>(depth, forced_.size())));
  };
  if (budget.score_share > 0) {
    std::sort(others_.begin(), others_.end());
    chosen = fewest_with_share(forced_, others_, budget.score_share);
    list_others();
  } else {
    chosen = budget.blocks - std::min<std::size_t>(budget.blocks, forced_.size());
    list_others();
    if (listed < others_.size()) {
      std::nth_element(others_.begin(), iterator_at(others_, listed), others_.end());
    }
    if (depth > 0) {
      std::sort(others_.begin(), iterator_at(others_, listed));
    }
  }

  choice.set.clear();
  choice.ranking.clear();
  forced_.insert(forced_.end(), others_.begin(), iterator_at(others_, chosen));
  std::transform(forced_.begin(), forced_.end(), std::back_inserter(choice.set), id_of);
  std::sort(choice.set.begin(), choice.set.end());
  if (depth > 0) {
    std::sort(forced_.begin(), forced_.end());
    std::transform(forced_.begin(), forced_.end(), std::back_inserter(choice.ranking), id_of);
    std::transform(iterator_at(others_, chosen), iterator_at(others_, listed), std::back_inserter(choice.ranking),
                   id_of);
  }
  return std::nullopt;
}

void Chooser::merge(std::span<const Choice> lists, std::uint32_t blocks, std::uint32_t depth, Choice& choice) {
  constexpr std::uint64_t kRunnerUp = std::uint64_t{1} << 31U;
  constexpr std::uint64_t kNowhere = ~std::uint64_t{0};
  place_.assign(blocks, kNowhere);
  choice.set.clear();
  choice.ranking.clear();
  if (depth == 0) {
    for (const Choice& list : lists) {
      for (const BlockId id : list.set) {
        place_[id.value()] = 0;
      }
    }
  }
  for (const Choice& list : lists) {
    for (std::size_t i = 0; i < list.ranking.size(); ++i) {
      std::uint64_t& place = place_[list.ranking[i].value()];
      place = std::min<std::uint64_t>(place, i < list.set.size() ? i : i + kRunnerUp);
    }
  }
  merged_.clear();
  for (std::uint32_t id = 0; id < blocks; ++id) {
    if (place_[id] < kRunnerUp) {
      choice.set.push_back(BlockId(id));
    }
    if (place_[id] != kNowhere) {
      merged_.push_back(place_[id] << 32U | id);
    }
  }
  if (depth > 0) {
    const std::size_t listed = std::min(merged_.size(), std::max<std::size_t>(depth, choice.set.size()));
    std::partial_sort(merged_.begin(), iterator_at(merged_, listed), merged_.end());
    std::transform(merged_.begin(), iterator_at(merged_, listed), std::back_inserter(choice.ranking), id_of);
  }
}

}  // namespace kvplace
