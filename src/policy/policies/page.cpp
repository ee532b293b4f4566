/// page:
///
///     known: the next decode step's reads
///     wanted: pages of 16 tokens, of all layers, that it reads or that are written now, and that are not near
///     each enters in free room, or in the place of the page longest near that the next decode step does not read
///     layer l's part of a page moves in layer l's step
#include <algorithm>
#include <deque>

#include "kvplace/policy/registry.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kPageTokens = 16;

/// Pages of 16 tokens of all layers move whole. At the start of a decode step the pages that the next decode step reads
/// and that are not near come in, each for the page longest near that the next decode step does not read; layer l's
/// part moves in layer l's step. So each layer holds the same pages, up to the step at hand.
class PagePolicy final : public LookaheadPolicy {
 public:
  [[nodiscard]] std::uint32_t horizon() const override { return 1; }

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    const BlockLayout& layout = instance_->layout();
    blocks_per_page_ = std::max(1u, kPageTokens / layout.block_tokens);
    const Bytes page_bytes = instance_->kv_row_bytes() * std::int64_t{blocks_per_page_};
    places_ = static_cast<std::size_t>(instance_->capacity().value() / page_bytes.value());
    const std::uint32_t pages_of_a_request = most_pages_of_a_request();
    pages_.assign(std::size_t{pages_of_a_request / blocks_per_page_ + 1} * layout.requests, {});
    is_near_.assign(instance_->num_blocks(), false);
    exists_.assign(instance_->num_blocks(), false);
    for (std::uint32_t layer = 0; layer < instance_->layers(); ++layer) {
      for (std::uint32_t id = 0; id < layout.initial_blocks(); ++id) {
        exists_[instance_->index(LayerIndex(layer), BlockId(id)).value()] = true;
      }
    }

    // In order of entry, so that the newest pages keep their places if not all fit.
    std::vector<std::uint32_t> pages;
    for (const BlockIndex block : context.initial_near) {
      is_near_[block.value()] = true;
      Page& page = pages_[page_of(instance_->id_of(block))];
      if (!page.near) {
        page.near = true;
        pages.push_back(page_of(instance_->id_of(block)));
      }
    }
    const std::size_t too_many = pages.size() > places_ ? pages.size() - places_ : 0;
    for (std::size_t i = 0; i < pages.size(); ++i) {
      if (i < too_many) {
        pages_[pages[i]].near = false;
        leaving_.push_back(pages[i]);
      } else {
        fifo_.push_back(pages[i]);
      }
    }
  }

  void step(const StepInput& input, const Lookahead& lookahead, Decision& decision) override {
    const std::uint32_t layer = input.layer.value();
    for (const BlockIndex block : input.ended) {
      is_near_[block.value()] = exists_[block.value()] = false;
      Page& page = pages_[page_of(instance_->id_of(block))];
      if (page.near) {  // not yet told by another layer
        page.near = false;
        std::erase(fifo_, page_of(instance_->id_of(block)));
      }
    }
    if (layer == 0) {
      choose_pages(input, lookahead);
    }
    for (const std::uint32_t page : leaving_) {
      move(page, layer, false, decision);
    }
    for (const BlockIndex block : input.written) {
      exists_[block.value()] = true;
      if (is_page(instance_->id_of(block)) && pages_[page_of(instance_->id_of(block))].near) {
        is_near_[block.value()] = true;
        decision.promote.push_back(block);
      }
    }
    for (const std::uint32_t page : entering_) {
      move(page, layer, true, decision);
    }
  }

 private:
  struct Page {
    bool near = false;
    std::uint32_t needed_in = 0;  ///< decode step + 1 that reads it, 0 = none seen
  };

  [[nodiscard]] std::uint32_t most_pages_of_a_request() const {
    const BlockLayout& layout = instance_->layout();
    if (layout.served == nullptr) {
      return (instance_->blocks_per_layer() - layout.experts + layout.requests - 1) / layout.requests;
    }
    std::size_t most = 0;
    for (std::uint32_t request = 0; request < layout.requests; ++request) {
      most = std::max(most, layout.served->blocks_of(request).size());
    }
    return static_cast<std::uint32_t>(most);
  }

  [[nodiscard]] bool is_page(BlockId id) const { return instance_->layout().kind(id) == BlockKind::kKvPage; }

  /// Pages of several requests are interleaved like their blocks.
  [[nodiscard]] std::uint32_t page_of(BlockId id) const {
    const BlockLayout& layout = instance_->layout();
    return is_page(id) ? layout.page(id) / blocks_per_page_ * layout.requests + layout.request(id) : 0;
  }

  void choose_pages(const StepInput& input, const Lookahead& lookahead) {
    if (input.step.value() > 0) {
      leaving_.clear();
    }
    entering_.clear();
    std::vector<std::uint32_t> wanted;
    const StepIndex next(input.step.value() + 1);
    const auto want = [&](BlockId id) {
      if (is_page(id)) {
        Page& page = pages_[page_of(id)];
        if (page.needed_in != next.value() + 1) {
          page.needed_in = next.value() + 1;
          if (!page.near) {
            wanted.push_back(page_of(id));
          }
        }
      }
    };
    for (const BlockIndex block : input.written) {
      want(instance_->id_of(block));
    }
    for (std::uint32_t layer = 0; layer < instance_->layers(); ++layer) {
      for (const BlockId id : lookahead.reads(next, LayerIndex(layer))) {
        want(id);
      }
    }
    std::sort(wanted.begin(), wanted.end());
    for (const std::uint32_t page : wanted) {
      if (fifo_.size() >= places_ && !drop_oldest(next)) {
        break;
      }
      pages_[page].near = true;
      std::erase(leaving_, page);  // near at the start without a place: wanted now, it stays
      fifo_.push_back(page);
      entering_.push_back(page);
    }
  }

  bool drop_oldest(StepIndex next) {
    const auto oldest = std::find_if(fifo_.begin(), fifo_.end(),
                                     [&](std::uint32_t page) { return pages_[page].needed_in != next.value() + 1; });
    if (oldest == fifo_.end()) {
      return false;
    }
    pages_[*oldest].near = false;
    leaving_.push_back(*oldest);
    fifo_.erase(oldest);
    return true;
  }

  /// Moves one layer's part of a page: the blocks that exist and are on the other side.
  void move(std::uint32_t page, std::uint32_t layer, bool to_near, Decision& decision) {
    const BlockLayout& layout = instance_->layout();
    const std::uint32_t first = page / layout.requests * blocks_per_page_;
    const std::uint32_t request = page % layout.requests;
    for (std::uint32_t i = 0; i < blocks_per_page_; ++i) {
      if (layout.served != nullptr && first + i >= layout.served->blocks_of(request).size()) {
        return;
      }
      const BlockId id = layout.page_block(first + i, request);
      if (id.value() >= instance_->blocks_per_layer()) {
        return;
      }
      const BlockIndex block = instance_->index(LayerIndex(layer), id);
      if (exists_[block.value()] && is_near_[block.value()] != to_near) {
        is_near_[block.value()] = to_near;
        (to_near ? decision.promote : decision.evict).push_back(block);
      }
    }
  }

  const Instance* instance_ = nullptr;
  std::uint32_t blocks_per_page_ = 1;
  std::size_t places_ = 0;
  std::vector<Page> pages_;
  std::deque<std::uint32_t> fifo_;       // pages near, oldest first
  std::vector<std::uint32_t> entering_;  // in this decode step
  std::vector<std::uint32_t> leaving_;
  std::vector<bool> is_near_;  // by BlockIndex
  std::vector<bool> exists_;   // by BlockIndex
};

}  // namespace

void register_policy_page(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "page";
  info.doc = "pages of 16 tokens of all layers move whole, one decode step ahead; the page longest near leaves";
  info.source = "Fang et al., arXiv 2508.13231: Page-granularity";
  info.information = Information::kLookahead;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<LookaheadPolicy>(std::make_unique<PagePolicy>());
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
