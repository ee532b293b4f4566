// Damaged schedules are rejected, never more: whole files as they come, and steps behind a head and checksums that are
// right.
#include <vector>

#include "import_fuzz.h"
#include "kvplace/instance/schedule.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kSteps = 8;
constexpr std::uint32_t kLayers = 3;
constexpr std::uint32_t kBlocksPerLayer = 50;

/// Reads on until the file ends or is rejected; every block named exists.
void read_all(const std::string& path) {
  Result<ScheduleReader> reader = ScheduleReader::open(path);
  if (!reader) {
    return;
  }
  const std::uint64_t num_blocks = std::uint64_t{reader->meta().layers} * reader->meta().blocks_per_layer;
  std::vector<BlockIndex> promote;
  std::vector<BlockIndex> evict;
  for (int step = 0; step < 100000; ++step) {
    promote.clear();
    evict.clear();
    if (const Status next = reader->next(promote, evict); !next) {
      REQUIRE(next.error().kind == ErrorKind::kRejected);
      return;
    }
    for (const std::vector<BlockIndex>* blocks : {&promote, &evict}) {
      REQUIRE(blocks->empty() || blocks->back().value() < num_blocks);
    }
  }
}

/// A whole schedule whose decisions are drawn from the bytes: it reads back as it was written.
void write_and_read(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::output_path("schedule");
  ScheduleMeta meta;
  meta.steps = kSteps;
  meta.layers = kLayers;
  meta.blocks_per_layer = kBlocksPerLayer;
  Result<ScheduleWriter> writer = ScheduleWriter::create(path, meta);
  REQUIRE(writer.has_value());
  std::vector<std::vector<BlockIndex>> sets;
  for (std::uint32_t i = 0; i < 1 + 2 * kSteps * kLayers; ++i) {
    std::vector<BlockIndex> set;
    for (std::uint32_t block = 0; block < kLayers * kBlocksPerLayer; ++block) {
      if (size != 0 && (data[(i * 31 + block) % size] >> (block % 8) & 1) != 0) {
        set.emplace_back(block);
      }
    }
    sets.push_back(std::move(set));
  }
  REQUIRE(writer->start(sets[0]).has_value());
  for (std::size_t i = 1; i + 1 < sets.size(); i += 2) {
    REQUIRE(writer->add(sets[i], sets[i + 1]).has_value());
  }
  REQUIRE(writer->finish().has_value());
  Result<ScheduleReader> reader = ScheduleReader::open(path);
  REQUIRE(reader.has_value());
  REQUIRE(reader->initial_near() == sets[0]);
  for (std::size_t i = 1; i + 1 < sets.size(); i += 2) {
    std::vector<BlockIndex> promote;
    std::vector<BlockIndex> evict;
    REQUIRE(reader->next(promote, evict).has_value());
    REQUIRE(promote == sets[i] && evict == sets[i + 1]);
  }
  REQUIRE(reader->finish().has_value());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace kvplace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kvplace::fuzz::MemoryFile file(data, size);
  kvplace::read_all(file.path());
  kvplace::write_and_read(data, size);
  return 0;
}
