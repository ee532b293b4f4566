#include "kvplace/solve/exact.h"

#include <algorithm>
#include <cmath>

#include "solve/exact/coin.h"
#include "solve/exact/exact_model.h"

namespace kvplace {
namespace {

constexpr double kInfinity = LinearProgram::kInfinity;

/// ExactModel as a program. One unit of time is about a group's time, one of memory a KV page, so that the solver's
/// absolute tolerances mean the same for all instances.
class ExactProgram {
 public:
  ExactProgram(const ExactModel& model, const Instance& instance)
      : model_(model), instance_(instance), time_unit_(time_unit()) {
    add_variables();
    add_occupancy();
    add_loads();
    add_split();
    add_times();
    add_moves();
  }

  [[nodiscard]] const LinearProgram& program() const { return program_; }
  [[nodiscard]] Seconds seconds(double objective) const { return Seconds(objective * time_unit_ + overhead()); }

  void set_prices(const std::vector<double>& row_prices, ExactSolution& solution) const {
    const auto at = [&](int row) { return row_prices[static_cast<std::size_t>(row)]; };
    solution.channel_prices.resize(model_.num_groups);
    for (std::uint32_t group = 0; group < model_.num_groups; ++group) {
      for (std::size_t c = 0; c < kNumChannels; ++c) {
        solution.channel_prices[group][c] = std::max(0.0, at(load_row(group, c)));
      }
    }
    const double per_byte = time_unit_ / memory_unit();
    const auto price = [&](std::uint32_t boundary) { return std::max(0.0, -at(occupancy_row(boundary)) * per_byte); };
    if (has_start_row()) {
      solution.start_price = price(0);
    }
    for (std::uint32_t boundary = 1; boundary < model_.num_boundaries; ++boundary) {
      solution.row_prices.push_back(price(boundary));
    }
  }

  void set_schedule(const std::vector<double>& values, ExactSolution& solution) const {
    solution.schedule.resize(model_.num_boundaries);
    for (const ExactModel::State& state : model_.states) {
      if (values[state.variable] > 0.5) {
        solution.schedule[state.boundary].push_back(state.block);
      }
    }
    if (!has_start_row()) {
      solution.schedule.front() = instance_.initial_near();
    }
    for (std::vector<BlockIndex>& near : solution.schedule) {
      std::sort(near.begin(), near.end());
    }
    solution.milp = model_.time_of(instance_, values);
  }

 private:
  // Columns: the model's, then channel times and time of each group, then the mirrored reads moved to far.
  [[nodiscard]] static int column(ExactModel::Variable variable) { return static_cast<int>(variable); }
  [[nodiscard]] int time_column(std::uint32_t group, std::size_t channel) const {
    return static_cast<int>(model_.num_variables + group * kNumChannels + channel);
  }
  [[nodiscard]] int group_column(std::uint32_t group) const {
    return time_column(model_.num_groups, 0) + static_cast<int>(group);
  }
  [[nodiscard]] int split_column(std::uint32_t group) const {
    return group_column(model_.num_groups) + static_cast<int>(group);
  }
  // Rows: occupancy after each step (and at a free start), then loads, then the rest.
  [[nodiscard]] bool has_start_row() const { return instance_.options().start == Start::kFree; }
  [[nodiscard]] int occupancy_row(std::uint32_t boundary) const {
    return static_cast<int>(boundary) - (has_start_row() ? 0 : 1);
  }
  [[nodiscard]] int load_row(std::uint32_t group, std::size_t channel) const {
    return occupancy_row(model_.num_boundaries) + static_cast<int>(group * kNumChannels + channel);
  }

  [[nodiscard]] bool splits() const {
    return instance_.options().mode == Mode::kInclusive && instance_.options().mirrored_reads == MirroredReads::kSplit;
  }
  [[nodiscard]] double memory_unit() const { return static_cast<double>(instance_.mean_kv_block_bytes().value()); }
  /// Mean time of a group if everything is read from far and nothing moves.
  [[nodiscard]] double time_unit() const {
    Seconds total;
    for (const Loads& loads : model_.fixed) {
      total += instance_.step_time()(loads, model_.layers_per_group);
    }
    return total.value() > 0 ? total.value() / model_.num_groups : 1;
  }
  [[nodiscard]] double floor() const { return instance_.step_time().floor().value() * model_.layers_per_group; }
  [[nodiscard]] double overhead() const {
    return instance_.spec().hardware.step_overhead.value() * model_.layers_per_group * model_.num_groups;
  }
  /// Time units in which a channel moves so many bytes.
  [[nodiscard]] double time_on(std::size_t channel, std::int64_t bytes) const {
    const double bandwidth = instance_.step_time().bandwidth(static_cast<Channel>(channel)).value();
    return static_cast<double>(bytes) / bandwidth / time_unit_;
  }

  void add_variables() {
    std::vector<const ExactModel::State*> state_of(model_.num_variables, nullptr);
    for (const ExactModel::State& state : model_.states) {
      state_of[state.variable] = &state;
    }
    for (const ExactModel::State* state : state_of) {
      program_.add_column(state != nullptr ? state->lower : 0, state != nullptr ? state->upper : 1, 0,
                          state != nullptr);
    }
    for (std::size_t i = 0; i < model_.num_groups * kNumChannels; ++i) {
      program_.add_column(0, kInfinity, 0);
    }
    for (std::uint32_t group = 0; group < model_.num_groups; ++group) {
      program_.add_column(floor() / time_unit_, kInfinity, 1);
    }
    for (std::uint32_t group = 0; splits() && group < model_.num_groups; ++group) {
      program_.add_column(0, kInfinity, 0);
    }
  }

  void add_occupancy() {
    const double most = static_cast<double>(model_.capacity.value()) / memory_unit();
    for (std::uint32_t boundary = has_start_row() ? 0 : 1; boundary < model_.num_boundaries; ++boundary) {
      program_.add_row(-kInfinity, most);
    }
    for (const ExactModel::State& state : model_.states) {
      if (state.boundary > 0 || has_start_row()) {
        program_.add_entry(occupancy_row(state.boundary), column(state.variable),
                           static_cast<double>(instance_.block_bytes(state.block).value()) / memory_unit());
      }
    }
  }

  /// time of a channel >= load / bandwidth.
  void add_loads() {
    for (std::uint32_t group = 0; group < model_.num_groups; ++group) {
      for (std::size_t c = 0; c < kNumChannels; ++c) {
        const int row = program_.add_row(time_on(c, model_.fixed[group].bytes[c]), kInfinity);
        program_.add_entry(row, time_column(group, c), 1);
      }
    }
    for (const ExactModel::LoadTerm& term : model_.load_terms) {
      add_load(term.group, column(term.variable), term.bytes);
    }
  }

  void add_load(std::uint32_t group, int column, const Loads& bytes) {
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      program_.add_entry(load_row(group, c), column, -time_on(c, bytes.bytes[c] * instance_.options().batch));
    }
  }

  /// Pages moved from near to far of a group's mirrored reads <= those reads.
  void add_split() {
    if (!splits()) {
      return;
    }
    Loads moved;
    moved.add(Transfer::kReadFar, instance_.mean_kv_block_bytes(), 1);
    moved.add(Transfer::kReadNear, Bytes(0) - instance_.mean_kv_block_bytes(), -1);
    const int first_row = static_cast<int>(program_.num_rows());
    for (std::uint32_t group = 0; group < model_.num_groups; ++group) {
      add_load(group, split_column(group), moved);
      program_.add_entry(program_.add_row(-kInfinity, 0), split_column(group), 1);
    }
    for (const ExactModel::MirroredTerm& term : model_.mirrored_terms) {
      program_.add_entry(first_row + static_cast<int>(term.group), column(term.variable),
                         -static_cast<double>(term.bytes.value()) / memory_unit());
    }
  }

  /// The largest plus a times the second largest is the largest of t_i + a t_j over all i != j, as a < 1.
  void add_times() {
    const double a = instance_.spec().hardware.interference;
    for (std::uint32_t group = 0; group < model_.num_groups; ++group) {
      const auto at_least = [&](std::size_t i, std::size_t j, double factor) {
        const int row = program_.add_row(0, kInfinity);
        program_.add_entry(row, group_column(group), 1);
        program_.add_entry(row, time_column(group, i), -1);
        program_.add_entry(row, time_column(group, j), -factor);
      };
      for (std::size_t i = 0; i < kNumChannels; ++i) {
        if (instance_.options().overlap == Overlap::kNone) {
          if (i > 0) {
            at_least(0, i, 1);
          }
          continue;
        }
        for (std::size_t j = 0; j < kNumChannels; ++j) {
          // Without interference one row for each i is enough.
          if (i != j && (a > 0 || j == (i + 1) % kNumChannels)) {
            at_least(i, j, a);
          }
        }
      }
    }
  }

  void add_moves() {
    for (const ExactModel::Move& move : model_.moves) {
      const int row = program_.add_row(move.drops ? -kInfinity : 0, 0);
      program_.add_entry(row, column(move.to), 1);
      program_.add_entry(row, column(move.from), -1);
      if (move.promoted != ExactModel::kNone) {
        program_.add_entry(row, column(move.promoted), -1);
      }
      if (move.demoted != ExactModel::kNone) {
        program_.add_entry(row, column(move.demoted), 1);
      }
    }
  }

  const ExactModel& model_;
  const Instance& instance_;
  double time_unit_;
  LinearProgram program_;
};

}  // namespace

Status check_exact(const TraceReader& trace, const Instance& instance, const ExactOptions& options) {
  KVPLACE_TRY(ExactModel::build(trace, instance, options.most_variables));
  return {};
}

Result<ExactSolution> solve_exact(const TraceReader& trace, const Instance& instance, const ExactOptions& options,
                                  const RunContext& context) {
  KVPLACE_ASSIGN(model, ExactModel::build(trace, instance, options.most_variables));
  const ExactProgram exact(model, instance);
  ExactSolution solution;
  solution.capacity = model.capacity;
  solution.variables = exact.program().num_columns();
  solution.rows = exact.program().num_rows();
  const auto allowed = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(std::clamp(options.time_limit.value(), 0.0, 1e9)));
  const SolveLimit limit{std::chrono::steady_clock::now() + allowed, &context};
  const LinearSolution relaxed = solve_relaxed(exact.program(), limit);
  if (relaxed.optimal) {
    solution.lp = exact.seconds(relaxed.objective);
    solution.lp_optimal = true;
    exact.set_prices(relaxed.row_prices, solution);
  }
  if (options.milp && !limit.reached()) {
    const WholeSolution whole = solve_whole(exact.program(), limit);
    if (whole.found) {
      exact.set_schedule(whole.values, solution);
      solution.milp_optimal = whole.optimal;
    }
  }
  return solution;
}

}  // namespace kvplace
