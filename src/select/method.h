/// What a selection method implements; see registry.h for how it is registered and docs/select.md for an example.
///
/// A method scores blocks, list by list: one list for the layer, or one per KV head or query head. The rest is common
/// to all: choosing the best of each list, rankings, union, threads. See support/choose.h.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/select/registry.h"
#include "kvplace/select/selector.h"

namespace kvplace {

/// How many blocks each list of a step gets, and which it gets in any case.
struct Budget {
  std::uint32_t blocks = 0;  ///< size of the set; ignored if score_share > 0
  double score_share = 0;    ///< > 0: as many as it takes to hold this share of the list's total score
  std::uint32_t sinks = 0;   ///< the first blocks, in the set whatever their score
  std::uint32_t recent = 0;  ///< the last blocks, likewise; 1 = the one being written
};

/// A few consecutive decode steps. Arrays are contiguous and checked: their values are finite.
struct StepTile {
  std::uint32_t first_position = 0;
  std::uint32_t steps = 0;
  std::size_t columns = 0;              ///< of `scores`
  std::span<const float> queries;       ///< [query_heads][steps][head_dim], or empty
  std::span<const float> scores;        ///< [steps][columns], or empty
  std::span<const float> head_weights;  ///< [steps][query_heads], or empty
};

/// Scores of a tile: a row per list and step. Rows are padded to kLanes.
class ScoreTable {
 public:
  /// All scores 0.
  void reset(std::size_t lists, std::size_t steps, std::size_t width) {
    steps_ = steps;
    width_ = width;
    values_.assign(lists * steps * width, 0.0F);
  }
  [[nodiscard]] std::size_t width() const { return width_; }
  [[nodiscard]] float* row(std::size_t list, std::size_t step) {
    return values_.data() + (list * steps_ + step) * width_;
  }

 private:
  std::size_t steps_ = 0;
  std::size_t width_ = 0;
  std::vector<float> values_;
};

class SelectMethod {
 public:
  SelectMethod() = default;
  SelectMethod(const SelectMethod&) = delete;
  SelectMethod& operator=(const SelectMethod&) = delete;
  virtual ~SelectMethod() = default;

  /// Sets of a step that the caller is given besides the layer's: query heads, KV heads or 0.
  [[nodiscard]] virtual std::uint32_t heads() const { return 0; }
  /// Lists of a step that are scored and cut independently: a multiple of heads(), whose sets are unions of neighbours.
  [[nodiscard]] virtual std::uint32_t lists() const { return heads() == 0 ? 1 : heads(); }
  /// Tokens per block; 0 = blocks are the columns of the given scores.
  [[nodiscard]] virtual std::uint32_t block_tokens() const = 0;
  [[nodiscard]] virtual std::uint32_t observed_queries() const { return 0; }

  /// The next tokens' keys, [kv_heads][tokens][head_dim], contiguous and finite.
  virtual void append(std::span<const float> /*keys*/, std::size_t /*tokens*/) {}
  /// The last observed_queries() queries of the prompt, as a tile.
  virtual Status observe(const StepTile& /*tile*/) { return {}; }
  /// Whether it can select from this position on; an error says what is missing.
  [[nodiscard]] virtual Status ready(std::uint32_t /*position*/) const { return {}; }

  /// The budget at a step where `blocks` exist.
  [[nodiscard]] virtual Budget budget(std::uint32_t blocks) const = 0;
  /// Resets `table` to lists() lists and scores every block that exists at each step, in order of id.
  virtual void score(const StepTile& tile, ScoreTable& table) const = 0;
};

}  // namespace kvplace
