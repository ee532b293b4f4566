// Whatever is written to a .kvt is read back the same.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "kvplace/trace/reader.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"
#include "trace/byte_order.h"
#include "trace/kvt_format.h"
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
  shape.tokens = *rc::gen::element(1u, 1u, 5u);
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
        RC_ASSERT(std::ranges::equal(a.written_tokens, b.written_tokens));
        RC_ASSERT(a.tokens == b.tokens);
      }
    }
  }
  RC_ASSERT(step == shape.steps);
}

/// The same file with fewer prompt tokens in its metadata, so that blocks may be used before they exist.
void lower_prompt(const testing::TempDir& folder, std::uint32_t from, std::uint32_t to) {
  std::string file = testing::TempDir::read(folder.path("t.kvt"));
  const std::string key = "\"prompt_tokens\":";
  const std::size_t at = file.find(key + std::to_string(from));
  RC_ASSERT(at != std::string::npos);
  std::string value = std::to_string(to);
  value.resize(std::to_string(from).size(), ' ');
  file.replace(at + key.size(), value.size(), value);
  const std::size_t size =
      kvt::kPreambleBytes + load_little_endian<std::uint32_t>(reinterpret_cast<const std::byte*>(file.data()) + 12);
  const std::uint64_t sum = kvt::checksum(std::as_bytes(std::span(file.data(), size)));
  store_little_endian(reinterpret_cast<std::byte*>(file.data()) + size, sum);
  folder.write("t.kvt", file);
}

/// Decode steps that use a block before it exists.
std::set<std::uint32_t> early_steps(const Segment& records, const BlockLayout& layout) {
  std::vector<std::set<BlockId>> born(records.layers());
  std::set<std::uint32_t> early;
  for (std::uint32_t step = 0; step < records.end_step(); ++step) {
    for (std::uint32_t layer = 0; layer < records.layers(); ++layer) {
      const StepView view = records.view(step, layer);
      born[layer].insert(view.appended.begin(), view.appended.end());
      for (const std::span<const BlockId> ids : {view.reads, view.ranking}) {
        for (const BlockId id : ids) {
          if (id.value() >= layout.initial_blocks() && !born[layer].contains(id)) {
            early.insert(step);
          }
        }
      }
    }
  }
  return early;
}

/// Chunks in order: the first one with such a use is refused, none before. In any order: some chunk is, the last at
/// the latest.
RC_GTEST_PROP(Kvt, RefusesBlocksThatAreUsedBeforeTheyExist, ()) {
  testing::RandomTraceShape shape;
  shape.seed = *rc::gen::arbitrary<std::uint64_t>();
  shape.layers = *rc::gen::inRange(1u, 4u);
  shape.steps = *rc::gen::inRange(1u, 40u);
  shape.prompt_tokens = *rc::gen::element(20u, 63u, 200u);
  shape.block_tokens = *rc::gen::element(1u, 4u);
  shape.experts = *rc::gen::element(0u, 0u, 8u);
  shape.requests = *rc::gen::element(1u, 1u, 3u);
  shape.reads = *rc::gen::element(2u, 5u, 100u);
  shape.ranking = *rc::gen::arbitrary<bool>();
  const testing::TempDir folder;
  const Segment written = testing::random_segment(shape);
  TraceMeta meta = testing::meta_of(shape);
  testing::write_trace(folder.path("t.kvt"), meta, written, *rc::gen::element<std::size_t>(1, 100, 1 << 20));
  meta.layout.prompt_tokens -= *rc::gen::inRange(0u, 12u);
  lower_prompt(folder, shape.prompt_tokens, meta.layout.prompt_tokens);
  const std::set<std::uint32_t> early = early_steps(written, meta.layout);
  RC_CLASSIFY(early.empty(), "all blocks exist");

  const TraceReader in_order = TraceReader::open(folder.path("t.kvt")).value();
  std::uint32_t step = 0;
  while (step < shape.steps) {
    const Result<Segment> segment = in_order.chunk(in_order.chunk_of(StepIndex(step)));
    if (!segment) {
      RC_ASSERT(segment.error().kind == ErrorKind::kBadInput);
      RC_ASSERT(segment.error().message.find("before it exists") != std::string::npos);
      break;
    }
    const auto first_early = early.lower_bound(step);
    RC_ASSERT(first_early == early.end() || *first_early >= segment->end_step());
    step = segment->end_step();
  }
  RC_ASSERT((step < shape.steps) == !early.empty());

  const TraceReader any_order = TraceReader::open(folder.path("t.kvt")).value();
  std::vector<std::size_t> chunks(any_order.num_chunks());
  std::iota(chunks.begin(), chunks.end(), std::size_t{0});
  std::shuffle(chunks.begin(), chunks.end(), std::mt19937(static_cast<unsigned>(shape.seed)));
  bool refused = false;
  for (const std::size_t chunk : chunks) {
    refused = !any_order.chunk(chunk) || refused;
  }
  RC_ASSERT(refused == !early.empty());
  for (std::size_t chunk = 0; chunk < chunks.size() && !early.empty(); ++chunk) {  // all are known now
    RC_ASSERT(any_order.chunk(chunk).has_value() == in_order.chunk(chunk).has_value());
  }
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
