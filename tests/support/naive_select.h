/// Selection written down a second time, from its definitions, in double precision and one block after the other. It
/// shares no code with src/select.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kvplace/select/selector.h"

namespace kvplace::testing {

/// A layer's queries and keys.
struct SelectCase {
  SelectorShape shape;
  std::uint32_t first_position = 0;
  std::uint32_t steps = 0;
  std::vector<float> queries;  ///< [query_heads][first_position + steps][head_dim]: of the prompt too
  std::vector<float> keys;     ///< [kv_heads][first_position + steps][head_dim]

  [[nodiscard]] std::uint32_t tokens() const { return first_position + steps; }
  /// Queries of the positions [begin, begin + count).
  [[nodiscard]] TensorView query_view(std::uint32_t begin, std::uint32_t count) const {
    TensorView view = TensorView::of(queries.data(), shape.query_heads, tokens(), shape.head_dim);
    view.data = queries.data() + std::size_t{begin} * shape.head_dim;
    view.shape[1] = count;
    return view;
  }
  [[nodiscard]] TensorView key_view(std::uint32_t begin, std::uint32_t count) const {
    TensorView view = TensorView::of(keys.data(), shape.kv_heads, tokens(), shape.head_dim);
    view.data = keys.data() + std::size_t{begin} * shape.head_dim;
    view.shape[1] = count;
    return view;
  }
  [[nodiscard]] double dot(std::uint32_t query_head, std::uint32_t position, std::uint32_t token) const {
    const float* q = queries.data() + (std::size_t{query_head} * tokens() + position) * shape.head_dim;
    const float* k = keys.data() + (std::size_t{query_head / group()} * tokens() + token) * shape.head_dim;
    double sum = 0;
    for (std::uint32_t d = 0; d < shape.head_dim; ++d) {
      sum += double{q[d]} * k[d];
    }
    return sum;
  }
  [[nodiscard]] std::uint32_t group() const { return shape.query_heads / shape.kv_heads; }
};

/// Small whole numbers give many ties, and sums that are exact in float.
inline SelectCase make_select_case(const SelectorShape& shape, std::uint32_t first_position, std::uint32_t steps,
                                   std::uint64_t seed, bool whole_numbers) {
  SelectCase out{shape, first_position, steps, {}, {}};
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> whole(-2, 2);
  const auto fill = [&](std::vector<float>& values, std::size_t count) {
    values.resize(count);
    std::generate(values.begin(), values.end(),
                  [&] { return whole_numbers ? static_cast<float>(whole(engine)) : normal(engine); });
  };
  fill(out.queries, std::size_t{shape.query_heads} * out.tokens() * shape.head_dim);
  fill(out.keys, std::size_t{shape.kv_heads} * out.tokens() * shape.head_dim);
  return out;
}

using Scores = std::vector<double>;  ///< by block

/// Attention of a query to each token it sees.
inline Scores naive_attention(const SelectCase& c, std::uint32_t query_head, std::uint32_t position) {
  const double scale = c.shape.scale > 0 ? c.shape.scale : 1 / std::sqrt(static_cast<double>(c.shape.head_dim));
  Scores weights(position + 1);
  for (std::uint32_t token = 0; token <= position; ++token) {
    weights[token] = scale * c.dot(query_head, position, token);
    if (c.shape.softcap > 0) {
      weights[token] = c.shape.softcap * std::tanh(weights[token] / c.shape.softcap);
    }
  }
  const double most = *std::max_element(weights.begin(), weights.end());
  for (double& weight : weights) {
    weight = std::exp(weight - most);
  }
  double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (!c.shape.sinks.empty()) {
    sum += std::exp(double{c.shape.sinks[query_head]} - most);
  }
  for (double& weight : weights) {
    weight /= sum;
  }
  return weights;
}

/// Quest's bound of query `q` for the page [begin, end) of a KV head.
inline double naive_bound(const SelectCase& c, const std::vector<double>& q, std::uint32_t kv_head, std::uint32_t begin,
                          std::uint32_t end) {
  double bound = 0;
  for (std::uint32_t d = 0; d < c.shape.head_dim; ++d) {
    double least = INFINITY;
    double most = -INFINITY;
    for (std::uint32_t token = begin; token < end; ++token) {
      const double value = c.keys[(std::size_t{kv_head} * c.tokens() + token) * c.shape.head_dim + d];
      least = std::min(least, value);
      most = std::max(most, value);
    }
    bound += std::max(q[d] * least, q[d] * most);
  }
  return bound;
}

inline std::vector<double> naive_query(const SelectCase& c, std::uint32_t head, std::uint32_t position) {
  const auto first =
      c.queries.begin() + static_cast<std::ptrdiff_t>((std::size_t{head} * c.tokens() + position) * c.shape.head_dim);
  return {first, first + c.shape.head_dim};
}

/// Scores of blocks of all lists at a position: lists = 1, KV heads or query heads as `sets` says ("layer", ...).
inline std::vector<Scores> naive_scores(const std::string& method, const std::string& sets, std::uint32_t block_tokens,
                                        const SelectCase& c, std::uint32_t position) {
  const std::uint32_t heads = c.shape.query_heads;
  const std::uint32_t lists = sets == "layer" ? 1 : sets == "kv-head" ? c.shape.kv_heads : heads;
  const std::uint32_t blocks = (position + block_tokens) / block_tokens;
  std::vector<Scores> out(lists, Scores(blocks, 0.0));
  const auto each_block = [&](const auto& use) {
    for (std::uint32_t block = 0; block < blocks; ++block) {
      use(block, block * block_tokens, std::min((block + 1) * block_tokens, position + 1));
    }
  };
  if (method == "quest") {
    for (std::uint32_t kv_head = 0; kv_head < c.shape.kv_heads; ++kv_head) {
      std::vector<double> mean(c.shape.head_dim, 0.0);
      for (std::uint32_t g = 0; g < c.group(); ++g) {
        const std::vector<double> q = naive_query(c, kv_head * c.group() + g, position);
        for (std::size_t d = 0; d < q.size(); ++d) {
          mean[d] += q[d] / c.group();
        }
      }
      each_block([&](std::uint32_t block, std::uint32_t begin, std::uint32_t end) {
        out[lists == 1 ? 0 : kv_head][block] += naive_bound(c, mean, kv_head, begin, end);
      });
    }
    return out;
  }
  for (std::uint32_t head = 0; head < heads; ++head) {
    Scores& scores = out[lists == 1 ? 0 : head * lists / heads];
    if (method == "quest-per-head") {
      const std::vector<double> q = naive_query(c, head, position);
      each_block([&](std::uint32_t block, std::uint32_t begin, std::uint32_t end) {
        scores[block] = naive_bound(c, q, head / c.group(), begin, end);
      });
    } else {  // mass, top-p
      const Scores attention = naive_attention(c, head, position);
      each_block([&](std::uint32_t block, std::uint32_t begin, std::uint32_t end) {
        scores[block] += std::accumulate(attention.begin() + begin, attention.begin() + end, 0.0);
      });
    }
  }
  return out;
}

/// The DSA score of a block with all head weights 1: the highest of its tokens' sums of ReLU(q.k).
inline Scores naive_index_scores(const SelectCase& c, std::uint32_t block_tokens, std::uint32_t position) {
  Scores out;
  for (std::uint32_t token = 0; token <= position; ++token) {
    double sum = 0;
    for (std::uint32_t head = 0; head < c.shape.query_heads; ++head) {
      sum += std::max(c.dot(head, position, token), 0.0);
    }
    if (token % block_tokens == 0) {
      out.push_back(sum);
    }
    out.back() = std::max(out.back(), sum);
  }
  return out;
}

/// All blocks in the order of the ranking: the set (its size is `count`), then the runners-up, each by score, then id.
inline std::vector<BlockId> naive_ranking(const Scores& scores, std::size_t count, std::uint32_t sinks,
                                          std::uint32_t recent) {
  const auto n = static_cast<std::uint32_t>(scores.size());
  std::vector<std::uint32_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0U);
  const auto forced = [&](std::uint32_t id) { return id < sinks || id + recent >= n; };
  const auto better = [&](std::uint32_t a, std::uint32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  };
  std::sort(ids.begin(), ids.end(),
            [&](std::uint32_t a, std::uint32_t b) { return forced(a) != forced(b) ? forced(a) : better(a, b); });
  std::sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), better);
  std::vector<BlockId> out;
  for (const std::uint32_t id : ids) {
    out.emplace_back(id);
  }
  return out;
}

/// What is wrong with a set and its ranking (of all blocks) by these scores, where scores closer than `tolerance` times
/// the largest may change places; empty if nothing is.
inline std::string disagreement(std::span<const BlockId> set, std::span<const BlockId> ranking, const Scores& scores,
                                std::size_t count, std::uint32_t sinks, std::uint32_t recent, double tolerance) {
  double most = 0;
  for (const double score : scores) {
    most = std::max(most, std::abs(score));
  }
  const std::vector<BlockId> expected = naive_ranking(scores, count, sinks, recent);
  if (set.size() != count || ranking.size() != expected.size()) {
    return "set of " + std::to_string(set.size()) + ", ranking of " + std::to_string(ranking.size());
  }
  std::vector<BlockId> first(ranking.begin(), ranking.begin() + static_cast<std::ptrdiff_t>(count));
  std::sort(first.begin(), first.end());
  if (!std::equal(first.begin(), first.end(), set.begin(), set.end())) {
    return "the set is not the head of the ranking";
  }
  for (std::size_t i = 0; i < ranking.size(); ++i) {
    const double difference = scores[ranking[i].value()] - scores[expected[i].value()];
    if (std::abs(difference) > tolerance * most) {
      return "place " + std::to_string(i) + ": block " + std::to_string(ranking[i].value()) + " instead of " +
             std::to_string(expected[i].value()) + ", scores apart by " + std::to_string(difference);
    }
  }
  return {};
}

}  // namespace kvplace::testing
