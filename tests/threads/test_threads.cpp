// Each function of the library that has threads, with one and with four of them: the same result, and under the thread
// sanitizer no race.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "kvplace/bound/verify.h"
#include "kvplace/generate/generate.h"
#include "kvplace/generate/twin.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/size/miss_curve.h"
#include "kvplace/solve/bound.h"
#include "kvplace/solve/plan.h"
#include "kvplace/trace/statistics.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

RunContext with_threads(unsigned threads) {
  RunContext context;
  context.threads = threads;
  return context;
}

/// A trace of many small chunks, and an instance at which placement matters.
class Threads : public ::testing::Test {
 protected:
  Threads() {
    testing::RandomTraceShape shape;
    shape.layers = 6;
    shape.steps = 60;
    shape.prompt_tokens = 120;
    shape.reads = 12;
    trace_ = TraceReader::open(testing::write_random_trace(folder_.path("t.kvt"), shape)).value();
    InstanceSpec spec;
    spec.hardware = testing::paper_machine();
    spec.options.near_blocks_per_layer = 16;
    instance_ = Instance::make(spec, trace_->meta(), trace_->totals()).value();
  }

  testing::TempDir folder_;
  std::optional<TraceReader> trace_;
  std::optional<Instance> instance_;
};

TEST_F(Threads, Replay) {
  std::array<std::vector<ReplayResult>, 2> results;
  for (std::size_t i = 0; i < 2; ++i) {
    results[i] =
        compare(*trace_, *instance_, default_policies(*instance_), with_threads(i == 0 ? 1 : 4)).value().results;
  }
  ASSERT_EQ(results[0].size(), results[1].size());
  ASSERT_GT(results[0].size(), 3u);
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_EQ(results[0][i].total, results[1][i].total) << results[0][i].policy.text();
    EXPECT_EQ(results[0][i].far_reads_by_layer, results[1][i].far_reads_by_layer) << results[0][i].policy.text();
  }
}

TEST_F(Threads, SearchAndVerification) {
  std::array<std::string, 2> exact;
  for (std::size_t i = 0; i < 2; ++i) {
    const RunContext context = with_threads(i == 0 ? 1 : 4);
    const ProvenBound proven = solve_bound(*trace_, *instance_, {}, context).value();
    exact[i] = proven.verified.bound_exact;
    EXPECT_EQ(verify(*trace_, proven.certificate, context).value().bound_exact, exact[i]);
  }
  EXPECT_EQ(exact[0], exact[1]);
}

TEST_F(Threads, Plan) {
  std::array<std::string, 2> written;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string path = folder_.path("plan.kvs");
    ASSERT_TRUE(plan_schedule(*trace_, *instance_, {}, path, with_threads(i == 0 ? 1 : 4)));
    written[i] = testing::TempDir::read(path);
  }
  EXPECT_FALSE(written[0].empty());
  EXPECT_EQ(written[0], written[1]);
}

TEST_F(Threads, Statistics) {
  const TraceStatistics one = compute_statistics(*trace_, with_threads(1)).value();
  const TraceStatistics four = compute_statistics(*trace_, with_threads(4)).value();
  EXPECT_GT(one.overlap, 0);
  EXPECT_EQ(one.overlap_by_layer, four.overlap_by_layer);
  EXPECT_EQ(one.lru.miss_ratio, four.lru.miss_ratio);
  EXPECT_EQ(one.lru_pooled.miss_ratio, four.lru_pooled.miss_ratio);
}

TEST_F(Threads, MissCurves) {
  const std::vector<std::uint32_t> reference(trace_->meta().layers, 16);
  for (const char* name : {"lru", "slru"}) {
    const PolicySpec policy = PolicyRegistry::instance().parse(name).value();
    EXPECT_EQ(measure_miss_curves(*trace_, *instance_, policy, reference, with_threads(1)).value(),
              measure_miss_curves(*trace_, *instance_, policy, reference, with_threads(4)).value());
  }
}

TEST_F(Threads, TwinAndItsTrace) {
  std::array<std::string, 2> written;
  for (std::size_t i = 0; i < 2; ++i) {
    const RunContext context = with_threads(i == 0 ? 1 : 4);
    const std::string path = folder_.path("twin.kvt");
    const Twin twin = Twin::fit(*trace_, context).value();
    ASSERT_TRUE(generate_trace(twin.config({}), path, {}, context));
    written[i] = testing::TempDir::read(path);
  }
  EXPECT_FALSE(written[0].empty());
  EXPECT_EQ(written[0], written[1]);
}

}  // namespace
}  // namespace kvplace
