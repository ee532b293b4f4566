// The parts of the flagship against what they stand for, and the whole against LRU on every bundled trace.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "kvplace/simulate/compare.h"
#include "policy/support/far_cost.h"
#include "policy/support/read_chance.h"
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
  double since = 1;

  double step(bool read, double x) {
    const double hit = read ? 1 : 0;
    reads_20 = 0.95 * reads_20 + 0.05 * hit;
    reads_100 = 0.99 * reads_100 + 0.01 * hit;
    if (scored_by == ScoredBy::kRanks) {
      first = 0.8 * first + 0.2 * x;
      second = std::max(second - 0.015, x);
      return 0.482 * x + 0.625 * first + 0.412 * second + 2.56 * reads_20 + 0.324 * std::log(reads_100 + 0.002);
    }
    first = 0.5 * first + 0.5 * hit;
    second = 0.8 * second + 0.2 * hit;
    since = read ? 0 : since + 1;
    return 0.657 * first + 0.643 * second + 2.394 * reads_20 + 0.535 * std::log(reads_100 + 0.002) -
           0.276 * std::log(1 + since);
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
    slots.add(BlockIndex(static_cast<std::uint32_t>(i)), start, 0, 0);
    naive.push_back({scored_by, start.first, start.second, start.reads_20, start.reads_100});
  }
  for (int step = 0; step < 200; ++step) {
    slots.clear_ranks({-1, kUnranked});
    std::vector<double> expected;
    for (std::size_t slot = 0; slot < blocks; ++slot) {
      const bool read = random() % 3 == 0;
      const double x = read ? rank_value(static_cast<double>(random() % 10), 10) : -1;
      if (read) {
        slots.mark_read(slot, step + 1);
        slots.mark_rank(slot, {static_cast<float>(x), 0});
      }
      expected.push_back(naive[slot].step(read, x));
    }
    slots.advance({}, step + 1, 0);
    for (std::size_t slot = 0; slot < blocks; ++slot) {
      RC_ASSERT(std::abs(slots.score(slot) - expected[slot]) < 2e-3);
    }
  }
}

/// Leaving for some steps is the same as staying that long without a read and without a rank.
RC_GTEST_PROP(Flagship, WhatIsAwayAgesAsIfItHadStayedUnread, ()) {
  const std::uint32_t away = *rc::gen::inRange(1u, 60u);
  BlockHistory history = newborn_history(ScoredBy::kReads, 0);
  NaiveScore naive{ScoredBy::kReads, history.first, history.second, history.reads_20, history.reads_100};
  for (std::uint32_t step = 0; step < away; ++step) {
    naive.step(false, 0);
  }
  history = aged(ScoredBy::kReads, history, away);
  RC_ASSERT(std::abs(history.first - naive.first) < 1e-4);
  RC_ASSERT(std::abs(history.second - naive.second) < 1e-4);
  RC_ASSERT(std::abs(history.reads_20 - naive.reads_20) < 1e-4);
  RC_ASSERT(std::abs(history.reads_100 - naive.reads_100) < 1e-4);
}

/// Blocks of two ages and two scores, read with chances that are none the tables begin with.
TEST(Flagship, LearnsTheChancesOfAStream) {
  constexpr std::uint32_t kBlocks = 400;
  std::mt19937 random(7);
  ScoreCounts common;
  ReadChance chance(common);
  std::vector<std::int32_t> last_read(kBlocks, 0);
  const auto score_of = [](std::uint32_t block) { return block % 2 == 0 ? -1.1F : 1.1F; };
  const auto traits_of = [](std::uint32_t block) {
    return BlockTraits{0, 0, static_cast<std::uint8_t>(block / 2 % 2), 10000};
  };
  // Chances per step: a factor of the score times one of the age, as the tables have it.
  const auto per_step = [](std::uint32_t block) {
    return (block % 2 == 0 ? 0.02 : 0.06) * (block / 2 % 2 == 0 ? 1 : 2);
  };
  for (std::uint32_t step = 0; step < 4000; ++step) {
    for (std::uint32_t block = 0; block < kBlocks; ++block) {
      if (static_cast<double>(random() % 100000) < per_step(block) * 100000) {
        last_read[block] = static_cast<std::int32_t>(step) + 1;
      }
    }
    chance.begin_step(step, [&](BlockIndex block) { return last_read[block.value()]; });
    for (std::uint32_t block = random() % 8; block < kBlocks; block += 8) {
      const float value = chance.log_chance(score_of(block), traits_of(block));
      chance.sample(BlockIndex(block), score_of(block), traits_of(block), value);
    }
  }
  for (std::uint32_t block = 0; block < 4; ++block) {
    const double truth = 1 - std::pow(1 - per_step(block), ReadChance::kHorizon);
    const double learned = std::exp(chance.log_chance(score_of(block), traits_of(block)));
    EXPECT_NEAR(learned / truth, 1, 0.15) << "block " << block;
  }
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
  StepInput input{StepIndex(0), LayerIndex(1), {}, {}, {}, {}, {}};
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

/// What far is said to have time for fits into the step, and a block more does not.
RC_GTEST_PROP(Flagship, FarIsIdleAsLongAsNearWorks, ()) {
  const Instance instance = some_instance();
  const StepTime& time = instance.step_time();
  FarCost cost;
  cost.start(instance);  // every hit is worth a far read until steps have shown otherwise
  StepInput input{StepIndex(0), LayerIndex(0), {}, {}, {}, {}, {}};
  input.loads.add(Transfer::kReadNear, Bytes(*rc::gen::inRange(0, 100'000'000)), 1);
  input.loads.add(Transfer::kReadFar, Bytes(*rc::gen::inRange(0, 20'000'000)), 1);
  cost.observe(input);
  const Bytes idle = cost.idle(LayerIndex(0));
  const bool near_waits = time.bottleneck(input.loads) == Channel::kNearMem;
  RC_ASSERT(idle >= Bytes(0));
  RC_ASSERT(near_waits || idle == Bytes(0));
  if (near_waits) {
    Loads filled = input.loads;
    filled.add(Transfer::kReadFar, idle, 1);
    RC_ASSERT(time(filled).value() == time(input.loads).value());
    filled.add(Transfer::kReadFar, Bytes(2), 1);
    RC_ASSERT(time(filled).value() > time(input.loads).value());
  }
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
