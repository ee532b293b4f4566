#include <algorithm>

#include "select/support/budget.h"
#include "select/support/packed_rows.h"

namespace kvplace {
namespace {

/// The experts of a token, by router logit; blocks are experts.
class RouterMethod final : public SelectMethod {
 public:
  explicit RouterMethod(const Parameters& parameters) : k_(static_cast<std::uint32_t>(parameters.at("k"))) {}

  [[nodiscard]] std::uint32_t block_tokens() const override { return 0; }
  [[nodiscard]] Budget budget(std::uint32_t) const override { return {k_, 0, 0, 0}; }

  void score(const StepTile& tile, ScoreTable& table) const override {
    table.reset(1, tile.steps, padded(tile.columns));
    for (std::uint32_t step = 0; step < tile.steps; ++step) {
      std::copy_n(tile.scores.data() + step * tile.columns, tile.columns, table.row(0, step));
    }
  }

 private:
  std::uint32_t k_;
};

}  // namespace

void register_select_router(SelectRegistry& registry) {
  SelectMethodInfo info;
  info.name = "router";
  info.doc = "the k experts with the highest router logits; blocks are experts";
  info.source = "mixture-of-experts routing as in Mixtral, arXiv 2401.04088, section 2.1";
  info.needs = SelectNeeds::kScores;
  info.parameters = {{"k", "experts per token", "experts", 2, 1, kMostBlocks, true}};
  info.make = [](const Parameters& parameters, const SelectorShape&) -> std::unique_ptr<SelectMethod> {
    return std::make_unique<RouterMethod>(parameters);
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
