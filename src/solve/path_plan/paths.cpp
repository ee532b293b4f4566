#include "solve/path_plan/paths.h"

#include <algorithm>

namespace kvplace {

namespace {

/// Blocks of requests that end with a step are gone.
void end_requests(const Instance& instance, std::uint32_t step, std::vector<bool>& near) {
  instance.for_each_ending(StepIndex(step / instance.layers()), LayerIndex(step % instance.layers()),
                           [&near](BlockIndex block) { near[block.value()] = false; });
}

}  // namespace

Result<PlanPaths> read_paths(const std::string& path, const Instance& instance) {
  KVPLACE_ASSIGN(reader, ScheduleReader::open(path));
  PlanPaths paths;
  paths.by_block.resize(instance.num_blocks());
  const std::uint32_t num_steps = instance.steps() * instance.layers();
  const auto bad = [&](BlockIndex block) {
    return rejected(path + ": moves block " + std::to_string(block.value()) + " from where it is not");
  };
  std::vector<bool> near(instance.num_blocks(), false);
  const auto enter = [&](BlockIndex block, std::uint32_t boundary) {
    if (block.value() >= near.size() || near[block.value()]) {
      return false;
    }
    near[block.value()] = true;
    paths.by_block[block.value()].push_back({boundary, instance.last_boundary(block)});
    return true;
  };
  for (const BlockIndex block : reader.initial_near()) {
    if (!enter(block, 0)) {
      return bad(block);
    }
  }
  std::vector<BlockIndex> promote;
  std::vector<BlockIndex> evict;
  for (std::uint32_t step = 0; step < num_steps; ++step) {
    promote.clear();
    evict.clear();
    KVPLACE_TRY(reader.next(promote, evict));
    end_requests(instance, step, near);
    for (const BlockIndex block : evict) {
      if (block.value() >= near.size() || !near[block.value()]) {
        return bad(block);
      }
      near[block.value()] = false;
      paths.by_block[block.value()].back().last = step;
    }
    for (const BlockIndex block : promote) {
      if (!enter(block, step + 1)) {
        return bad(block);
      }
    }
  }
  KVPLACE_TRY(reader.finish());
  return paths;
}

Status write_paths(const PlanPaths& paths, const Instance& instance, const ScheduleMeta& meta,
                   const std::string& path) {
  struct Move {
    std::uint32_t step;
    std::uint32_t block;
    bool operator<(const Move& other) const { return step != other.step ? step < other.step : block < other.block; }
  };
  const std::uint32_t num_steps = meta.steps * meta.layers;
  std::vector<BlockIndex> promote;
  std::vector<BlockIndex> evict;
  std::vector<Move> enters;
  std::vector<Move> leaves;
  for (std::uint32_t block = 0; block < paths.by_block.size(); ++block) {
    for (const NearTime& time : paths.by_block[block]) {
      if (time.first == 0) {
        promote.emplace_back(block);
      } else {
        enters.push_back({time.first - 1, block});
      }
      if (time.last < instance.last_boundary(BlockIndex(block))) {
        leaves.push_back({time.last, block});
      }
    }
  }
  std::sort(enters.begin(), enters.end());
  std::sort(leaves.begin(), leaves.end());
  KVPLACE_ASSIGN(writer, ScheduleWriter::create(path, meta));
  KVPLACE_TRY(writer.start(promote));
  auto enter = enters.begin();
  auto leave = leaves.begin();
  for (std::uint32_t step = 0; step < num_steps; ++step) {
    promote.clear();
    evict.clear();
    for (; enter != enters.end() && enter->step == step; ++enter) {
      promote.emplace_back(enter->block);
    }
    for (; leave != leaves.end() && leave->step == step; ++leave) {
      evict.emplace_back(leave->block);
    }
    KVPLACE_TRY(writer.add(promote, evict));
  }
  return writer.finish();
}

}  // namespace kvplace
