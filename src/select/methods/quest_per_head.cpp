#include <algorithm>

#include "select/support/budget.h"
#include "select/support/page_bounds.h"

namespace kvplace {
namespace {

/// Quest as published: each query head has its own pages.
class QuestPerHeadMethod final : public SelectMethod {
 public:
  QuestPerHeadMethod(const Parameters& parameters, const SelectorShape& shape)
      : shape_(shape),
        per_kv_head_(parameters.at("sets") != 0),
        page_tokens_(static_cast<std::uint32_t>(parameters.at("page"))),
        budget_(parameters, "pages"),
        pages_(shape.kv_heads, PageBounds(shape.head_dim, page_tokens_)) {}

  [[nodiscard]] std::uint32_t heads() const override { return per_kv_head_ ? shape_.kv_heads : shape_.query_heads; }
  [[nodiscard]] std::uint32_t lists() const override { return shape_.query_heads; }
  [[nodiscard]] std::uint32_t block_tokens() const override { return page_tokens_; }
  [[nodiscard]] Budget budget(std::uint32_t blocks) const override { return budget_.at(blocks); }

  void append(std::span<const float> keys, std::size_t tokens) override {
    for (std::size_t head = 0; head < pages_.size(); ++head) {
      const std::size_t values = tokens * shape_.head_dim;
      pages_[head].append(keys.subspan(head * values, values));
    }
  }

  void score(const StepTile& tile, ScoreTable& table) const override {
    table.reset(lists(), tile.steps, padded(blocks_at(tile.first_position + tile.steps - 1, page_tokens_)));
    std::vector<BoundQuery> queries;
    for (std::uint32_t head = 0; head < shape_.query_heads; ++head) {
      const PageBounds& pages = pages_[head / group_size(shape_)];
      for (std::uint32_t begin = 0; begin < tile.steps; begin += kRows) {
        queries.clear();
        for (std::uint32_t step = begin; step < std::min<std::uint32_t>(tile.steps, begin + kRows); ++step) {
          const std::size_t first = (std::size_t{head} * tile.steps + step) * shape_.head_dim;
          queries.push_back({tile.queries.subspan(first, shape_.head_dim), tile.first_position + step});
        }
        pages.score(queries, table.row(head, begin), table.width());
      }
    }
  }

 private:
  SelectorShape shape_;
  bool per_kv_head_;
  std::uint32_t page_tokens_;
  BudgetRule budget_;
  std::vector<PageBounds> pages_;  // per KV head
};

}  // namespace

void register_select_quest_per_head(SelectRegistry& registry) {
  SelectMethodInfo info;
  info.name = "quest-per-head";
  info.doc = "pages by Quest's bound, for each query head its own; the layer reads their union";
  info.source = "Quest, arXiv 2406.10774, section 3";
  info.parameters = {block_parameter("page", 16),
                     {"sets",
                      "the heads' sets are given per query head, or as unions per KV head",
                      "word",
                      0,
                      0,
                      1,
                      true,
                      {"query-head", "kv-head"}}};
  add_budget_parameters(info, "pages", 64);
  info.make = [](const Parameters& parameters, const SelectorShape& shape) -> std::unique_ptr<SelectMethod> {
    return std::make_unique<QuestPerHeadMethod>(parameters, shape);
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
