// Every selection method on random queries and keys: against the second implementation in naive_select.h, and what must
// hold whatever the scores are.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "kvplace/select/selector.h"
#include "support/naive_select.h"

namespace kvplace {
namespace {

using testing::make_select_case;
using testing::Scores;
using testing::SelectCase;

constexpr double kFloatRounding = 2e-5;  // of sums in single precision

SelectCase random_case(bool whole_numbers) {
  SelectorShape shape;
  shape.kv_heads = *rc::gen::inRange(1u, 4u);
  shape.query_heads = shape.kv_heads * *rc::gen::element(1u, 2u, 4u);  // means over them are exact
  shape.head_dim = *rc::gen::inRange(1u, 20u);
  shape.scale = *rc::gen::element(0.0, 0.0, 0.3);
  shape.softcap = *rc::gen::element(0.0, 0.0, 3.0);
  if (*rc::gen::inRange(0, 3) == 0) {
    for (std::uint32_t head = 0; head < shape.query_heads; ++head) {
      shape.sinks.push_back(*rc::gen::element(-1.0F, 0.0F, 2.5F));
    }
  }
  const auto prompt = *rc::gen::inRange(40u, 90u);
  return make_select_case(shape, prompt, *rc::gen::inRange(1u, 12u), *rc::gen::arbitrary<std::uint64_t>(),
                          whole_numbers);
}

Selector selector_with_keys(const std::string& text, const SelectCase& c) {
  Selector selector = Selector::make(SelectRegistry::instance().parse(text).value(), c.shape).value();
  EXPECT_TRUE(selector.append_keys(c.key_view(0, c.tokens())));
  EXPECT_TRUE(selector.observe(c.query_view(0, c.first_position), 0));
  return selector;
}

/// Decode steps [begin, begin + steps) of the case. Methods that need scores get the first query head's values.
Selection select(const Selector& selector, const SelectCase& c, std::uint32_t begin, std::uint32_t steps,
                 std::uint32_t depth, unsigned threads = 1) {
  SelectInput input;
  input.queries = c.query_view(c.first_position + begin, steps);
  if (selector.needs() == SelectNeeds::kScores) {
    input.scores = input.queries;
    input.scores.shape[0] = 1;
  }
  input.first_position = c.first_position + begin;
  input.steps = steps;
  input.ranking_depth = depth;
  RunContext context;
  context.threads = threads;
  return selector.select(input, context).value();
}

/// A text that fits every case of random_case: budgets of at most 10 blocks of at most 4 tokens.
std::string random_text(const std::string& method) {
  const SelectMethodInfo& info = *SelectRegistry::instance().find(method).value();
  const auto number = [](std::uint32_t from, std::uint32_t to) { return std::to_string(*rc::gen::inRange(from, to)); };
  std::map<std::string, std::string> values;
  for (const ParameterInfo& p : info.parameters) {
    if (!p.choices.empty()) {
      values[p.name] = *rc::gen::elementOf(p.choices);
    } else if (p.name == "block" || p.name == "page") {
      values[p.name] = number(1, 5);
    } else if (p.name == "sinks") {
      values[p.name] = number(0, 3);
    } else if (p.name == "recent") {
      values[p.name] = number(1, 4);
    } else if (p.name == "p") {
      values[p.name] = *rc::gen::element<std::string>("0.1", "0.5", "0.9", "0.999", "1");
    } else if (p.name == "window" || p.name == "kernel") {
      values[p.name] = number(1, 6);
    } else if (p.name != "share") {
      values[p.name] = method == "router" ? "1" : number(6, 11);
    }
  }
  if (!info.count_parameter.empty() && *rc::gen::inRange(0, 3) == 0) {
    values.erase(info.count_parameter);
    values["share"] = *rc::gen::element<std::string>("0.25", "0.4", "1");
  }
  std::string text = method;
  for (const auto& [name, value] : values) {
    text += (text == method ? ":" : ",") + name + "=" + value;
  }
  return text;
}

std::vector<std::string> all_methods() {
  std::vector<std::string> names;
  for (const SelectMethodInfo& info : SelectRegistry::instance().methods()) {
    names.push_back(info.name);
  }
  return names;
}

bool same(const IdLists& a, const IdLists& b) { return a.offsets == b.offsets && a.ids == b.ids; }
bool same(const Selection& a, const Selection& b) {
  return a.steps == b.steps && a.heads == b.heads && same(a.sets, b.sets) && same(a.rankings, b.rankings) &&
         same(a.head_sets, b.head_sets) && same(a.head_rankings, b.head_rankings);
}

std::uint32_t blocks_at(const Selector& selector, const SelectCase& c, std::uint32_t step) {
  return selector.block_tokens() == 0 ? c.shape.head_dim : (c.first_position + step) / selector.block_tokens() + 1;
}

/// Ascending; the head of its ranking; the ranking as deep as asked for, without doubles.
void check_list(std::span<const BlockId> set, std::span<const BlockId> ranking, std::uint32_t blocks,
                std::uint32_t depth) {
  RC_ASSERT(!set.empty() && set.back().value() < blocks);
  RC_ASSERT(std::adjacent_find(set.begin(), set.end(), std::greater_equal<>()) == set.end());
  RC_ASSERT(ranking.size() == std::min<std::size_t>(blocks, std::max<std::size_t>(depth, set.size())));
  std::vector<BlockId> first(ranking.begin(), ranking.begin() + static_cast<std::ptrdiff_t>(set.size()));
  std::sort(first.begin(), first.end());
  RC_ASSERT(std::equal(first.begin(), first.end(), set.begin(), set.end()));
  RC_ASSERT(std::set<BlockId>(ranking.begin(), ranking.end()).size() == ranking.size());
}

RC_GTEST_PROP(Select, SetsAndRankingsAreWellFormed, ()) {
  const std::string text = random_text(*rc::gen::elementOf(all_methods()));
  const SelectCase c = random_case(*rc::gen::arbitrary<bool>());
  RC_LOG() << text;
  const Selector selector = selector_with_keys(text, c);
  const auto depth = *rc::gen::inRange(1u, 40u);
  const Selection s = select(selector, c, 0, c.steps, depth);
  RC_ASSERT(s.sets.size() == c.steps && s.rankings.size() == c.steps);
  RC_ASSERT(s.head_sets.size() == std::size_t{c.steps} * s.heads && s.head_rankings.size() == s.head_sets.size());
  for (std::uint32_t step = 0; step < c.steps; ++step) {
    const std::uint32_t blocks = blocks_at(selector, c, step);
    check_list(s.sets[step], s.rankings[step], blocks, depth);
    std::set<BlockId> read;
    for (std::size_t head = 0; head < s.heads; ++head) {
      const auto set = s.head_sets[step * s.heads + head];
      check_list(set, s.head_rankings[step * s.heads + head], blocks, depth);
      read.insert(set.begin(), set.end());
    }
    if (s.heads > 0) {
      RC_ASSERT(std::equal(read.begin(), read.end(), s.sets[step].begin(), s.sets[step].end()));
    }
    if (selector.block_tokens() != 0) {
      RC_ASSERT(s.sets[step].back().value() == blocks - 1);  // being written
    }
  }
  const Selection without = select(selector, c, 0, c.steps, 0);
  RC_ASSERT(same(without.sets, s.sets) && same(without.head_sets, s.head_sets) && without.rankings.size() == 0);
}

RC_GTEST_PROP(Select, StepsThreadsAndPiecesChangeNothing, ()) {
  const std::string text = random_text(*rc::gen::elementOf(all_methods()));
  SelectCase c = random_case(*rc::gen::arbitrary<bool>());
  c = make_select_case(c.shape, c.first_position, *rc::gen::inRange(1u, 150u), 5, false);
  RC_LOG() << text;
  const Selection all = select(selector_with_keys(text, c), c, 0, c.steps, 12);
  RC_ASSERT(same(select(selector_with_keys(text, c), c, 0, c.steps, 12, 4), all));

  Selector stepwise = Selector::make(SelectRegistry::instance().parse(text).value(), c.shape).value();
  const auto cut = *rc::gen::inRange(0u, c.first_position + 1);
  RC_ASSERT(stepwise.append_keys(c.key_view(0, cut)).has_value());
  RC_ASSERT(stepwise.append_keys(c.key_view(cut, c.first_position - cut)).has_value());
  RC_ASSERT(stepwise.observe(c.query_view(0, c.first_position), 0).has_value());
  for (std::uint32_t step = 0; step < c.steps; ++step) {
    RC_ASSERT(stepwise.append_keys(c.key_view(c.first_position + step, 1)).has_value());
    const Selection one = select(stepwise, c, step, 1, 12);
    RC_ASSERT(std::ranges::equal(one.sets[0], all.sets[step]));
    RC_ASSERT(std::ranges::equal(one.rankings[0], all.rankings[step]));
    for (std::size_t head = 0; head < one.heads; ++head) {
      RC_ASSERT(std::ranges::equal(one.head_rankings[head], all.head_rankings[step * all.heads + head]));
    }
  }
}

RC_GTEST_PROP(Select, ScoresAreThoseOfTheDefinition, ()) {
  const std::string method = *rc::gen::element<std::string>("mass", "quest", "quest-per-head");
  const bool whole_numbers = *rc::gen::arbitrary<bool>();
  const SelectCase c = random_case(whole_numbers);
  const auto block = *rc::gen::element(1u, 3u, 8u, 16u);
  const std::string sets = method == "mass"    ? *rc::gen::element<std::string>("layer", "kv-head", "query-head")
                           : method == "quest" ? *rc::gen::element<std::string>("layer", "kv-head")
                                               : "query-head";
  const std::string text = method + ":sets=" + sets + (method == "mass" ? ",k=3,block=" : ",pages=3,page=") +
                           std::to_string(block) + ",sinks=1";
  RC_LOG() << text;
  const Selection s = select(selector_with_keys(text, c), c, 0, c.steps, c.tokens());
  for (std::uint32_t step = 0; step < c.steps; ++step) {
    const std::vector<Scores> lists = testing::naive_scores(method, sets, block, c, c.first_position + step);
    for (std::size_t list = 0; list < lists.size(); ++list) {
      const std::size_t at = step * lists.size() + list;
      const auto set = s.heads == 0 ? s.sets[step] : s.head_sets[at];
      const auto ranking = s.heads == 0 ? s.rankings[step] : s.head_rankings[at];
      const std::size_t count = std::min<std::size_t>(3, lists[list].size());
      RC_ASSERT(testing::disagreement(set, ranking, lists[list], count, 1, 1, kFloatRounding) == "");
      if (whole_numbers && method != "mass") {  // exact in single precision, ties included
        RC_ASSERT(std::ranges::equal(ranking, testing::naive_ranking(lists[list], count, 1, 1)));
      }
    }
  }
}

RC_GTEST_PROP(Select, IndexScoresAreExactOnWholeNumbers, ()) {
  const SelectCase c = random_case(true);
  const auto block = *rc::gen::element(1u, 4u);
  const Selection s =
      select(selector_with_keys("scores:k=5,block=" + std::to_string(block), c), c, 0, c.steps, c.tokens());
  for (std::uint32_t step = 0; step < c.steps; ++step) {
    const Scores scores = testing::naive_index_scores(c, block, c.first_position + step);
    RC_ASSERT(std::ranges::equal(s.rankings[step], testing::naive_ranking(scores, 5, 0, 1)));
  }
}

RC_GTEST_PROP(Select, TopPIsTheSmallestSetThatHoldsTheShare, ()) {
  const SelectCase c = random_case(false);
  const double p = *rc::gen::element(0.2, 0.8, 0.99);
  const Selection s = select(selector_with_keys("top-p:block=2,p=" + std::to_string(p), c), c, 0, c.steps, 1);
  for (std::uint32_t step = 0; step < c.steps; ++step) {
    const Scores mass = testing::naive_scores("mass", "layer", 2, c, c.first_position + step).front();
    const double all = std::accumulate(mass.begin(), mass.end(), 0.0);  // sinks have the rest
    const auto held = [&](std::size_t count) {
      const auto ranking = testing::naive_ranking(mass, count, 0, 1);
      double sum = 0;
      for (std::size_t i = 0; i < count; ++i) {
        sum += mass[ranking[i].value()] / all;
      }
      return sum;
    };
    const std::size_t count = s.sets[step].size();
    RC_ASSERT(held(count) >= p - kFloatRounding);
    RC_ASSERT(count == 1 || held(count - 1) < p + kFloatRounding);
  }
}

RC_GTEST_PROP(Select, SnapKvKeepsWhatTheWindowVotedFor, ()) {
  constexpr std::uint32_t kWindow = 6;
  constexpr std::size_t kBudget = 15;
  const SelectCase c = random_case(false);
  const std::uint32_t voters = c.first_position - kWindow;
  const Selection s = select(selector_with_keys("snapkv:window=6,kernel=5,k=15", c), c, 0, c.steps, c.tokens());

  Scores votes(voters, 0.0);
  for (std::uint32_t head = 0; head < c.shape.query_heads; ++head) {
    for (std::uint32_t position = voters; position < c.first_position; ++position) {
      const Scores attention = testing::naive_attention(c, head, position);
      std::transform(votes.begin(), votes.end(), attention.begin(), votes.begin(), std::plus<>());
    }
  }
  Scores pooled(voters, 0.0);
  for (int token = 0; token < static_cast<int>(voters); ++token) {
    for (int neighbour = std::max(0, token - 2); neighbour <= std::min(static_cast<int>(voters) - 1, token + 2);
         ++neighbour) {
      pooled[static_cast<std::size_t>(token)] += votes[static_cast<std::size_t>(neighbour)] / 5;
    }
  }
  for (std::uint32_t step = 0; step < c.steps; ++step) {
    Scores scores = pooled;  // and the window and all that was decoded, the newest first
    for (std::uint32_t token = voters; token <= c.first_position + step; ++token) {
      scores.push_back(1000.0 + token);
    }
    const std::string wrong = testing::disagreement(s.sets[step], s.rankings[step], scores, kBudget + step + 1, 0,
                                                    kWindow + step + 1, kFloatRounding / 1000);
    RC_ASSERT(wrong == "");
  }
}

}  // namespace
}  // namespace kvplace
