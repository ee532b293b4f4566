#include <algorithm>
#include <functional>
#include <string>

#include "select/support/budget.h"
#include "select/support/token_scores.h"

namespace kvplace {
namespace {

/// At the end of the prompt its last queries vote; the prompt's blocks with most votes, the voters' own and all that
/// come later are read from then on.
class SnapKvMethod final : public SelectMethod {
 public:
  SnapKvMethod(const Parameters& parameters, const SelectorShape& shape)
      : keys_(shape),
        sets_(sets_of(parameters)),
        block_tokens_(static_cast<std::uint32_t>(parameters.at("block"))),
        window_(static_cast<std::uint32_t>(parameters.at("window"))),
        kernel_(static_cast<std::size_t>(parameters.at("kernel"))),
        budget_(parameters, "k") {}

  [[nodiscard]] std::uint32_t heads() const override { return heads_of(sets_, keys_.shape()); }
  [[nodiscard]] std::uint32_t block_tokens() const override { return block_tokens_; }
  [[nodiscard]] std::uint32_t observed_queries() const override { return window_; }
  void append(std::span<const float> keys, std::size_t tokens) override { keys_.append(keys, tokens); }

  Status observe(const StepTile& tile) override {
    const std::uint32_t first_voter = tile.first_position;
    if (first_voter == 0) {
      return bad_input("snapkv: the prompt has no tokens before its last " + std::to_string(window_) +
                       ", the observation window; give a longer prompt or a smaller window");
    }
    const std::uint32_t prompt_blocks = blocks_at(tile.first_position + tile.steps - 1, block_tokens_);
    const std::uint32_t window_blocks = prompt_blocks - first_voter / block_tokens_;
    if (budget_.at(prompt_blocks).blocks < window_blocks) {
      return bad_input("snapkv: the budget of " + std::to_string(budget_.at(prompt_blocks).blocks) +
                       " blocks does not hold the observation window of " + std::to_string(window_blocks) +
                       "; raise it or make the window smaller");
    }
    ScoreTable attention;
    add_attention(keys_, sets_, tile, attention);
    votes_.assign(lists(), {});
    for (std::uint32_t list = 0; list < lists(); ++list) {
      std::vector<float> sums(first_voter, 0.0F);
      for (std::uint32_t step = 0; step < tile.steps; ++step) {
        std::transform(sums.begin(), sums.end(), attention.row(list, step), sums.begin(), std::plus<>());
      }
      votes_[list] = block_votes(sums);
    }
    first_voter_ = first_voter;
    prompt_tokens_ = tile.first_position + tile.steps;
    return {};
  }

  [[nodiscard]] Status ready(std::uint32_t position) const override {
    if (votes_.empty()) {
      return bad_input("snapkv has to be shown the last " + std::to_string(window_) +
                       " queries of the prompt first (observe)");
    }
    if (position < prompt_tokens_) {
      return bad_input("snapkv: decode steps begin at position " + std::to_string(prompt_tokens_) +
                       ", where the prompt it observed ends, not at " + std::to_string(position));
    }
    return {};
  }

  [[nodiscard]] Budget budget(std::uint32_t blocks) const override {
    const std::uint32_t prompt_blocks = blocks_at(prompt_tokens_ - 1, block_tokens_);
    const std::uint32_t window_blocks = prompt_blocks - first_voter_ / block_tokens_;
    const std::uint32_t later = blocks - prompt_blocks;
    Budget budget = budget_.at(prompt_blocks);
    budget.blocks += later;
    budget.recent = std::max(budget.recent, window_blocks + later);
    return budget;
  }

  void score(const StepTile& tile, ScoreTable& table) const override {
    constexpr auto kAboveAllVotes = static_cast<float>(1U << 22U);
    table.reset(lists(), tile.steps, padded(blocks_at(tile.first_position + tile.steps - 1, block_tokens_)));
    for (std::uint32_t list = 0; list < lists(); ++list) {
      for (std::uint32_t step = 0; step < tile.steps; ++step) {
        float* row = table.row(list, step);
        std::copy(votes_[list].begin(), votes_[list].end(), row);
        for (std::uint32_t block = first_voter_ / block_tokens_;
             block < blocks_at(tile.first_position + step, block_tokens_); ++block) {
          row[block] = kAboveAllVotes + static_cast<float>(block);
        }
      }
    }
  }

 private:
  /// Votes of tokens, averaged over `kernel_` neighbours (absent ones count as 0) and summed over blocks.
  [[nodiscard]] std::vector<float> block_votes(std::span<const float> votes) const {
    std::vector<float> blocks(blocks_at(static_cast<std::uint32_t>(votes.size()) - 1, block_tokens_), 0.0F);
    const std::size_t before = kernel_ / 2;
    for (std::size_t token = 0; token < votes.size(); ++token) {
      float sum = 0;
      const std::size_t end = std::min(votes.size(), token + kernel_ - before);
      for (std::size_t neighbour = token - std::min(token, before); neighbour < end; ++neighbour) {
        sum += votes[neighbour];
      }
      blocks[token / block_tokens_] += sum / static_cast<float>(kernel_);
    }
    return blocks;
  }

  TokenKeys keys_;
  Sets sets_;
  std::uint32_t block_tokens_;
  std::uint32_t window_;
  std::size_t kernel_;
  BudgetRule budget_;
  std::uint32_t first_voter_ = 0;          // position of the first query of the observation window
  std::uint32_t prompt_tokens_ = 0;        // 0 until shown
  std::vector<std::vector<float>> votes_;  // per list and block before first_voter_
};

}  // namespace

void register_select_snapkv(SelectRegistry& registry) {
  SelectMethodInfo info;
  info.name = "snapkv";
  info.doc = "k blocks of the prompt, chosen once by the attention of its last queries, and all that come later";
  info.source = "SnapKV, arXiv 2404.14469, section 4; defaults of its code";
  info.parameters = {
      block_parameter("block", 1),
      sets_parameter(),
      {"window", "queries at the prompt's end that vote; their blocks are kept", "tokens", 32, 1, 65536, true},
      {"kernel", "tokens over which votes are averaged", "tokens", 5, 1, 1023, true}};
  add_budget_parameters(info, "k", 2048);
  info.make = [](const Parameters& parameters, const SelectorShape& shape) -> std::unique_ptr<SelectMethod> {
    return std::make_unique<SnapKvMethod>(parameters, shape);
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
