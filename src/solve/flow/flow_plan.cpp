#include "solve/flow/flow_plan.h"

#include <algorithm>

#include "kvplace/base/progress.h"
#include "solve/flow/flow_piece.h"

namespace kvplace {
namespace {

/// In shorter pieces most blocks outlive the piece.
constexpr double kFewestDecodeSteps = 32;

}  // namespace

bool flow_fits(const Instance& instance, const std::vector<GapClass>& gaps) {
  const double decode_steps = static_cast<double>(instance.steps()) *
                              static_cast<double>(FlowOptions().gaps_per_piece) / static_cast<double>(gaps.size());
  return instance.options().mode == Mode::kInclusive && instance.groups().layers_per_group() == 1 && !gaps.empty() &&
         (decode_steps >= kFewestDecodeSteps || gaps.size() <= FlowOptions().gaps_per_piece);
}

std::optional<std::vector<Arrival>> flow_arrivals(const std::vector<GapClass>& gaps, const StepCosts& costs,
                                                  std::int64_t capacity, bool free_start, const FlowOptions& options,
                                                  const std::function<bool()>& stop, Progress* progress) {
  const std::uint32_t steps = costs.num_steps();
  const double pieces = std::max(1.0, static_cast<double>(gaps.size()) / static_cast<double>(options.gaps_per_piece));
  const auto length = std::max(1U, static_cast<std::uint32_t>(static_cast<double>(steps) / pieces));
  const auto ahead = static_cast<std::uint32_t>(options.ahead * length);
  std::vector<Arrival> arrivals;
  std::vector<CrossingGap> crossing;
  if (progress != nullptr) {
    progress->start("planning by flows", steps, "steps");
  }
  bool whole = true;
  for (std::uint32_t end = steps; end > 0 && whole;) {
    PieceRange range;
    range.end = end;
    range.keep = end > length + length / 2 ? end - length : 0;
    range.first = range.keep > ahead ? range.keep - ahead : 0;
    const std::size_t first = first_ending(gaps, range.first);
    const std::size_t last = first_ending(gaps, range.end);
    PieceResult piece =
        solve_piece(range, std::span(gaps).subspan(first, last - first), crossing, costs, capacity, free_start);
    arrivals.insert(arrivals.end(), piece.arrivals.begin(), piece.arrivals.end());
    crossing = std::move(piece.crossing);
    std::sort(crossing.begin(), crossing.end(), [](const CrossingGap& a, const CrossingGap& b) {
      return a.gap.from != b.gap.from ? a.gap.from > b.gap.from : a.gap.to < b.gap.to;
    });
    end = range.keep;
    whole = piece.optimal && !stop();
    if (progress != nullptr) {
      progress->update(steps - end);
    }
  }
  if (progress != nullptr) {
    progress->finish();
  }
  return whole ? std::optional(std::move(arrivals)) : std::nullopt;
}

}  // namespace kvplace
