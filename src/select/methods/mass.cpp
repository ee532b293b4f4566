#include "select/support/budget.h"
#include "select/support/token_scores.h"

namespace kvplace {
namespace {

/// A block's score is the attention it gets: softmax over all tokens seen, summed over its tokens and over heads.
class MassMethod final : public SelectMethod {
 public:
  MassMethod(const Parameters& parameters, const SelectorShape& shape)
      : keys_(shape),
        sets_(sets_of(parameters)),
        block_tokens_(static_cast<std::uint32_t>(parameters.at("block"))),
        budget_(parameters, "k") {}

  [[nodiscard]] std::uint32_t heads() const override { return heads_of(sets_, keys_.shape()); }
  [[nodiscard]] std::uint32_t block_tokens() const override { return block_tokens_; }
  void append(std::span<const float> keys, std::size_t tokens) override { keys_.append(keys, tokens); }
  [[nodiscard]] Budget budget(std::uint32_t blocks) const override { return budget_.at(blocks); }

  void score(const StepTile& tile, ScoreTable& table) const override {
    add_attention(keys_, sets_, tile, table);
    pool_blocks(tile, lists(), block_tokens_, Pool::kSum, table);
  }

 private:
  TokenKeys keys_;
  Sets sets_;
  std::uint32_t block_tokens_;
  BudgetRule budget_;
};

}  // namespace

void register_select_mass(SelectRegistry& registry) {
  SelectMethodInfo info;
  info.name = "mass";
  info.doc = "the k blocks with most attention: softmax over all tokens, summed over heads; a learned indexer's oracle";
  info.source = "the target that DeepSeek-V3.2's indexer is trained on (DSA, arXiv 2512.02556)";
  info.parameters = {block_parameter("block", 1), sets_parameter()};
  add_budget_parameters(info, "k", 512);
  info.make = [](const Parameters& parameters, const SelectorShape& shape) -> std::unique_ptr<SelectMethod> {
    return std::make_unique<MassMethod>(parameters, shape);
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
