// Whatever is written to a .kvt is read back the same.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <vector>

#include "kvplace/trace/reader.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"
#include "trace/symmetric_difference.h"

namespace kvplace {
namespace {

RC_GTEST_PROP(Kvt, ReadsBackWhatWasWritten, ()) {
  testing::RandomTraceShape shape;
  shape.seed = *rc::gen::arbitrary<std::uint64_t>();
  shape.layers = *rc::gen::inRange(1u, 5u);
  shape.steps = *rc::gen::inRange(1u, 50u);
  shape.prompt_tokens = *rc::gen::element(0u, 1u, 63u, 64u, 65u, 700u);
  shape.block_tokens = *rc::gen::element(1u, 2u, 16u);
  shape.experts = *rc::gen::element(0u, 0u, 8u);
  shape.requests = *rc::gen::element(1u, 1u, 3u);
  shape.reads = *rc::gen::element(1u, 5u, 300u);
  shape.keep = *rc::gen::element(0.0, 0.5, 0.95);
  shape.ranking = *rc::gen::arbitrary<bool>();
  shape.read_bytes = *rc::gen::arbitrary<bool>();
  const std::size_t chunk_bytes = *rc::gen::element<std::size_t>(1, 100, 5000, 1 << 20);
  const testing::TempDir folder;
  const Segment written = testing::random_segment(shape);
  const TraceMeta meta = testing::meta_of(shape);
  const TraceReader trace =
      TraceReader::open(testing::write_trace(folder.path("t.kvt"), meta, written, chunk_bytes)).value();
  RC_ASSERT(trace.totals().steps == shape.steps);
  RC_ASSERT(trace.totals().reads == written.num_reads());
  RC_ASSERT(trace.meta().layout.experts == shape.experts);
  RC_ASSERT(trace.meta().block_bytes == meta.block_bytes);
  RC_ASSERT(trace.verify_digest().has_value());
  std::uint32_t step = 0;
  for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
    const Segment read = trace.chunk(i).value();
    RC_ASSERT(read.first_step() == step);
    for (; step < read.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
        const StepView a = written.view(step, layer);
        const StepView b = read.view(step, layer);
        RC_ASSERT(std::ranges::equal(a.reads, b.reads));
        RC_ASSERT(std::ranges::equal(a.appended, b.appended));
        RC_ASSERT(std::ranges::equal(a.ranking, b.ranking));
        RC_ASSERT(std::ranges::equal(a.read_bytes, b.read_bytes));
      }
    }
  }
  RC_ASSERT(step == shape.steps);
}

std::vector<BlockId> random_ids(std::uint32_t below) {
  const auto drawn = *rc::gen::container<std::set<std::uint32_t>>(rc::gen::inRange(0u, below));
  std::vector<BlockId> ids;
  for (const std::uint32_t id : drawn) {
    ids.emplace_back(id);
  }
  return ids;
}

RC_GTEST_PROP(SymmetricDifference, EqualsTheStandardLibrarys, ()) {
  const std::uint32_t below = *rc::gen::element(8u, 100u, 5000u);
  const std::vector<BlockId> before = random_ids(below);
  const std::vector<BlockId> now = random_ids(below);
  std::vector<std::uint32_t> found(before.size() + now.size());
  found.resize(symmetric_difference(before, now, found.data()));
  std::vector<BlockId> expected;
  std::set_symmetric_difference(before.begin(), before.end(), now.begin(), now.end(), std::back_inserter(expected));
  RC_ASSERT(std::equal(found.begin(), found.end(), expected.begin(), expected.end(),
                       [](std::uint32_t id, BlockId block) { return id == block.value(); }));
}

}  // namespace
}  // namespace kvplace
