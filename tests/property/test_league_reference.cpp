// Miss counts of another simulator: libCacheSim's, stored with their provenance in tests/golden/libcachesim_misses.csv.
//
// There reads come one by one. Here those of a step come together: hits first, then misses. So the bundled trace is
// rewritten with one read per decode step, all blocks there from the start, and the counts must be the same, layer by
// layer, wherever the rules are.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "kvplace/simulate/replay.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

struct Reference {
  std::string policy;
  std::uint32_t blocks_per_layer = 0;
  std::vector<std::uint64_t> misses;  // by layer
};

std::vector<Reference> stored() {
  std::ifstream file(KVPLACE_SOURCE_DIR "/tests/golden/libcachesim_misses.csv");
  std::vector<Reference> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) {
      continue;
    }
    std::istringstream fields(line);
    Reference row;
    std::string field;
    std::getline(fields, row.policy, ',');
    std::getline(fields, field, ',');
    std::getline(fields, field, ',');
    row.blocks_per_layer = static_cast<std::uint32_t>(std::stoul(field));
    while (std::getline(fields, field, ',')) {
      row.misses.push_back(std::stoull(field));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

/// The bundled trace with one read of each layer per decode step. REQUIRES: as many reads in each of its steps.
std::string write_read_by_read(const std::string& path) {
  const TraceReader trace = TraceReader::open(KVPLACE_SOURCE_DIR "/data/smollm2-holmes-token-k64-ranked.kvt").value();
  TraceMeta meta;
  meta.layers = trace.meta().layers;
  meta.layout.prompt_tokens = trace.totals().blocks_per_layer;
  meta.block_bytes = Bytes(1000);
  meta.source = "one read per step";
  TraceWriter writer = TraceWriter::create(path, meta, {}).value();
  std::uint32_t step = 0;
  for (std::size_t chunk = 0; chunk < trace.num_chunks(); ++chunk) {
    const Segment segment = trace.chunk(chunk).value();
    for (std::uint32_t t = segment.first_step(); t < segment.end_step(); ++t) {
      for (std::size_t read = 0; read < segment.view(t, 0).reads.size(); ++read, ++step) {
        for (std::uint32_t layer = 0; layer < meta.layers; ++layer) {
          StepView record;
          record.step = StepIndex(step);
          record.layer = LayerIndex(layer);
          record.reads = segment.view(t, layer).reads.subspan(read, 1);
          if (!writer.add(record)) {
            throw std::runtime_error("the writer refuses a record");
          }
        }
      }
    }
  }
  writer.finish().value();
  return path;
}

std::vector<ReplayResult> replay_all(const std::string& path, const std::vector<Reference>& rows) {
  const TraceReader trace = TraceReader::open(path).value();
  std::map<std::uint32_t, Instance> instances;
  std::vector<ReplayJob> jobs;
  for (const Reference& row : rows) {
    auto found = instances.find(row.blocks_per_layer);
    if (found == instances.end()) {
      InstanceSpec spec;
      spec.hardware = testing::paper_machine();
      spec.options.near_blocks_per_layer = row.blocks_per_layer;
      spec.options.start = Start::kEmpty;
      found = instances.emplace(row.blocks_per_layer, Instance::make(spec, trace.meta(), trace.totals()).value()).first;
    }
    jobs.push_back({&found->second, PolicyRegistry::instance().parse(row.policy).value()});
  }
  return replay(trace, jobs, {}).value();
}

/// Where libCacheSim's rules are others than the paper's: how far its misses, summed over the layers, are from ours.
/// LIRS: there a hit on a block that only its queue has makes an LIR block leave the stack.
const std::map<std::string, double> kOtherRules{{"lirs", 0.003}};

TEST(LeagueReference, MissesAreThoseOfLibCacheSim) {
  const testing::TempDir folder;
  const std::vector<Reference> rows = stored();
  ASSERT_EQ(rows.size(), 27u);
  const std::vector<ReplayResult> results = replay_all(write_read_by_read(folder.path("t.kvt")), rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(rows[i].policy + " at " + std::to_string(rows[i].blocks_per_layer));
    const auto other_rules = kOtherRules.find(rows[i].policy);
    if (other_rules == kOtherRules.end()) {
      EXPECT_EQ(results[i].far_reads_by_layer, rows[i].misses);
    } else {
      const auto theirs =
          static_cast<double>(std::accumulate(rows[i].misses.begin(), rows[i].misses.end(), std::uint64_t{0}));
      EXPECT_NEAR(static_cast<double>(results[i].far_reads) / theirs, 1, other_rules->second);
    }
  }
}

}  // namespace
}  // namespace kvplace
