#include "select/support/budget.h"
#include "select/support/token_scores.h"

namespace kvplace {
namespace {

/// As many blocks as it takes to hold a share p of the attention, scored as by mass.
class TopPMethod final : public SelectMethod {
 public:
  TopPMethod(const Parameters& parameters, const SelectorShape& shape)
      : keys_(shape),
        sets_(sets_of(parameters)),
        block_tokens_(static_cast<std::uint32_t>(parameters.at("block"))),
        budget_{0, parameters.at("p"), static_cast<std::uint32_t>(parameters.at("sinks")),
                static_cast<std::uint32_t>(parameters.at("recent"))} {}

  [[nodiscard]] std::uint32_t heads() const override { return heads_of(sets_, keys_.shape()); }
  [[nodiscard]] std::uint32_t block_tokens() const override { return block_tokens_; }
  void append(std::span<const float> keys, std::size_t tokens) override { keys_.append(keys, tokens); }
  [[nodiscard]] Budget budget(std::uint32_t) const override { return budget_; }

  void score(const StepTile& tile, ScoreTable& table) const override {
    add_attention(keys_, sets_, tile, table);
    pool_blocks(tile, lists(), block_tokens_, Pool::kSum, table);
  }

 private:
  TokenKeys keys_;
  Sets sets_;
  std::uint32_t block_tokens_;
  Budget budget_;
};

}  // namespace

void register_select_top_p(SelectRegistry& registry) {
  SelectMethodInfo info;
  info.name = "top-p";
  info.doc = "the fewest blocks that hold a share p of the attention, summed over heads";
  info.source = "Twilight, arXiv 2502.02770, section 3: top-p in place of top-k";
  info.parameters = {
      block_parameter("block", 1),
      sets_parameter(),
      {"p", "attention that a set holds at least", "share", 0.9, 1e-6, 1, false},
      {"sinks", "first blocks that are always read", "blocks", 0, 0, kMostBlocks, true},
      {"recent", "last blocks that are always read, with the one being written", "blocks", 1, 1, kMostBlocks, true}};
  info.make = [](const Parameters& parameters, const SelectorShape& shape) -> std::unique_ptr<SelectMethod> {
    return std::make_unique<TopPMethod>(parameters, shape);
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
