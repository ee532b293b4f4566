#include <algorithm>

#include "select/support/budget.h"
#include "select/support/token_scores.h"

namespace kvplace {
namespace {

/// An indexer's scores, as given or computed from its queries and keys: sum over heads of w * max(q.k, 0).
class ScoresMethod final : public SelectMethod {
 public:
  ScoresMethod(const Parameters& parameters, const SelectorShape& shape)
      : keys_(shape), block_tokens_(static_cast<std::uint32_t>(parameters.at("block"))), budget_(parameters, "k") {}

  [[nodiscard]] std::uint32_t block_tokens() const override { return block_tokens_; }
  void append(std::span<const float> keys, std::size_t tokens) override { keys_.append(keys, tokens); }
  [[nodiscard]] Budget budget(std::uint32_t blocks) const override { return budget_.at(blocks); }

  void score(const StepTile& tile, ScoreTable& table) const override {
    table.reset(1, tile.steps, padded(std::size_t{tile.first_position} + tile.steps));
    if (tile.scores.empty()) {
      keys_.for_each_row(tile, [&](std::uint32_t head, std::uint32_t step, const float* row, std::size_t n) {
        const float weight =
            tile.head_weights.empty() ? 1.0F : tile.head_weights[step * keys_.shape().query_heads + head];
        kernels().add_relu(table.row(0, step), row, padded(n), weight);
      });
    } else {
      for (std::uint32_t step = 0; step < tile.steps; ++step) {
        std::copy_n(tile.scores.data() + step * tile.columns, tile.first_position + step + 1, table.row(0, step));
      }
    }
    pool_blocks(tile, 1, block_tokens_, Pool::kMax, table);
  }

 private:
  TokenKeys keys_;
  std::uint32_t block_tokens_;
  BudgetRule budget_;
};

}  // namespace

void register_select_scores(SelectRegistry& registry) {
  SelectMethodInfo info;
  info.name = "scores";
  info.doc = "the k blocks with the highest index scores, given or sum over heads of w * ReLU(q.k); a block's highest";
  info.source = "DeepSeek Sparse Attention, DeepSeek-V3.2, arXiv 2512.02556, equation 1";
  info.needs = SelectNeeds::kScoresOrQueries;
  info.parameters = {block_parameter("block", 1)};
  add_budget_parameters(info, "k", 2048);
  info.make = [](const Parameters& parameters, const SelectorShape& shape) -> std::unique_ptr<SelectMethod> {
    return std::make_unique<ScoresMethod>(parameters, shape);
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
