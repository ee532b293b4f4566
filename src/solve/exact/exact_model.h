/// The formulation as variables and rows in whole bytes, before any scaling: sections 2 to 6 of docs/formulation.md,
/// read off one by one.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// All variables are from 0 to 1: whether a block is near while a step runs ("state"), and how much of it moves.
struct ExactModel {
  using Variable = std::uint32_t;
  static constexpr Variable kNone = std::numeric_limits<Variable>::max();

  struct State {
    Variable variable = kNone;
    std::uint32_t boundary = 0;  ///< 0: the start; k + 1: after step k
    BlockIndex block;
    double lower = 0;  ///< equal to `upper` if given
    double upper = 1;
  };
  /// to - from = promoted - demoted; to - from <= promoted where dropping the near copy is free.
  struct Move {
    Variable from = kNone;
    Variable to = kNone;
    Variable promoted = kNone;  ///< kNone: not promoted
    Variable demoted = kNone;   ///< kNone: not demoted
    bool drops = false;
  };
  /// Bytes of one request that a variable at 1 adds to a group's loads.
  struct LoadTerm {
    Variable variable = kNone;
    std::uint32_t group = 0;
    Loads bytes;
  };
  /// Bytes of one request that both sides can serve if the state is 1.
  struct MirroredTerm {
    Variable variable = kNone;
    std::uint32_t group = 0;
    Bytes bytes;
  };

  std::uint32_t num_boundaries = 0;  ///< steps x layers + 1
  std::uint32_t num_groups = 0;
  std::uint32_t layers_per_group = 1;
  Variable num_variables = 0;
  std::vector<State> states;  ///< a block without one is far
  std::vector<Move> moves;
  std::vector<LoadTerm> load_terms;
  std::vector<MirroredTerm> mirrored_terms;  ///< empty unless mirrored reads are split
  std::vector<Loads> fixed;                  ///< by group, of the whole batch: what no decision changes
  Bytes capacity;                            ///< of one request, rounded down to what blocks can fill

  /// Bad input if the program over this model (see exact.cpp) would have more than `most_variables`.
  [[nodiscard]] static Result<ExactModel> build(const TraceReader& trace, const Instance& instance,
                                                std::size_t most_variables);

  /// Total time of a schedule as replay charges it. `values`: by variable, states 0 or 1; moves follow from the states.
  [[nodiscard]] Seconds time_of(const Instance& instance, std::span<const double> values) const;
};

}  // namespace kvplace
