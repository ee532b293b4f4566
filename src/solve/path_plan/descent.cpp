#include "solve/path_plan/descent.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "base/shuffle.h"
#include "kvplace/base/progress.h"
#include "solve/path_plan/path_search.h"

namespace kvplace {
namespace {

/// A round of passes that gains less than this share is the last.
constexpr double kLeastGain = 1e-4;
// Where a descent has ended, that of a small instance begins again with some blocks left far, until so many times in
// turn gained nothing: one path at a time cannot exchange two blocks.
constexpr std::size_t kSmallUses = 20'000;
constexpr int kVainRestarts = 30;

std::vector<std::int64_t> occupancy(const Instance& instance, const PlanPaths& paths, std::uint32_t num_steps) {
  std::vector<std::int64_t> rows(std::size_t{num_steps} + 2);
  for (std::uint32_t block = 0; block < paths.by_block.size(); ++block) {
    const std::int64_t size = instance.block_bytes(BlockIndex(block)).value();
    for (const NearTime& time : paths.by_block[block]) {
      rows[time.first] += size;
      rows[std::size_t{time.last} + 1] -= size;
    }
  }
  std::partial_sum(rows.begin(), rows.end(), rows.begin());
  rows.pop_back();
  return rows;
}

class Descent {
 public:
  Descent(const Instance& instance, const PlanUses& uses, PlanPaths& paths, const StopPlanning& stop,
          Progress* progress)
      : instance_(instance),
        uses_(uses),
        progress_(progress),
        paths_(paths),
        stop_(stop),
        loads_(instance, uses),
        rows_(std::span<const std::int64_t>(occupancy(instance, paths, uses.num_steps())), instance.capacity().value()),
        search_(instance, uses, loads_, rows_),
        holding_(std::size_t{uses.num_steps()} + 2),
        order_(instance.num_blocks()) {
    for (std::uint32_t block = 0; block < instance.num_blocks(); ++block) {
      search_.shares(block, paths_.by_block[block], now_);
      for (const GroupShare& share : now_) {
        loads_.add(share.group, share.load);
      }
    }
    loads_.find_prices();
    std::iota(order_.begin(), order_.end(), 0U);
    std::mt19937 engine(1);
    shuffle(std::span(order_), engine);
    set_holding();
  }

  DescentResult run() {
    DescentResult result;
    result.total = loads_.total();
    descend(result);
    if (result.complete && uses_.total() <= kSmallUses) {
      restart(result);
    }
    return result;
  }

 private:
  /// Passes until they gain next to nothing, or planning stops.
  void descend(DescentResult& result) {
    result.complete = false;
    while (!result.complete) {
      const double before = result.total;
      total_ = before;
      if (progress_ != nullptr) {
        report_figure(progress_, "schedule", before);
        report_figure(progress_, "pass", result.passes + 1);
        progress_->start("improving the schedule", order_.size(), "blocks");
      }
      const bool whole = pass();
      if (progress_ != nullptr) {
        progress_->finish();
      }
      result.total = loads_.total();
      ++result.passes;
      if (!whole) {
        return;
      }
      result.complete = before - result.total <= kLeastGain * result.total;
    }
  }

  /// Iterated local search: each restart begins where the best schedule so far is.
  void restart(DescentResult& result) {
    std::mt19937 engine(2);
    for (int vain = 0; vain < kVainRestarts && result.complete; ++vain) {
      const PlanPaths best_paths = paths_;
      const double best = result.total;
      for (std::uint32_t block = 0; block < order_.size(); ++block) {
        if (engine() % 2 == 0) {
          const std::vector<NearTime>& path = paths_.by_block[block];
          const bool must_start_near = instance_.options().start != Start::kFree && !path.empty() && path[0].first == 0;
          take_path(block, must_start_near ? std::vector{NearTime{0, 0}} : std::vector<NearTime>());
        }
      }
      shuffle(std::span(order_), engine);
      result.total = loads_.total();
      descend(result);
      if (result.total < best * (1 - kLeastGain)) {
        vain = -1;
      } else {
        for (std::uint32_t block = 0; block < order_.size(); ++block) {
          take_path(block, best_paths.by_block[block]);
        }
        result.total = best;
      }
    }
  }

  void take_path(std::uint32_t block, const std::vector<NearTime>& wanted) {
    std::vector<NearTime>& path = paths_.by_block[block];
    search_.shares(block, path, now_);
    found_ = wanted;
    static_cast<void>(gains(block, path));
    apply();
    occupy(block, path, -1);
    occupy(block, found_, 1);
    path = found_;
  }

  /// A trifle for room: of equal paths the one that takes less is taken.
  void set_holding() {
    const double size = static_cast<double>(instance_.mean_kv_block_bytes().value());
    const double each = loads_.tie() / static_cast<double>(holding_.size()) / size;
    for (std::size_t r = 0; r < holding_.size(); ++r) {
      holding_[r] = each * static_cast<double>(r);
    }
    search_.set_holding(holding_);
  }

  bool pass() {
    for (std::size_t i = 0; i < order_.size(); ++i) {
      if (i % 16 == 0) {
        if (progress_ != nullptr) {
          progress_->update(i);
          report_figure(progress_, "schedule", total_);
        }
        if (stop_(total_)) {
          return false;
        }
      }
      improve(order_[i]);
    }
    return true;
  }

  void occupy(std::uint32_t block, const std::vector<NearTime>& path, std::int64_t sign) {
    const std::int64_t size = instance_.block_bytes(BlockIndex(block)).value();
    for (const NearTime& time : path) {
      rows_.add(time.first, time.last, sign * size);
    }
  }

  void improve(std::uint32_t block) {
    std::vector<NearTime>& path = paths_.by_block[block];
    search_.shares(block, path, now_);
    occupy(block, path, -1);
    search_.find(block, now_, !path.empty() && path.front().first == 0, found_);
    if (found_ != path && gains(block, path)) {
      apply();
      path = found_;
    }
    occupy(block, path, 1);
  }

  /// True if the path that was found truly costs less; notes how groups change.
  bool gains(std::uint32_t block, const std::vector<NearTime>& path) {
    search_.shares(block, found_, then_);
    changes_.clear();
    gain_ = 0;
    auto now = now_.begin();
    auto then = then_.begin();
    while (now != now_.end() || then != then_.end()) {
      GroupShare change;
      const bool from_now = now != now_.end() && (then == then_.end() || now->group <= then->group);
      change.group = from_now ? now->group : then->group;
      if (then != then_.end() && then->group == change.group) {
        change.load = (then++)->load;
      }
      if (from_now) {
        change.load = change.load - (now++)->load;
      }
      if (!(change.load == GroupLoad())) {
        gain_ += loads_.time(change.group) - loads_.time_with(change.group, change.load);
        changes_.push_back(change);
      }
    }
    return gain_ + search_.holding_cost(block, path) - search_.holding_cost(block, found_) > 0;
  }

  void apply() {
    for (const GroupShare& change : changes_) {
      loads_.add(change.group, change.load);
    }
    total_ -= gain_;
  }

  const Instance& instance_;
  const PlanUses& uses_;
  Progress* progress_;  // may be null
  PlanPaths& paths_;
  const StopPlanning& stop_;
  PlanLoads loads_;
  RoomTree rows_;
  PathSearch search_;
  std::vector<double> holding_;  // see PathSearch::set_holding()
  std::vector<std::uint32_t> order_;
  std::vector<GroupShare> now_;
  std::vector<GroupShare> then_;
  std::vector<GroupShare> changes_;
  std::vector<NearTime> found_;
  double gain_ = 0;   // of the path found, in seconds
  double total_ = 0;  // seconds
};

}  // namespace

DescentResult descend(const Instance& instance, const PlanUses& uses, PlanPaths& paths, const StopPlanning& stop,
                      Progress* progress) {
  return Descent(instance, uses, paths, stop, progress).run();
}

}  // namespace kvplace
