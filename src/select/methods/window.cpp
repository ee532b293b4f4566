#include "select/support/budget.h"
#include "select/support/packed_rows.h"

namespace kvplace {
namespace {

/// The first blocks and the last ones; the score is the position.
class WindowMethod final : public SelectMethod {
 public:
  explicit WindowMethod(const Parameters& parameters)
      : block_tokens_(static_cast<std::uint32_t>(parameters.at("block"))),
        sinks_(static_cast<std::uint32_t>(parameters.at("sinks"))),
        recent_(static_cast<std::uint32_t>(parameters.at("recent"))) {}

  [[nodiscard]] std::uint32_t block_tokens() const override { return block_tokens_; }
  [[nodiscard]] Budget budget(std::uint32_t) const override { return {sinks_ + recent_, 0, sinks_, recent_}; }

  void score(const StepTile& tile, ScoreTable& table) const override {
    table.reset(1, tile.steps, padded(blocks_at(tile.first_position + tile.steps - 1, block_tokens_)));
    for (std::uint32_t step = 0; step < tile.steps; ++step) {
      const std::uint32_t blocks = blocks_at(tile.first_position + step, block_tokens_);
      for (std::uint32_t block = 0; block < blocks; ++block) {
        table.row(0, step)[block] = -static_cast<float>(blocks - block);  // exact for the last 2^24
      }
    }
  }

 private:
  std::uint32_t block_tokens_;
  std::uint32_t sinks_;
  std::uint32_t recent_;
};

}  // namespace

void register_select_window(SelectRegistry& registry) {
  constexpr double kHalf = 2147483647;  // sinks + recent fits into 32 bits
  SelectMethodInfo info;
  info.name = "window";
  info.doc = "the first blocks (attention sinks) and the last ones";
  info.source = "StreamingLLM, arXiv 2309.17453, section 3.2";
  info.needs = SelectNeeds::kNothing;
  info.parameters = {block_parameter("block", 1),
                     {"sinks", "first blocks", "blocks", 4, 0, kHalf, true},
                     {"recent", "last blocks, with the one being written", "blocks", 1020, 1, kHalf, true}};
  info.make = [](const Parameters& parameters, const SelectorShape&) -> std::unique_ptr<SelectMethod> {
    return std::make_unique<WindowMethod>(parameters);
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
