// Studies: their points against nested loops, ranges, and what is refused.
#include <gtest/gtest.h>

#include <set>

#include "kvplace/sweep/compute.h"
#include "kvplace/sweep/study.h"

namespace kvplace {
namespace {

Study study_of(const std::string& text) {
  const Result<Study> study = parse_study(text, "s.toml");
  EXPECT_TRUE(study) << study.error().message;
  return study.value_or(Study());
}

std::string refusal_of(const std::string& text) {
  const Result<Study> study = parse_study(text, "s.toml");
  EXPECT_FALSE(study) << text;
  return study ? "" : study.error().message;
}

void expect_says(const std::string& text, const std::vector<std::string>& parts) {
  const std::string message = refusal_of(text);
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks " << part;
  }
}

TEST(Study, PointsAreThoseOfNestedLoops) {
  const Study study = study_of(R"(
trace = "t.kvt"
hardware = "gh200-144"
options.mode = "exclusive"
[grid]
"options.near_capacity" = ["1GiB", "2GiB", "3GiB"]
"hardware.far.link_read, hardware.far.link_write" = { from = "200GB/s", to = "400GB/s", step = "100GB/s" }
"model, options.batch" = [["llama-3.1-8b", "8"], ["llama-3.1-70b", "2"]]
[[points]]
options.mode = "inclusive"
[[points]]
options.barrier = "token"
)");
  std::size_t i = 0;
  for (const bool inclusive : {true, false}) {
    for (const char* capacity : {"1GiB", "2GiB", "3GiB"}) {
      for (const char* link : {"200GB/s", "300GB/s", "400GB/s"}) {
        for (const auto& [model, batch] : {std::pair("llama-3.1-8b", "8"), std::pair("llama-3.1-70b", "2")}) {
          ASSERT_LT(i, study.points.size());
          const StudyPoint& point = study.points[i++];
          EXPECT_EQ(said(point, "options.mode"), inclusive ? "inclusive" : "exclusive");
          EXPECT_EQ(said(point, "options.barrier"), inclusive ? std::nullopt : std::optional<std::string>("token"));
          EXPECT_EQ(said(point, "options.near_capacity"), capacity);
          EXPECT_EQ(said(point, "hardware.far.link_read"), link);
          EXPECT_EQ(said(point, "hardware.far.link_write"), link);
          EXPECT_EQ(said(point, "model"), model);
          EXPECT_EQ(said(point, "options.batch"), batch);
          EXPECT_EQ(said(point, "trace"), "t.kvt");
          EXPECT_EQ(point.varied.size(), 6u);
        }
      }
    }
  }
  EXPECT_EQ(i, study.points.size());
}

TEST(Study, PresetsComeBeforeTheFieldsThatChangeThem) {
  const Study study =
      study_of("trace = 't'\nhardware.far.link_read = '55GB/s'\n[grid]\nhardware = ['gh200-144', 'h100-sxm-pcie5']\n");
  for (const StudyPoint& point : study.points) {
    EXPECT_EQ(point.settings.front().key, "hardware");
    EXPECT_EQ(point.settings.back().key, "hardware.far.link_read");
  }
}

TEST(Study, PoliciesAreWrittenOutForEachValue) {
  const Study study =
      study_of("trace = 't'\npolicies = ['lru', 'sa-guided:w=5|10,r=0.25..0.75..0.25']\n[grid]\noptions.batch = [1]\n");
  const std::vector<std::string> all{"lru",
                                     "sa-guided:w=5,r=0.25",
                                     "sa-guided:w=5,r=0.5",
                                     "sa-guided:w=5,r=0.75",
                                     "sa-guided:w=10,r=0.25",
                                     "sa-guided:w=10,r=0.5",
                                     "sa-guided:w=10,r=0.75"};
  EXPECT_EQ(study.policies, all);
}

TEST(Study, RangesHoldBothEnds) {
  using Values = std::vector<std::string>;
  EXPECT_EQ(range_values("0.1", "0.5", "0.1").value(), (Values{"0.1", "0.2", "0.3", "0.4", "0.5"}));
  EXPECT_EQ(range_values("8GiB", "20GiB", "8GiB").value(), (Values{"8GiB", "16GiB"}));
  EXPECT_EQ(range_values("3", "1", "-1").value(), (Values{"3", "2", "1"}));
  EXPECT_EQ(range_values("5", "5", "1").value(), (Values{"5"}));
  EXPECT_EQ(spaced_values("1us", "100us", 3, true).value(), (Values{"1us", "10us", "100us"}));
  EXPECT_EQ(spaced_values("0", "1", 5, false).value(), (Values{"0", "0.25", "0.5", "0.75", "1"}));
  EXPECT_EQ(range_values("1,000", "3,000", "1,000").value(), (Values{"1000", "2000", "3000"}));
  for (const auto& [from, to, step] :
       {std::tuple("1", "5", "-1"), std::tuple("5", "1", "1"), std::tuple("1", "2", "0"),
        std::tuple("1GB/s", "2GiB", "1GB/s"), std::tuple("1GB/s", "2GB/s", "1"), std::tuple("a", "b", "c")}) {
    EXPECT_FALSE(range_values(from, to, step)) << from << " " << to << " " << step;
  }
}

TEST(Study, NumbersAreInBaseUnits) {
  EXPECT_EQ(quantity_of("2GiB")->number, 2.0 * (1 << 30));
  EXPECT_EQ(quantity_of("450GB/s")->number, 450e9);
  EXPECT_EQ(quantity_of("450GB/s")->unit, "bytes/s");
  EXPECT_EQ(quantity_of("3us")->unit, "s");
  EXPECT_EQ(quantity_of("0.5")->number, 0.5);
  EXPECT_FALSE(quantity_of("gh200-144"));
}

TEST(Study, WhatIsWrongIsToldWithItsLine) {
  const std::string head = "trace = 't'\n";
  expect_says(head + "[grid]\noptions.bacth = [1]\n", {"s.toml:3", "options.bacth", "\"options.batch\""});
  expect_says("trce = 't'\n[grid]\noptions.batch = [1]\n", {"s.toml:1", "trce", "\"trace\""});
  expect_says(head + "hardware.far.link_raed = '5GB/s'\n[grid]\noptions.batch = [1]\n", {"s.toml:2", "link_read"});
  expect_says(head + "[grid]\ngenerator.budget.shrae = [0.5]\n", {"s.toml:3", "budget.share"});
  expect_says(head + "[grid]\noptions.batch = []\n", {"s.toml:3", "empty list"});
  expect_says(head + "[grid]\n", {"s.toml", "nothing varies"});
  expect_says(head + "[grid]\noptions.batch = ['two']\n", {"s.toml:3", "two"});
  expect_says(head + "[grid]\nhardware = ['gh20']\n", {"s.toml:3", "gh20"});
  expect_says(head + "[grid]\noptions.batch = { from = 1, to = 5 }\n", {"s.toml:3", "step"});
  expect_says(head + "[grid]\noptions.batch = { from = 5, to = 1, step = 1 }\n", {"s.toml:3", "no value"});
  expect_says(head + "[grid]\n'options.batch,options.gpus' = [[1, 2, 3]]\n", {"s.toml:3", "one for each"});
  expect_says(head + "[grid]\noptions.batch = [1]\n'options.batch, options.gpus' = [1]\n", {"s.toml:4", "twice"});
  expect_says(head + "policies = ['lur']\n[grid]\noptions.batch = [1]\n", {"s.toml:2", "lur", "lru"});
  expect_says(head + "policies = ['sa-guided:w=1..5']\n[grid]\noptions.batch = [1]\n", {"s.toml:2", "no step"});
  expect_says(head + "compute = 'comapre'\n[grid]\noptions.batch = [1]\n", {"s.toml:2", "\"compare\""});
  expect_says(head + "compute = 'size'\n[grid]\noptions.batch = [1]\n", {"target"});
  expect_says("[grid]\noptions.batch = [1]\n", {"no trace is named"});
  expect_says(head + "workload = 'dense'\n[grid]\noptions.batch = [1]\n", {"two traces"});
  expect_says(head +
                  "[grid]\noptions.batch = { from = 1, to = 2000, step = 1 }\n"
                  "options.seed = { from = 1, to = 2000, step = 1 }\n",
              {"more than 1000000 points"});
}

TEST(Study, ItsIdentityIsWhatIsComputed) {
  const std::string text = "trace = 't'\n[grid]\noptions.batch = [1, 2]\n";
  const std::string same = "# a remark\nname = 'other'\n" + text;
  EXPECT_EQ(study_of(text).identity, study_of(same).identity);
  std::set<std::string> all{study_of(text).identity};
  for (const std::string other :
       {"trace = 't'\n[grid]\noptions.batch = [1, 3]\n", "trace = 't'\n[grid]\noptions.batch = [2, 1]\n",
        "trace = 'u'\n[grid]\noptions.batch = [1, 2]\n",
        "trace = 't'\npolicies = 'lru'\n[grid]\noptions.batch = [1, 2]\n",
        "trace = 't'\ncompute = 'bound'\n[grid]\noptions.batch = [1, 2]\n"}) {
    EXPECT_TRUE(all.insert(study_of(other).identity).second) << other;
  }
}

TEST(Study, BatchesDivideWhatIsPendingAndKeepTracesApart) {
  std::string text = "policies = ['lru', 'fifo']\n[grid]\ntrace = ['a', 'b', 'c']\n";
  text += "options.near_blocks_per_layer = { from = 1, to = 30, step = 1 }\n";
  text += "hardware.far.link_read = { from = '10GB/s', to = '90GB/s', step = '10GB/s' }\n";
  const Study study = study_of(text);
  std::vector<std::uint32_t> pending;
  for (std::uint32_t i = 0; i < study.points.size(); i += i % 7 == 0 ? 2 : 1) {
    pending.push_back(i);
  }
  std::multiset<std::uint32_t> batched;
  for (const std::vector<std::uint32_t>& batch : sweep_batches(study, pending)) {
    ASSERT_FALSE(batch.empty());
    for (const std::uint32_t point : batch) {
      batched.insert(point);
      EXPECT_EQ(said(study.points[point], "trace"), said(study.points[batch.front()], "trace"));
    }
  }
  EXPECT_EQ(batched, std::multiset<std::uint32_t>(pending.begin(), pending.end()));
}

}  // namespace
}  // namespace kvplace
