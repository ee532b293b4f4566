/// A run of a TieredCache on random KV, beside pages of one's own from which the same attention is computed.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kvplace/runtime/tiered_cache.h"
#include "support/paper_machine.h"

namespace kvplace::testing {

/// Random placements that keep every rule.
class RandomDecisions final : public DecisionSource {
 public:
  RandomDecisions(std::uint32_t blocks_per_layer, std::uint32_t layers, std::size_t capacity, std::uint32_t seed)
      : exists_(std::size_t{layers} * blocks_per_layer), near_(exists_.size()), capacity_(capacity), random_(seed) {}

  void note_exists(BlockIndex block) { exists_[block.value()] = true; }
  [[nodiscard]] Result<std::vector<BlockIndex>> initial_near() override { return std::vector<BlockIndex>(); }
  [[nodiscard]] Status next(StepIndex, LayerIndex, Decision& decision) override {
    const auto activity = static_cast<std::uint32_t>(1 + random_() % 8);
    const std::vector<bool> before = near_;
    for (std::uint32_t b = 0; b < near_.size(); ++b) {
      if (near_[b] && random_() % 8 < activity) {
        near_[b] = false;
        --count_;
        decision.evict.emplace_back(b);
      }
    }
    for (std::uint32_t i = 0; i < near_.size(); ++i) {
      const std::uint32_t b = static_cast<std::uint32_t>(random_() % near_.size());
      if (exists_[b] && !near_[b] && !before[b] && count_ < capacity_) {
        near_[b] = true;
        ++count_;
        decision.promote.emplace_back(b);
      }
    }
    return {};
  }

 private:
  std::vector<bool> exists_;
  std::vector<bool> near_;
  std::size_t capacity_;
  std::size_t count_ = 0;
  std::mt19937 random_;
};

/// Runs random steps on a cache; says the first thing that is wrong.
class CacheRun {
 public:
  CacheRun(const TieredCacheOptions& options, std::uint32_t seed) : options_(options), random_(seed) {
    const std::size_t page = static_cast<std::size_t>(options.shape.page_bytes().value());
    pages_per_request_ = (options.most_tokens + options.shape.page_tokens - 1) / options.shape.page_tokens;
    storage_.resize(page * pages_per_request_ * options.requests * options.layers + 64);
    tokens_.assign(std::size_t{options.layers} * options.requests, 0);
  }

  /// The same pages as the cache has; `pages` may be told of new blocks.
  RandomDecisions* decisions = nullptr;

  /// One decode step. `new_tokens` of each request, 0: it does not take part.
  std::string step(TieredCache& cache, const std::vector<std::uint32_t>& new_tokens, bool dense) {
    for (std::uint32_t layer = 0; layer < options_.layers; ++layer) {
      std::vector<std::vector<float>> queries;
      std::vector<std::vector<std::uint32_t>> selected;
      std::vector<RequestStep> requests;
      const auto window = static_cast<std::uint32_t>(random_() % 4 == 0 ? 1 + random_() % 60 : 0);
      for (std::uint32_t request = 0; request < options_.requests; ++request) {
        if (std::string wrong = append(cache, layer, request, new_tokens[request]); !wrong.empty()) {
          return wrong;
        }
        if (new_tokens[request] == 0 || random_() % 8 == 0) {  // or cancelled between its append and the step
          continue;
        }
        queries.push_back(values(options_.shape.query_heads * options_.shape.head_dim));
        selected.push_back({});
        for (std::uint32_t page = 0; page < cache.num_pages(LayerIndex(layer), request); ++page) {
          if (dense || random_() % 2 == 0) {
            selected.back().push_back(page);
          }
        }
        requests.push_back({request, {}, {}, window});
      }
      for (std::size_t i = 0; i < requests.size(); ++i) {
        requests[i].queries = queries[i];
        requests[i].pages = selected[i];
      }
      const std::vector<float> sinks = random_() % 4 == 0 ? values(options_.shape.query_heads) : std::vector<float>();
      const std::size_t of_request = options_.shape.query_heads * options_.shape.head_dim;
      std::vector<float> out(requests.size() * of_request);
      if (Status status = cache.attend(LayerIndex(layer), requests, sinks, out); !status) {
        return status.error().message;
      }
      for (std::size_t i = 0; i < requests.size(); ++i) {
        const std::vector<float> expected = one_tier(layer, requests[i], sinks);
        if (std::memcmp(expected.data(), out.data() + i * of_request, of_request * sizeof(float)) != 0) {
          return "layer " + std::to_string(layer) + ", request " + std::to_string(requests[i].request) +
                 ": attention is not that of one memory";
        }
      }
    }
    return {};
  }

 private:
  std::vector<float> values(std::size_t count) {
    std::vector<float> made(count);
    for (float& value : made) {
      value = normal_(random_);
    }
    return made;
  }

  std::byte* page(std::uint32_t layer, std::uint32_t request, std::uint32_t number) {
    const auto first = (reinterpret_cast<std::uintptr_t>(storage_.data()) + 63) / 64 * 64;
    const std::size_t place = (std::size_t{layer} * options_.requests + request) * pages_per_request_ + number;
    return reinterpret_cast<std::byte*>(first) + place * static_cast<std::size_t>(options_.shape.page_bytes().value());
  }

  std::string append(TieredCache& cache, std::uint32_t layer, std::uint32_t request, std::uint32_t count) {
    const AttentionShape& shape = options_.shape;
    const std::size_t of_token = shape.kv_heads * shape.head_dim;
    std::uint32_t& tokens = tokens_[layer * options_.requests + request];
    if (count == 0) {
      return {};
    }
    const std::vector<float> keys = values(count * of_token);
    const std::vector<float> vals = values(count * of_token);
    for (std::uint32_t i = 0; i < count; ++i, ++tokens) {
      write_token(shape, page(layer, request, tokens / shape.page_tokens), tokens % shape.page_tokens,
                  std::span(keys).subspan(i * of_token, of_token), std::span(vals).subspan(i * of_token, of_token));
      if (decisions != nullptr) {
        const std::uint32_t id = tokens / shape.page_tokens * options_.requests + request;
        decisions->note_exists(BlockIndex(layer * pages_per_request_ * options_.requests + id));
      }
    }
    const Status status = cache.append(LayerIndex(layer), request, keys, vals);
    return status ? std::string() : status.error().message;
  }

  std::vector<float> one_tier(std::uint32_t layer, const RequestStep& step, std::span<const float> sinks) {
    const AttentionShape& shape = options_.shape;
    const std::uint32_t tokens = tokens_[layer * options_.requests + step.request];
    const std::uint32_t first = step.window != 0 && step.window < tokens ? tokens - step.window : 0;
    std::vector<SelectedPage> pages;
    for (const std::uint32_t number : step.pages) {
      const std::uint32_t of_page = number * shape.page_tokens;
      SelectedPage selected{page(layer, step.request, number), 0, std::min(tokens - of_page, shape.page_tokens)};
      selected.begin = first > of_page ? std::min(first - of_page, shape.page_tokens) : 0;
      pages.push_back(selected);
    }
    DecodeAttention attention(shape,
                              options_.scale > 0 ? options_.scale : 1 / std::sqrt(static_cast<float>(shape.head_dim)));
    attention.start(step.queries, pages.size());
    for (std::size_t group = 0; group < attention.num_groups(); ++group) {
      attention.compute(group, pages);
    }
    std::vector<float> out(step.queries.size());
    attention.finish(sinks, out);
    return out;
  }

  TieredCacheOptions options_;
  std::mt19937 random_;
  std::normal_distribution<float> normal_{0, 1};
  std::uint32_t pages_per_request_;
  std::vector<std::byte> storage_;
  std::vector<std::uint32_t> tokens_;
};

}  // namespace kvplace::testing
