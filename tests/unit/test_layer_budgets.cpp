// Budgets per layer: how shares divide the near capacity, what is near at the start, and the files they come from.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "instance/apportion.h"
#include "kvplace/base/config.h"
#include "kvplace/instance/layer_budgets.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/simulate/replay.h"
#include "kvplace/solve/bound.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

constexpr std::int64_t kBlock = 1000;

InstanceSpec spec_with(std::vector<double> shares, std::int64_t blocks) {
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.options.near_capacity = Bytes(blocks * kBlock + kBlock / 2);  // half a block serves nobody
  spec.options.layer_shares = std::move(shares);
  return spec;
}

Result<Instance> make_with(const InstanceSpec& spec, std::uint32_t layers = 3) {
  TraceMeta meta;
  meta.layers = layers;
  meta.layout = {0, 1, 1, 100};
  meta.block_bytes = Bytes(kBlock);
  TraceTotals totals;
  totals.steps = 50;
  totals.blocks_per_layer = 150;
  return Instance::make(spec, meta, totals);
}

std::vector<std::int64_t> blocks_of(const Instance& instance) {
  std::vector<std::int64_t> blocks;
  for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
    blocks.push_back(instance.layer_capacity(LayerIndex(layer)).value() / kBlock);
  }
  return blocks;
}

using Parts = std::vector<std::int64_t>;

TEST(LayerBudgets, WithoutSharesLayersGetEqualBytes) {
  const Instance instance = make_with(spec_with({}, 10)).value();
  EXPECT_EQ(instance.layer_capacity(LayerIndex(0)), Bytes(3500));
  EXPECT_EQ(instance.layer_capacity(LayerIndex(2)), Bytes(3500));
}

TEST(LayerBudgets, SharesGiveWholeBlocksByLargestRemainders) {
  EXPECT_EQ(blocks_of(make_with(spec_with({5, 3, 2}, 10)).value()), (Parts{5, 3, 2}));
  EXPECT_EQ(blocks_of(make_with(spec_with({1, 1, 1}, 10)).value()), (Parts{4, 3, 3}));
  EXPECT_EQ(blocks_of(make_with(spec_with({0, 1, 2}, 10)).value()), (Parts{0, 3, 7}));
  EXPECT_EQ(blocks_of(make_with(spec_with({0.05, 0.475, 0.475}, 10)).value()), (Parts{0, 5, 5}));
  EXPECT_EQ(blocks_of(make_with(spec_with({1e308, 1e308, 0}, 10)).value()), (Parts{5, 5, 0}));
}

TEST(LayerBudgets, PartsAddUpAndAreWithinOneOfTheirQuota) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 500; ++i) {
    std::vector<double> shares;
    double sum = 0;
    for (std::uint64_t l = 0; l < 1 + random() % 40; ++l) {
      shares.push_back(static_cast<double>(random() % 1000));
      sum += shares.back();
    }
    if (sum == 0) {
      continue;
    }
    const auto total = static_cast<std::int64_t>(random() % 100000);
    const Parts parts = apportion(shares, total);
    std::int64_t given = 0;
    for (std::size_t l = 0; l < shares.size(); ++l) {
      given += parts[l];
      EXPECT_NEAR(static_cast<double>(parts[l]), static_cast<double>(total) * shares[l] / sum, 1);
      EXPECT_TRUE(shares[l] > 0 || parts[l] == 0);
    }
    EXPECT_EQ(given, total);
    // What was divided into whole blocks comes back as it is.
    const std::vector<double> again(parts.begin(), parts.end());
    if (total > 0) {
      EXPECT_EQ(apportion(again, total), parts);
    }
  }
}

TEST(LayerBudgets, TheStartFillsEachLayerToItsOwnCapacity) {
  const Instance instance = make_with(spec_with({1, 0, 3}, 4)).value();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> near;
  for (const BlockIndex block : instance.initial_near()) {
    near.emplace_back(instance.layer_of(block).value(), instance.id_of(block).value());
  }
  EXPECT_EQ(near, (std::vector<std::pair<std::uint32_t, std::uint32_t>>{{2, 97}, {2, 98}, {0, 99}, {2, 99}}));
}

TEST(LayerBudgets, WrongSharesAreRefusedInOneSentence) {
  EXPECT_NE(make_with(spec_with({1, 2}, 10)).error().message.find("3 layers, but 2 layer budgets"), std::string::npos);
  EXPECT_NE(make_with(spec_with({1, -2, 3}, 10)).error().message.find("one is -2"), std::string::npos);
  EXPECT_NE(
      make_with(spec_with({1, std::numeric_limits<double>::infinity(), 3}, 10)).error().message.find("at least 0"),
      std::string::npos);
  EXPECT_NE(make_with(spec_with({1, std::nan(""), 3}, 10)).error().message.find("at least 0"), std::string::npos);
  EXPECT_NE(make_with(spec_with({0, 0, 0}, 10)).error().message.find("more than 0"), std::string::npos);
}

TEST(LayerBudgets, TextAndConfigurationComeBack) {
  EXPECT_EQ(parse_layer_shares("[2, 0.5,1]").value(), (std::vector<double>{2, 0.5, 1}));
  EXPECT_EQ(parse_layer_shares("2,1").value(), (std::vector<double>{2, 1}));
  for (const char* bad : {"", "[]", "[1", "1]", "1,", "a", "1;2", "1e999", "nan", "inf", "-1", "[0, 0]", "[[1]]"}) {
    EXPECT_FALSE(parse_layer_shares(bad).has_value()) << bad;
  }
  const InstanceSpec spec = spec_with({2, 0.5, 1}, 10);
  const auto entries = parse_toml(to_toml(spec), "t.toml").value();
  EXPECT_EQ(resolve_spec(entries, {}).value().options.layer_shares, spec.options.layer_shares);
  // A list set later replaces the one in the file.
  std::vector<ConfigEntry> two = entries;
  two.push_back({"options.layer_shares", "3,4", kSetFlag});
  EXPECT_EQ(resolve_spec(two, {}).value().options.layer_shares, (std::vector<double>{3, 4}));
}

TEST(LayerBudgets, FilesAreJsonOrToml) {
  const testing::TempDir folder;
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder.path(name)) << text;
    return folder.path(name);
  };
  EXPECT_EQ(read_layer_budgets(write("a.json", R"({"policy": "lru", "layer_budgets": [1, 2.5]})")).value(),
            (std::vector<double>{1, 2.5}));
  EXPECT_EQ(read_layer_budgets(write("a.toml", "layer_budgets = [1, 2.5]\npolicy = \"lru\"\n")).value(),
            (std::vector<double>{1, 2.5}));
  for (const char* bad :
       {"", "[1, 2]", "{}", R"({"layer_budgets": 3})", R"({"layer_budgets": ["a"]})", R"({"layer_budgets": [-1, 2]})",
        R"({"layer_budgets": []})", R"({"layer_budgets": [null]})"}) {
    const auto read = read_layer_budgets(write("b.json", bad));
    ASSERT_FALSE(read.has_value()) << bad;
    EXPECT_EQ(read.error().kind, ErrorKind::kBadInput);
  }
  EXPECT_FALSE(read_layer_budgets(write("b.toml", "budgets = [1]")).has_value());
  EXPECT_FALSE(read_layer_budgets(write("b.toml", "layer_budgets = [nan]")).has_value());
  EXPECT_FALSE(read_layer_budgets(write("b.txt", "1,2")).has_value());
  EXPECT_FALSE(read_layer_budgets(folder.path("missing.json")).has_value());
}

/// Layers of a policy with a buffer per layer do not know of each other: each does what it does when all have its size.
TEST(LayerBudgets, EachLayerDoesWhatItsOwnSizeSays) {
  const testing::TempDir folder;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    testing::RandomTraceShape shape;
    shape.seed = seed;
    shape.steps = 60;
    const TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), shape)).value();
    const std::vector<double> blocks{14, 3, 9};
    for (const Start start : {Start::kRecent, Start::kEmpty}) {
      InstanceSpec spec;
      spec.hardware = testing::paper_machine();
      spec.options.start = start;
      spec.options.near_capacity = Bytes(26 * kBlock);
      spec.options.layer_shares = blocks;
      const Instance unequal = Instance::make(spec, trace.meta(), trace.totals()).value();
      spec.options.layer_shares.clear();
      spec.options.near_capacity.reset();
      for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
        // Layers of `random` share one row of random numbers.
        if (!info.buffer_per_layer || info.requires_ranking || info.name == "random") {
          continue;
        }
        const PolicySpec policy = PolicyRegistry::instance().parse(info.name).value();
        const auto far_reads = [&](const Instance& instance) {
          const ReplayJob job{&instance, policy};
          return replay(trace, std::span(&job, 1), {}).value().front().far_reads_by_layer;
        };
        const auto found = far_reads(unequal);
        for (std::uint32_t layer = 0; layer < 3; ++layer) {
          spec.options.near_blocks_per_layer = static_cast<std::uint32_t>(blocks[layer]);
          const Instance equal = Instance::make(spec, trace.meta(), trace.totals()).value();
          EXPECT_EQ(found[layer], far_reads(equal)[layer]) << info.name << " layer " << layer;
        }
      }
    }
  }
}

/// A certificate does not know the start that unequal layers have; the bound is that of a free one.
TEST(LayerBudgets, TheBoundHoldsForUnequalStarts) {
  const testing::TempDir folder;
  testing::RandomTraceShape shape;
  shape.steps = 12;
  const TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), shape)).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.options.near_capacity = Bytes(12 * kBlock);
  spec.options.layer_shares = {10, 0, 2};
  const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
  const ProvenBound bound = solve_bound(trace, instance, {}, {}).value();
  EXPECT_EQ(bound.certificate.numbers.start, Start::kFree);
  EXPECT_EQ(bound.verified.bound, solve_bound(trace, instance.with_start(Start::kFree), {}, {}).value().verified.bound);
  for (const char* name : {"lru", "belady", "belady-global"}) {
    const ReplayJob job{&instance, PolicyRegistry::instance().parse(name).value()};
    EXPECT_GE(replay(trace, std::span(&job, 1), {}).value().front().total, bound.verified.bound) << name;
  }
}

}  // namespace
}  // namespace kvplace
