// The parts of the flagship against what they stand for, and the whole against LRU on every bundled trace.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <random>

#include "kvplace/simulate/compare.h"
#include "policy/support/copies_ahead.h"
#include "policy/support/far_cost.h"
#include "policy/support/marginal_reads.h"
#include "policy/support/value_slots.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

/// docs/flagship.md's formulas in double precision, one block.
struct NaiveScore {
  ScoredBy scored_by;
  double first;
  double second;
  double reads_20;
  double reads_100;
  double since;  // the last read

  double step(bool read, double x) {
    const double hit = read ? 1 : 0;
    reads_20 = 0.95 * reads_20 + 0.05 * hit;
    reads_100 = 0.99 * reads_100 + 0.01 * hit;
    since = read ? 0 : since + 1;
    if (scored_by == ScoredBy::kRanks) {
      first = 0.8 * first + 0.2 * x;
      second = std::max(second - 0.015, x);
      return 0.482 * x + 0.625 * first + 0.412 * second + 2.56 * reads_20 + 0.2 * std::log(reads_100 + 0.002) -
             0.5 * std::log(1 + since);
    }
    first = 0.5 * first + 0.5 * hit;
    second = 0.8 * second + 0.2 * hit;
    return 0.657 * first + 0.643 * second + 2.394 * reads_20 + 0.535 * std::log(reads_100 + 0.002) -
           0.65 * std::log(1 + since);
  }
};

RC_GTEST_PROP(Flagship, ScoresAreTheFormulas, ()) {
  const ScoredBy scored_by = *rc::gen::element(ScoredBy::kRanks, ScoredBy::kReads);
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  ValueSlots slots(scored_by, true);
  std::vector<NaiveScore> naive;
  const std::size_t blocks = *rc::gen::inRange<std::size_t>(1, 40);
  for (std::size_t i = 0; i < blocks; ++i) {
    const BlockHistory start = random() % 2 == 0 ? newborn_history(scored_by, 1.5F) : unknown_history(scored_by);
    const auto away = static_cast<std::int32_t>(random() % 100);
    slots.add(BlockIndex(static_cast<std::uint32_t>(i)), start, -away);
    naive.push_back({scored_by, start.first, start.second, start.reads_20, start.reads_100, 1.0 * away});
  }
  for (int step = 0; step < 200; ++step) {
    slots.clear_ranks(-1);
    std::vector<double> expected;
    for (std::size_t slot = 0; slot < blocks; ++slot) {
      const bool read = random() % 3 == 0;
      const double x = read ? rank_value(static_cast<double>(random() % 10), 10) : -1;
      if (read) {
        slots.mark_read(slot, step + 1);
        slots.mark_rank(slot, static_cast<float>(x));
      }
      expected.push_back(naive[slot].step(read, x));
    }
    slots.advance(step + 1);
    for (std::size_t slot = 0; slot < blocks; ++slot) {
      RC_ASSERT(std::abs(slots.value(slot) - expected[slot]) < 2e-3);
    }
  }
}

/// Leaving for some steps is the same as staying that long without a read and without a rank.
RC_GTEST_PROP(Flagship, WhatIsAwayAgesAsIfItHadStayedUnread, ()) {
  const std::uint32_t away = *rc::gen::inRange(1u, 60u);
  BlockHistory history = newborn_history(ScoredBy::kReads, 0);
  NaiveScore naive{ScoredBy::kReads, history.first, history.second, history.reads_20, history.reads_100, 0};
  for (std::uint32_t step = 0; step < away; ++step) {
    naive.step(false, 0);
  }
  history = aged(ScoredBy::kReads, history, away);
  RC_ASSERT(std::abs(history.first - naive.first) < 1e-4);
  RC_ASSERT(std::abs(history.second - naive.second) < 1e-4);
  RC_ASSERT(std::abs(history.reads_20 - naive.reads_20) < 1e-4);
  RC_ASSERT(std::abs(history.reads_100 - naive.reads_100) < 1e-4);
}

/// What leaves is always a block of the least value, whatever came in, left or changed in between.
RC_GTEST_PROP(Flagship, TheLeastValueIsFound, ()) {
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  ValueSlots slots(ScoredBy::kReads, true);
  std::map<std::uint32_t, float> values;  // by BlockIndex, of what was not taken
  std::map<std::uint32_t, std::size_t> slot_of;
  std::uint32_t next = 0;
  const auto add = [&] {
    slot_of[next] = slots.size();
    slots.add(BlockIndex(next++), newborn_history(ScoredBy::kReads, 0), 1 - static_cast<std::int32_t>(random() % 50));
  };
  for (int step = 1; step < 20; ++step) {
    for (std::size_t i = random() % 12; i > 0; --i) {
      add();
    }
    slots.advance(step);
    values.clear();
    for (const auto& [block, slot] : slot_of) {
      values[block] = slots.value(slot);
    }
    for (std::size_t i = random() % 10; i > 0 && !values.empty(); --i) {
      if (random() % 4 == 0) {
        values[next] = static_cast<float>(random() % 16) / 4 - 4;
        add();
        slots.set_value(slots.size() - 1, values[next - 1]);
      }
      const float least = std::min_element(values.begin(), values.end(), [](const auto& a, const auto& b) {
                            return a.second < b.second;
                          })->second;
      RC_ASSERT(slots.least() == least);
      const BlockIndex taken = slots.take_least();
      RC_ASSERT(values.at(taken.value()) == least);
      values.erase(taken.value());
      const std::size_t slot = slot_of.at(taken.value());
      slots.remove(slot);
      slot_of.erase(taken.value());
      if (slot < slots.size()) {
        slot_of[slots.block(slot).value()] = slot;
      }
    }
    RC_ASSERT(slots.size() == slot_of.size());
  }
}

/// Two layers whose marginal blocks are read with chances of 0.1 and 0.3.
TEST(Flagship, LearnsWhichLayersMarginIsReadMore) {
  MarginalReads margin;
  margin.start(2);
  std::mt19937 random(7);
  for (int step = 0; step < 4000; ++step) {
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      std::binomial_distribution<std::size_t> reads(50, layer == 0 ? 0.1 : 0.3);
      margin.learn(LayerIndex(layer), 50, reads(random));
    }
  }
  EXPECT_NEAR(margin.bias(LayerIndex(1)) - margin.bias(LayerIndex(0)), std::log(3), 0.1);
}

/// Of a random trace on the paper's machine.
Instance some_instance() {
  const testing::TempDir folder;
  const testing::RandomTraceShape shape;
  const TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), shape)).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  return Instance::make(spec, trace.meta(), trace.totals()).value();
}

struct Sides {
  float log_worth;
  bool hold_back;
};

/// What FarCost says after many steps with so many bytes on each side.
Sides after_steps(std::int64_t near_bytes, std::int64_t far_bytes) {
  const Instance instance = some_instance();
  FarCost cost;
  cost.start(instance);
  StepInput input{StepIndex(0), LayerIndex(1), {}, {}, {}, {}, 0, {}, {}};
  input.loads.add(Transfer::kReadNear, Bytes(near_bytes), 1);
  input.loads.add(Transfer::kReadFar, Bytes(far_bytes), 1);
  for (int step = 0; step < 500; ++step) {
    cost.observe(input);
  }
  return {cost.log_worth(LayerIndex(1)), cost.hold_back(LayerIndex(1))};
}

TEST(Flagship, HitsAreWorthNothingWhereNearIsTheSlowerSide) {
  const Sides far_waits = after_steps(1'000'000, 1'000'000);  // 4,900 against 450 GB/s
  EXPECT_EQ(far_waits.log_worth, 0);
  EXPECT_FALSE(far_waits.hold_back);
  const Sides near_waits = after_steps(100'000'000, 1'000'000);
  EXPECT_LT(near_waits.log_worth, -1);
  EXPECT_TRUE(near_waits.hold_back);
}

/// Candidates are taken in the order of their ranks' values and what a hit is worth, none where copies do not pay.
TEST(Flagship, CopiesTheBestRankedOfTheLayersWhereThatPays) {
  const Instance instance = some_instance();
  FarCost cost;
  cost.start(instance);  // every hit is worth a far read until steps have shown otherwise
  CopiesAhead copies;
  copies.start(2);
  EXPECT_TRUE(copies.offer(LayerIndex(0), {BlockIndex(3), -0.25F}));
  EXPECT_TRUE(copies.offer(LayerIndex(0), {BlockIndex(1), -0.75F}));
  EXPECT_TRUE(copies.offer(LayerIndex(1), {BlockIndex(9), -0.5F}));
  for (const std::uint32_t block : {3U, 9U, 1U}) {
    EXPECT_EQ(copies.take_best(cost)->block, BlockIndex(block));
  }
  EXPECT_FALSE(copies.take_best(cost));
  EXPECT_TRUE(copies.offer(LayerIndex(1), {BlockIndex(8), -0.5F}));
  StepInput input{StepIndex(0), LayerIndex(1), {}, {}, {}, {}, 0, {}, {}};
  input.loads.add(Transfer::kReadNear, Bytes(100'000'000), 1);
  for (int step = 0; step < 500; ++step) {
    cost.observe(input);
  }
  EXPECT_FALSE(copies.take_best(cost));  // near is what steps of layer 1 wait for
}

/// Never slower than LRU per layer.
TEST(Flagship, IsNeverWorseThanLruOnABundledTrace) {
  for (const auto& file : std::filesystem::directory_iterator(KVPLACE_SOURCE_DIR "/data")) {
    if (file.path().extension() != ".kvt") {
      continue;
    }
    const TraceReader trace = TraceReader::open(file.path().string()).value();
    const double reads =
        static_cast<double>(trace.totals().reads) / trace.totals().steps / static_cast<double>(trace.meta().layers);
    for (const double multiple : {1.5, 2.0, 3.0, 4.0}) {
      for (const double link_gb_per_s : {55.0, 450.0}) {
        InstanceSpec spec;
        spec.hardware = testing::paper_machine();
        spec.hardware.far.link_read.spec = BytesPerSecond(link_gb_per_s * 1e9);
        spec.options.near_blocks_per_layer = static_cast<std::uint32_t>(std::lround(multiple * reads));
        spec.options.weight_bytes_per_step = Bytes(0);
        spec.options.block_bytes = Bytes(768 * std::int64_t{trace.meta().layout.block_tokens});
        const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
        std::vector<ReplayJob> jobs;
        for (const char* name : {"lru", "kvplace", "kvplace-reads"}) {
          jobs.push_back({&instance, PolicyRegistry::instance().parse(name).value()});
        }
        const std::vector<ReplayResult> results = replay(trace, jobs, RunContext()).value();
        for (std::size_t i = 1; i < results.size(); ++i) {
          EXPECT_LE(results[i].total.value(), results[0].total.value())
              << file.path() << ' ' << results[i].policy.name << ' ' << multiple << " k, " << link_gb_per_s << " GB/s";
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvplace
