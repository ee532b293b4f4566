/// Copies in the background: what moves beside a step's demand, and what the step then takes (formulation,
/// "Migration rules"). With step_time.h the one place where bytes become time.
///
/// Demand is all that a step moves but the copies: reads, weights, new KV, demotions, passive promotions; reads that
/// either side can serve count as near, and are divided for what the copies leave idle. A queue of
/// copies takes what demand leaves idle on the channels c that a promotion loads on the far side: x bytes, the most
/// with
///
///     overlap full:  (far_c + x) / B_c <= T(x) = max(T0, (near + x) / B_near)
///     overlap none:            x  / B_c <= T(x) =         (near + x) / B_near
///
/// for each of them and x no more than what is queued. T0 is what demand takes alone: its longest channel, or the
/// arithmetic floor. Interference and overhead come on top of T, and buy no copies.
///
/// Each condition is f(x) = B_c T(x) - far_c - x >= 0, and B_c T(x) is the greater of two lines: f is convex, f(0) >=
/// 0. If B_c < B_near both lines fall, and f is no less than 0 up to the greater of their roots. Else the line of near
/// memory rises: what is queued may all find room because near memory takes longer than the link, though less of it
/// would not. In any case the most x is one of the roots, or all that is queued. Roots are rounded, so they are only
/// where to look: x is the greatest whole number about them for which the conditions hold as they are written above,
/// with times that are equal but for rounding taken for equal.
#pragma once

#include <cstdint>

#include "kvplace/instance/step_time.h"

namespace kvplace {

/// What a step does with a queue of copies.
struct BackgroundStep {
  Bytes copied;
  Loads waited_for;  ///< demand and what copies put on near memory: what decides the time
  Loads charged;     ///< of which the time is taken
};

/// `demand`, `queued`: of the whole batch. O(1).
[[nodiscard]] BackgroundStep background_step(const StepTime& step_time, const Loads& demand, Bytes queued,
                                             std::uint32_t layers = 1);

}  // namespace kvplace
