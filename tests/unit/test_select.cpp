// Selection on small inputs: the text form of methods, forced blocks, ties, every error.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kvplace/select/selector.h"
#include "support/naive_select.h"

namespace kvplace {
namespace {

constexpr SelectorShape kTiny{2, 1, 4, 0};

SelectSpec spec(const std::string& text) { return SelectRegistry::instance().parse(text).value(); }

Selector selector(const std::string& text, const SelectorShape& shape = kTiny) {
  return Selector::make(spec(text), shape).value();
}

std::string parse_error(const std::string& text) { return SelectRegistry::instance().parse(text).error().message; }

std::vector<std::uint32_t> numbers(std::span<const BlockId> ids) {
  std::vector<std::uint32_t> out;
  for (const BlockId id : ids) {
    out.push_back(id.value());
  }
  return out;
}

using Ids = std::vector<std::uint32_t>;

/// Selects from one row of given scores.
Result<Selection> by_scores(const std::string& text, const std::vector<float>& scores, std::uint32_t depth,
                            std::uint32_t position) {
  SelectInput input;
  input.scores = TensorView::of(scores.data(), 1, 1, scores.size());
  input.first_position = position;
  input.ranking_depth = depth;
  return selector(text).select(input, {});
}

TEST(SelectText, FillsInDefaultsAndReadsItsOwnForm) {
  EXPECT_EQ(spec("mass").text(), "mass:block=1,k=512,recent=1,sets=layer,sinks=0");
  EXPECT_EQ(spec("quest:share=0.4,sets=kv-head").text(), "quest:page=16,recent=1,sets=kv-head,share=0.4,sinks=0");
  for (const SelectMethodInfo& info : SelectRegistry::instance().methods()) {
    const std::string text = spec(info.name).text();
    EXPECT_EQ(spec(text).text(), text);
  }
}

TEST(SelectText, ErrorsNameRangeOrNearest) {
  EXPECT_NE(parse_error("qest").find("\"quest\""), std::string::npos);
  EXPECT_NE(parse_error("quest:page=0").find("from 1 to 65536 (tokens)"), std::string::npos);
  EXPECT_NE(parse_error("quest:pags=3").find("\"page\""), std::string::npos);
  EXPECT_NE(parse_error("mass:sets=heads").find("layer, kv-head, query-head"), std::string::npos);
  EXPECT_NE(parse_error("mass:k").find("NAME:key=value"), std::string::npos);
  EXPECT_NE(parse_error("mass:k=4,share=0.5").find("give one of them"), std::string::npos);
  EXPECT_NE(parse_error("mass:k=4,sinks=2,recent=3").find("more than k = 4"), std::string::npos);
  EXPECT_NE(parse_error("top-p:p=0").find("from"), std::string::npos);
}

TEST(SelectByScores, RankingBeginsWithTheSetAndTiesGoToTheLowerId) {
  const Selection s = by_scores("scores:k=3", {5, 1, 7, 7, 0, -1}, 6, 5).value();
  EXPECT_EQ(numbers(s.sets[0]), (Ids{2, 3, 5}));
  EXPECT_EQ(numbers(s.rankings[0]), (Ids{2, 3, 5, 0, 1, 4}));
  const Selection zeros = by_scores("scores:k=3", {0, -0.0F, 0, -0.0F}, 4, 3).value();
  EXPECT_EQ(numbers(zeros.rankings[0]), (Ids{0, 1, 3, 2}));
}

TEST(SelectByScores, ForcedBlocksCountInTheBudget) {
  const Selection s = by_scores("scores:k=4,sinks=1,recent=2", {-3, 1, 7, 9, 0, -1}, 1, 5).value();
  EXPECT_EQ(numbers(s.sets[0]), (Ids{0, 3, 4, 5}));
  EXPECT_EQ(numbers(s.rankings[0]), (Ids{3, 4, 5, 0}));  // no shallower than the set
}

TEST(SelectByScores, ShareIsRoundedUpAndHoldsTheForced) {
  EXPECT_EQ(by_scores("scores:share=0.4", {1, 2, 3, 4, 5, 6}, 0, 5)->sets[0].size(), 3U);
  EXPECT_EQ(by_scores("scores:share=0.5", {1, 2, 3, 4, 5, 6}, 0, 5)->sets[0].size(), 3U);
  EXPECT_EQ(by_scores("scores:share=0.1,sinks=1,recent=2", {1, 2, 3, 4, 5, 6}, 0, 5)->sets[0].size(), 3U);
  EXPECT_EQ(by_scores("scores:share=0.1,sinks=5,recent=5", {1, 2, 3}, 0, 2)->sets[0].size(), 3U);
}

TEST(SelectByScores, BlocksTakeTheirBestToken) {
  const Selection s = by_scores("scores:k=2,block=2", {0, 9, 3, 3, 8, 0, 1}, 4, 6).value();
  EXPECT_EQ(numbers(s.rankings[0]), (Ids{0, 3, 2, 1}));
}

TEST(SelectByScores, RouterTakesTheBestExpertsAndForcesNone) {
  const Selection s = by_scores("router:k=2", {0.1F, 0.9F, 0.5F, 0.2F}, 3, 0).value();
  EXPECT_EQ(numbers(s.sets[0]), (Ids{1, 2}));
  EXPECT_EQ(numbers(s.rankings[0]), (Ids{1, 2, 3}));
  EXPECT_EQ(selector("router").block_tokens(), 0U);
}

TEST(SelectByScores, ErrorsSayWhatIsWrong) {
  EXPECT_NE(by_scores("scores:k=3", {1, NAN, 2}, 0, 2).error().message.find("not finite"), std::string::npos);
  EXPECT_NE(by_scores("scores:k=3", {1, INFINITY, 2}, 0, 2).error().message.find("decode step 0"), std::string::npos);
  EXPECT_EQ(
      by_scores("scores:k=4", {1, 2, 3}, 0, 2).error().message,
      "scores: the budget is 4 blocks, but at decode step 0 (position 2) only 3 exist; give a smaller budget or a "
      "longer prompt");
  EXPECT_NE(by_scores("scores:k=1", {1, 2}, 0, 2).error().message.find("2 columns"), std::string::npos);
  EXPECT_NE(by_scores("router:k=3", {1, 2}, 0, 0).error().message.find("budget is 3"), std::string::npos);
  EXPECT_NE(by_scores("mass:k=1", {1, 2}, 0, 1).error().message.find("from queries"), std::string::npos);
}

TEST(SelectWindow, IsSinksAndRecent) {
  const Selector window = selector("window:sinks=2,recent=3");
  SelectInput input;
  input.first_position = 8;
  input.steps = 2;
  input.ranking_depth = 7;
  const Selection s = window.select(input, {}).value();
  EXPECT_EQ(numbers(s.sets[1]), (Ids{0, 1, 7, 8, 9}));
  EXPECT_EQ(numbers(s.rankings[1]), (Ids{9, 8, 7, 1, 0, 6, 5}));
  input.first_position = 3;
  EXPECT_NE(window.select(input, {}).error().message.find("budget is 5"), std::string::npos);
  input.steps = 0;
  EXPECT_NE(window.select(input, {}).error().message.find("number of decode steps"), std::string::npos);
}

TEST(SelectQuest, BoundOfAPageByHand) {
  // Page 0: keys (1, -2) and (3, 0); page 1: (2, 2) and (-1, 5); page 2, being written: (0, 0).
  const std::vector<float> keys{1, -2, 3, 0, 2, 2, -1, 5, 0, 0};
  const std::vector<float> queries{2, -1, 0, -1};  // two heads; their mean is (1, -1)
  Selector quest = selector("quest:page=2,pages=2", {2, 1, 2, 0});
  ASSERT_TRUE(quest.append_keys(TensorView::of(keys.data(), 1, 5, 2)));
  SelectInput input;
  input.queries = TensorView::of(queries.data(), 2, 1, 2);
  input.first_position = 4;
  input.ranking_depth = 3;
  const Selection s = quest.select(input, {}).value();  // bounds 3 + 2, 2 - 2, 0
  EXPECT_EQ(numbers(s.rankings[0]), (Ids{0, 2, 1}));
  EXPECT_EQ(quest.block_tokens(), 2U);

  Selector per_head = selector("quest-per-head:page=2,pages=1", {2, 1, 2, 0});
  ASSERT_TRUE(per_head.append_keys(TensorView::of(keys.data(), 1, 5, 2)));
  EXPECT_EQ(numbers(per_head.select(input, {})->sets[0]), (Ids{2}));
}

TEST(Selector, RefusesShapesThatDoNotFit) {
  EXPECT_NE(Selector::make(spec("mass"), {9, 4, 64, 0}).error().message.find("4 does not divide 9"), std::string::npos);
  EXPECT_FALSE(Selector::make(spec("mass"), {0, 1, 64, 0}));
  EXPECT_FALSE(Selector::make(spec("mass"), {1, 1, 0, 0}));
  EXPECT_FALSE(Selector::make(spec("mass"), {1, 1, 1, -1}));
  EXPECT_FALSE(Selector::make({"mess", {}}, kTiny));
  Selector mass = selector("mass:k=1");
  const std::vector<float> values(64, 1);
  EXPECT_EQ(mass.append_keys(TensorView::of(values.data(), 2, 2, 4)).error().message,
            "mass: keys must have the shape [KV heads, new tokens, head dim] = [1, any, 4], not [2, 2, 4]");
  EXPECT_EQ(mass.tokens(), 0U);
  ASSERT_TRUE(mass.append_keys(TensorView::of(values.data(), 1, 3, 4)));
  SelectInput input;
  EXPECT_FALSE(mass.select(input, {}));
  input.queries = TensorView::of(values.data(), 1, 1, 4);
  EXPECT_FALSE(mass.select(input, {}));
  input.queries = TensorView::of(values.data(), 2, 2, 4);
  input.first_position = 2;
  EXPECT_NE(mass.select(input, {}).error().message.find("only 3 keys were appended"), std::string::npos);
  input.first_position = 1;
  EXPECT_TRUE(mass.select(input, {}));
  input.steps = 3;
  EXPECT_FALSE(mass.select(input, {}));
}

TEST(Selector, RefusesNumbersThatAreNotFinite) {
  std::vector<float> values(8, 1);
  values[6] = NAN;
  Selector mass = selector("mass:k=1");
  EXPECT_EQ(mass.append_keys(TensorView::of(values.data(), 1, 2, 4)).error().message,
            "mass: keys: KV head 0, token 1 holds a value that is not finite (NaN or infinity)");
  EXPECT_EQ(mass.tokens(), 0U);
  ASSERT_TRUE(mass.append_keys(TensorView::of(values.data(), 1, 1, 4)));
  SelectInput input;
  input.queries = TensorView::of(values.data(), 2, 1, 4);
  EXPECT_NE(mass.select(input, {}).error().message.find("query head 1, decode step 0"), std::string::npos);

  const std::vector<float> huge(8, 1e30F);
  for (const char* text : {"mass:k=1", "quest:pages=1", "quest-per-head:pages=1", "scores:k=1", "top-p"}) {
    Selector overflows = selector(text);
    ASSERT_TRUE(overflows.append_keys(TensorView::of(huge.data(), 1, 1, 4)));
    input.queries = TensorView::of(huge.data(), 2, 1, 4);
    EXPECT_NE(overflows.select(input, {}).error().message.find("too large to multiply"), std::string::npos) << text;
  }
}

TEST(Selector, ReadsHalfPrecision) {
  // 1, -2, 65504, 2^-24 and 0.5 in half precision; 1, -2 and 3.140625 in bfloat16.
  const std::vector<std::uint16_t> half{0x3c00, 0xc000, 0x7bff, 0x0001, 0x3800};
  const std::vector<std::uint16_t> bfloat{0x3f80, 0xc000, 0x4049};
  const auto ranking = [](const std::vector<std::uint16_t>& keys, ElementType type) {
    const auto n = static_cast<std::uint32_t>(keys.size());
    Selector scores = selector("scores:k=1", {2, 1, 1, 0});
    TensorView view{keys.data(), type, {1, n, 1}, {0, 1, 1}};
    EXPECT_TRUE(scores.append_keys(view));
    const std::vector<float> queries{1, -1};  // ReLU(k) + w * ReLU(-k)
    const std::vector<float> weights{1, -1};
    SelectInput input;
    input.queries = TensorView::of(queries.data(), 2, 1, 1);
    input.head_weights = TensorView::of(weights.data(), 1, 1, 2);
    input.first_position = n - 1;
    input.ranking_depth = n;
    const Selection s = scores.select(input, {}).value();
    return numbers(s.rankings[0]);
  };
  EXPECT_EQ(ranking(half, ElementType::kFloat16), (Ids{4, 2, 0, 3, 1}));
  EXPECT_EQ(ranking(bfloat, ElementType::kBFloat16), (Ids{2, 0, 1}));
  Selector scores = selector("scores:k=1", {1, 1, 1, 0});
  const std::uint16_t infinite = 0x7c00;
  EXPECT_FALSE(scores.append_keys({&infinite, ElementType::kFloat16, {1, 1, 1}, {0, 0, 0}}));
}

TEST(SelectSnapKv, HasToSeeThePrompt) {
  const testing::SelectCase c = testing::make_select_case(kTiny, 20, 2, 3, false);
  Selector snapkv = selector("snapkv:k=8,window=4");
  EXPECT_EQ(snapkv.observed_queries(), 4U);
  ASSERT_TRUE(snapkv.append_keys(c.key_view(0, 22)));
  SelectInput input;
  input.queries = c.query_view(20, 2);
  input.first_position = 20;
  EXPECT_NE(snapkv.select(input, {}).error().message.find("observe"), std::string::npos);
  EXPECT_FALSE(snapkv.observe(c.query_view(0, 3), 17));   // too few
  EXPECT_FALSE(snapkv.observe(c.query_view(0, 4), 0));    // nothing to vote on
  EXPECT_FALSE(snapkv.observe(c.query_view(0, 20), 20));  // keys are missing
  ASSERT_TRUE(snapkv.observe(c.query_view(0, 20), 0));
  EXPECT_EQ(snapkv.select(input, {})->sets[1].size(), 10U);
  input.first_position = 19;
  EXPECT_FALSE(snapkv.select(input, {}));
  Selector small = selector("snapkv:k=3,window=4");
  ASSERT_TRUE(small.append_keys(c.key_view(0, 22)));
  EXPECT_NE(small.observe(c.query_view(0, 20), 0).error().message.find("observation window"), std::string::npos);
}

TEST(Selector, StopsOnRequest) {
  const testing::SelectCase c = testing::make_select_case(kTiny, 4, 4, 3, false);
  Selector mass = selector("mass:k=1");
  ASSERT_TRUE(mass.append_keys(c.key_view(0, 8)));
  SelectInput input;
  input.queries = c.query_view(4, 4);
  input.first_position = 4;
  Interrupt stop;
  stop.request();
  RunContext context;
  context.interrupt = &stop;
  EXPECT_EQ(mass.select(input, context).error().kind, ErrorKind::kInterrupted);
}

}  // namespace
}  // namespace kvplace
