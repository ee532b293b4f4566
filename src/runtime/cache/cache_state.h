/// What a TieredCache is made of.
#pragma once

#include <optional>
#include <vector>

#include "kvplace/runtime/quest_bounds.h"
#include "kvplace/runtime/tiered_cache.h"
#include "runtime/cache/policy_placement.h"
#include "runtime/cache/thread_team.h"
#include "runtime/cache/tiered_pages.h"

namespace kvplace {

struct TieredCache::State {
  State(const TieredCacheOptions& the_options, Instance the_instance)
      : options(the_options), instance(std::move(the_instance)), team(the_options.threads) {}

  /// A group of attention that is not computed yet.
  struct Work {
    std::size_t request;  // of the step
    std::size_t group;
  };

  [[nodiscard]] std::size_t place(LayerIndex layer, std::uint32_t request) const {
    return std::size_t{layer.value()} * options.requests + request;
  }
  [[nodiscard]] BlockId block_id(std::uint32_t page, std::uint32_t request) const {
    return instance.layout().page_block(page, request);
  }
  [[nodiscard]] BlockIndex block(LayerIndex layer, std::uint32_t page, std::uint32_t request) const {
    return instance.index(layer, block_id(page, request));
  }
  [[nodiscard]] std::uint32_t pages_of(std::uint32_t num_tokens) const {
    return (num_tokens + options.shape.page_tokens - 1) / options.shape.page_tokens;
  }

  [[nodiscard]] Status append(LayerIndex layer, std::uint32_t request, std::span<const float> keys,
                              std::span<const float> values);
  [[nodiscard]] Status check_append(LayerIndex layer, std::uint32_t request, std::size_t keys,
                                    std::size_t values) const;
  /// Gives the frames of full pages that were appended since the last step back, as they go to far.
  [[nodiscard]] Status complete_full(LayerIndex layer);
  [[nodiscard]] Status read(LayerIndex layer, std::uint32_t request, std::span<float> keys, std::span<float> values);
  [[nodiscard]] Status attend(LayerIndex layer, std::span<const RequestStep> requests, std::span<const float> sinks,
                              std::span<float> out);
  [[nodiscard]] Status check_step(LayerIndex layer, std::span<const RequestStep> requests, std::span<const float> sinks,
                                  std::size_t out) const;
  /// Lets the policy decide, and puts everything on its way.
  [[nodiscard]] Status place_step(LayerIndex layer, std::span<const RequestStep> requests);
  [[nodiscard]] Status compute(LayerIndex layer, std::span<const RequestStep> requests);
  /// Moves what is there by now from `left_` to `ready_`.
  void find_ready(LayerIndex layer, std::span<const RequestStep> requests);

  TieredCacheOptions options;
  Instance instance;
  std::unique_ptr<PolicyPlacement> placement;
  std::unique_ptr<TieredPages> pages;
  ThreadTeam team;
  SegmentWindow unknown;              // what comes
  std::vector<std::uint32_t> tokens;  // [layers][requests]
  std::vector<QuestBounds> bounds;    // likewise; empty without Quest
  std::uint32_t step = 0;
  std::uint32_t next_layer = 0;
  std::optional<Error> error;  // of far memory

  // Of the step at hand.
  struct Appended {
    BlockId id;
    std::uint32_t tokens = 0;
    bool full = false;
    bool completed = false;  // full, and told so
  };
  std::vector<Appended> appended;
  std::vector<BlockId> read_ids;
  std::vector<BlockIndex> reads;
  std::vector<BlockId> appended_ids;
  std::vector<std::uint32_t> written_tokens;
  std::vector<DecodeAttention> attention;           // by request of the step
  std::vector<std::vector<SelectedPage>> selected;  // likewise
  std::vector<Work> left;
  std::vector<Work> ready;

  std::uint64_t num_steps = 0;
  Seconds placing;
  Seconds computing;
  Seconds waiting;
};

}  // namespace kvplace
