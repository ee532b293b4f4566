#include <algorithm>

#include "select/support/budget.h"
#include "select/support/page_bounds.h"

namespace kvplace {
namespace {

/// Quest's bound of the group-mean query per KV head, summed over KV heads.
class QuestMethod final : public SelectMethod {
 public:
  QuestMethod(const Parameters& parameters, const SelectorShape& shape)
      : shape_(shape),
        sets_(sets_of(parameters)),
        page_tokens_(static_cast<std::uint32_t>(parameters.at("page"))),
        budget_(parameters, "pages"),
        pages_(shape.kv_heads, PageBounds(shape.head_dim, page_tokens_)) {}

  [[nodiscard]] std::uint32_t heads() const override { return heads_of(sets_, shape_); }
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
    std::vector<float> means(std::size_t{tile.steps} * shape_.head_dim);
    std::vector<BoundQuery> queries(tile.steps);
    std::vector<float> bounds(kRows * table.width());
    for (std::uint32_t kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) {
      group_means(tile, kv_head, means);
      for (std::uint32_t step = 0; step < tile.steps; ++step) {
        queries[step] = {std::span<const float>(means).subspan(step * shape_.head_dim, shape_.head_dim),
                         tile.first_position + step};
      }
      for (std::uint32_t begin = 0; begin < tile.steps; begin += kRows) {
        const std::uint32_t end = std::min<std::uint32_t>(tile.steps, begin + kRows);
        pages_[kv_head].score(std::span(queries).subspan(begin, end - begin), bounds.data(), table.width());
        for (std::uint32_t step = begin; step < end; ++step) {
          float* sum = table.row(sets_ == Sets::kLayer ? 0 : kv_head, step);
          const float* row = bounds.data() + (step - begin) * table.width();
          const std::uint32_t blocks = blocks_at(queries[step].position, page_tokens_);
          std::transform(row, row + blocks, sum, sum, [](float a, float b) { return b + a; });
        }
      }
    }
  }

 private:
  /// means[step][d]: the mean over the query heads that share the KV head.
  void group_means(const StepTile& tile, std::uint32_t kv_head, std::span<float> means) const {
    const std::uint32_t group = group_size(shape_);
    const std::size_t values = std::size_t{tile.steps} * shape_.head_dim;
    std::fill(means.begin(), means.end(), 0.0F);
    for (std::uint32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      const std::span<const float> queries = tile.queries.subspan(head * values, values);
      for (std::size_t i = 0; i < values; ++i) {
        means[i] += queries[i];
      }
    }
    for (float& mean : means) {
      mean /= static_cast<float>(group);
    }
  }

  SelectorShape shape_;
  Sets sets_;
  std::uint32_t page_tokens_;
  BudgetRule budget_;
  std::vector<PageBounds> pages_;  // per KV head
};

}  // namespace

void register_select_quest(SelectRegistry& registry) {
  SelectMethodInfo info;
  info.name = "quest";
  info.doc = "pages by Quest's bound of the group-mean query, summed over KV heads: one set per layer";
  info.source = "Quest, arXiv 2406.10774, as SGLang's sparse attention does it (recent pages: recent=4)";
  info.parameters = {block_parameter("page", 16),
                     {"sets",
                      "one set for the layer, or one per KV head, whose union the layer reads",
                      "word",
                      0,
                      0,
                      1,
                      true,
                      {"layer", "kv-head"}}};
  add_budget_parameters(info, "pages", 64);
  info.make = [](const Parameters& parameters, const SelectorShape& shape) -> std::unique_ptr<SelectMethod> {
    return std::make_unique<QuestMethod>(parameters, shape);
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
