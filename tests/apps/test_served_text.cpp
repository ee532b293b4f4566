// What the command says of a served batch, against its condition worked out anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kvplace/trace/writer.h"
#include "served_text.h"
#include "simulate/token_times.h"
#include "support/paper_machine.h"
#include "support/random_case.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

/// Two requests of a token per block: the second comes when the first has run for two decode steps.
struct ServedTrace {
  ServedTrace() : path(folder.path("t.kvt")) {
    TraceMeta meta;
    meta.layers = 1;
    meta.layout = BlockLayout::of(ServedRequests::make({{4, 0, 3}, {2, 2, 5}}, 1, 0, true).value(), 0, 1);
    TraceWriter writer = TraceWriter::create(path, meta).value();
    for (std::uint32_t step = 0; step < 5; ++step) {
      StepView record;
      record.step = StepIndex(step);
      EXPECT_TRUE(writer.add(record));
    }
    EXPECT_TRUE(writer.finish());
  }

  [[nodiscard]] Instance instance() const {
    const TraceReader trace = TraceReader::open(path).value();
    InstanceSpec spec;
    spec.hardware = testing::paper_machine();
    spec.options.block_bytes = Bytes(4096);
    spec.options.near_capacity = Bytes(16384);
    return Instance::make(spec, trace.meta(), trace.totals()).value();
  }

  testing::TempDir folder;
  std::string path;
};

ReplayResult result_of(const std::string& policy, double seconds) {
  ReplayResult result;
  result.found_by = result.policy.name = policy;
  result.total = Seconds(seconds);
  result.token_times = {Seconds(seconds / 5), Seconds(seconds / 4)};
  return result;
}

TEST(ServedText, OneBufferForAllTakesLessOrMoreTimeThanOneForEach) {
  const ServedTrace trace;
  const Instance instance = trace.instance();
  const auto says = [&](std::vector<ReplayResult> results, bool complete, const std::string& what) {
    Comparison comparison;
    comparison.results = std::move(results);
    comparison.complete = complete;
    return cli::served_table(comparison, instance).find(what) != std::string::npos;
  };
  const std::string pool = "One buffer per layer for all requests (lru) takes ";
  const ReplayResult fixed = result_of("hisparse", 2);
  EXPECT_TRUE(says({fixed, result_of("lru", 1)}, true, pool + "50.0 % less time than a fixed one for each of 2"));
  EXPECT_TRUE(says({fixed, result_of("lru", 2.5)}, true, pool + "25.0 % more time than"));
  EXPECT_TRUE(says({fixed, result_of("lru", 2.005)}, true, pool + "as much time as"));
  EXPECT_FALSE(says({fixed, result_of("lru", 1)}, false, pool));
  EXPECT_FALSE(says({fixed, result_of("fifo", 1)}, true, pool));
}

TEST(ServedText, HalfOfAllTokensComeWithinTheMedian) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    testing::RandomCase random(seed, {});
    TokenTimes times;
    std::vector<double> tokens;  // the time of each
    for (std::uint32_t step = 0; step < 1 + random.below(20); ++step) {
      const Seconds time(random.one_of({0.1, 0.2, 0.3, 0.5, 0.8}));
      const std::uint32_t count = 1 + random.below(6);
      times.add(time * 0.5);
      times.add(time * 0.5);
      times.end_step(count);
      tokens.insert(tokens.end(), count, time.value());
    }
    std::sort(tokens.begin(), tokens.end());
    for (const double share : {0.5, 0.99}) {
      const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(tokens.size()))) - 1;
      EXPECT_DOUBLE_EQ(times.quantile(share).value(), tokens[rank]);
    }
  }
}

}  // namespace
}  // namespace kvplace
