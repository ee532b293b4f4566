/// The parameters that most methods share.
#pragma once

#include <cstdint>
#include <string>

#include "kvplace/base/parameters.h"
#include "select/method.h"

namespace kvplace {

inline constexpr double kMostBlocks = 4294967295.0;  ///< ids are 32-bit

/// `count_name` (default `count`) or share, sinks, recent.
void add_budget_parameters(SelectMethodInfo& info, const std::string& count_name, double count);
/// block: tokens per block.
[[nodiscard]] ParameterInfo block_parameter(const std::string& name, double tokens);
/// sets=layer|kv-head|query-head.
[[nodiscard]] ParameterInfo sets_parameter();

/// The budget as `count_name`, share, sinks and recent state it; what is absent is 0.
class BudgetRule {
 public:
  BudgetRule(const Parameters& parameters, const std::string& count_name);
  /// Where `blocks` exist: the count, or the share of them rounded up, which no forced block is left out of.
  [[nodiscard]] Budget at(std::uint32_t blocks) const;

 private:
  std::uint32_t count_ = 0;
  double share_ = 0;
  std::uint32_t sinks_ = 0;
  std::uint32_t recent_ = 1;
};

/// Which list a query head's scores go to.
enum class Sets : std::uint8_t { kLayer, kKvHead, kQueryHead };
[[nodiscard]] Sets sets_of(const Parameters& parameters);
/// As SelectMethod::heads.
[[nodiscard]] std::uint32_t heads_of(Sets sets, const SelectorShape& shape);
[[nodiscard]] std::uint32_t list_of(Sets sets, const SelectorShape& shape, std::uint32_t query_head);

[[nodiscard]] inline std::uint32_t group_size(const SelectorShape& shape) { return shape.query_heads / shape.kv_heads; }
/// Blocks that exist when the token at `position` is being decoded.
[[nodiscard]] inline std::uint32_t blocks_at(std::uint32_t position, std::uint32_t block_tokens) {
  return position / block_tokens + 1;
}

}  // namespace kvplace
