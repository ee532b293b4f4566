// The worked example of docs/formulation.md: every number there, from a trace written and read back.
#include <gtest/gtest.h>

#include "kvplace/simulate/compare.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

std::vector<BlockId> ids(std::initializer_list<std::uint32_t> values) {
  std::vector<BlockId> out;
  for (const std::uint32_t v : values) {
    out.emplace_back(v);
  }
  return out;
}

class WorkedExample : public ::testing::Test {
 protected:
  void SetUp() override {
    TraceMeta meta;
    meta.layers = 1;
    meta.layout = {0, 1, 1, 3};
    meta.block_bytes = Bytes(1'000'000);
    Segment steps(StepIndex(0), 1);
    steps.add(ids({0, 1, 3}), ids({3}), {}, {});
    steps.add(ids({1, 2, 4}), ids({4}), {}, {});
    steps.add(ids({0, 1, 5}), ids({5}), {}, {});
    path_ = testing::write_trace(folder_.path("example.kvt"), meta, steps);
    spec_.hardware = testing::paper_machine();
    spec_.options.start = Start::kEmpty;
    spec_.options.near_blocks_per_layer = 3;
    spec_.options.weight_bytes_per_step = Bytes(10'000'000);
  }

  ReplayResult run(const std::string& policy) {
    const TraceReader trace = TraceReader::open(path_).value();
    const Instance instance = Instance::make(spec_, trace.meta(), trace.totals()).value();
    const std::vector<PolicySpec> policies{PolicyRegistry::instance().parse(policy).value()};
    return compare(trace, instance, policies, {}).value().results.front();
  }

  testing::TempDir folder_;
  std::string path_;
  InstanceSpec spec_;
};

TEST_F(WorkedExample, LruReadsFourFromFarInFourteenMicroseconds) {
  const ReplayResult lru = run("lru");
  EXPECT_EQ(lru.reads, 9u);
  EXPECT_EQ(lru.far_reads, 4u);
  EXPECT_EQ(lru.near_reads, 5u);
  EXPECT_NEAR(lru.total.value(), 14e-6, 1e-15);
  // far.mem: 3, 2 and 2 MB; far.link_write: the new KV of three steps.
  EXPECT_EQ(lru.channel_bytes[static_cast<std::size_t>(Channel::kFarMem)], 7'000'000);
  EXPECT_EQ(lru.channel_bytes[static_cast<std::size_t>(Channel::kFarLinkWrite)], 3'000'000);
}

TEST_F(WorkedExample, BeladyReadsThreeFromFar) {
  for (const std::string policy : {"belady", "belady-global"}) {
    const ReplayResult belady = run(policy);
    EXPECT_EQ(belady.far_reads, 3u) << policy;
    EXPECT_NEAR(belady.total.value(), 6e-6 + 4e-6 + 14e6 / 4900e9, 1e-15) << policy;
  }
}

TEST_F(WorkedExample, NewKvCanBeLeftOut) {
  spec_.options.new_kv = false;
  // Steps: 2 and 1 MB from far over the link of 450 GB/s, or near with 10 MB of weights, reads and promotions; 1 MB,
  // near again.
  EXPECT_NEAR(run("lru").total.value(), 2e6 / 450e9 + 13e6 / 4900e9 + 13e6 / 4900e9, 1e-15);
}

TEST_F(WorkedExample, ABatchOfTwoDoublesKvAndNotWeights) {
  spec_.options.batch = 2;
  const ReplayResult lru = run("lru");
  EXPECT_EQ(lru.far_reads, 4u);
  EXPECT_NEAR(lru.total.value(), 28e-6, 1e-15);
  EXPECT_NEAR(lru.tokens_per_second, 3 * 2 / 28e-6, 1e-3);
}

TEST_F(WorkedExample, WithoutOverlapTheSidesAddUp) {
  spec_.options.overlap = Overlap::kNone;
  // Near: weights 10, near reads 1, 2, 2; new KV 1; promotions 2, 1, 1 MB. Far as with overlap.
  EXPECT_NEAR(run("lru").total.value(), 14e-6 + (14e6 + 14e6 + 14e6) / 4900e9, 1e-15);
}

TEST_F(WorkedExample, ABarrierPerTokenIsTheSameWithOneLayer) {
  spec_.options.barrier = Barrier::kToken;
  EXPECT_NEAR(run("lru").total.value(), 14e-6, 1e-15);
}

TEST_F(WorkedExample, ExclusiveModeWritesNewKvToOneSideAndPaysForLeaving) {
  spec_.options.mode = Mode::kExclusive;
  const ReplayResult lru = run("lru");
  EXPECT_EQ(lru.far_reads, 4u);
  // Blocks 0 and 3, then 2 and 4 leave near; all new blocks are put near.
  EXPECT_EQ(lru.demotions, lru.evictions);
  EXPECT_EQ(lru.evictions, 4u);
  // Step 0: reads 2 MB. Steps 1 and 2: 1 MB read and 2 MB demoted share far.mem.
  EXPECT_NEAR(lru.total.value(), 2e6 / 450e9 + 3e6 / 500e9 + 3e6 / 500e9, 1e-15);
}

}  // namespace
}  // namespace kvplace
