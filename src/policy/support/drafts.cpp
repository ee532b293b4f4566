#include "policy/support/drafts.h"

#include <cmath>

namespace kvplace {
namespace {

constexpr double kKept = 0.999;  // per step, of what was learned
// So many blocks are taken to have been seen before the first: of what was read as many named as of what was not.
constexpr double kBefore = 4;

}  // namespace

void Drafts::start(const Instance& instance) {
  instance_ = &instance;
  times_.assign(instance.blocks_per_layer(), 0);
  named_.clear();
  exists_.assign(instance.num_blocks(), false);
  existing_.assign(instance.layers(), instance.layout().initial_blocks());
  for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
    for (std::uint32_t id = 0; id < instance.layout().initial_blocks(); ++id) {
      exists_[instance.index(LayerIndex(layer), BlockId(id)).value()] = true;
    }
  }
}

void Drafts::begin_step(const StepInput& input) {
  const auto set = [&](std::span<const BlockIndex> blocks, bool exists) {
    for (const BlockIndex block : blocks) {
      existing_[input.layer.value()] += (exists ? 1 : 0) - (exists_[block.value()] ? 1 : 0);
      exists_[block.value()] = exists;
    }
  };
  set(input.ended, false);
  set(input.written, true);
}

void Drafts::update_gain() {
  const auto share_named = [this](std::size_t read) {
    const double all_named = counts_[0][1] + counts_[1][1];
    const double all = all_named + counts_[0][0] + counts_[1][0];
    const double prior = all > 0 ? all_named / all : 0.5;
    return (counts_[read][1] + kBefore * prior + 1e-3) / (counts_[read][0] + counts_[read][1] + kBefore + 1e-3);
  };
  gain_ = static_cast<float>(std::max(0.0, std::log(share_named(1) / share_named(0))));
  for (auto& of_read : counts_) {
    for (double& count : of_read) {
      count *= kKept;
    }
  }
}

void Drafts::look(const StepInput& input, const Lookahead& lookahead) {
  for (const BlockId id : named_) {
    times_[id.value()] = 0;
  }
  named_.clear();
  for (std::uint32_t ahead = 1; ahead <= window_; ++ahead) {
    for (const BlockId id : lookahead.reads(StepIndex(input.step.value() + ahead), input.layer)) {
      if (exists(instance_->index(input.layer, id)) && times_[id.value()]++ == 0) {
        named_.push_back(id);
      }
    }
  }
}

}  // namespace kvplace
