/// The best division of a number of blocks over layers, by their miss curves.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/size/miss_curve.h"

namespace kvplace {

/// The largest convex curve that nowhere lies above `curve`, without the points that lie on straight lines between
/// others, and without what rises at its end: more blocks never cost more here. O(points).
[[nodiscard]] LayerMissCurve lower_envelope(const LayerMissCurve& curve);

/// Whole blocks per layer, together at most `total`, each at least `least` and at most the envelope's last point (if
/// `total` allows `least` in all; else all get an equal part), with the least sum of the envelopes' values.
///
/// This is the exact optimum that a dynamic programme over all divisions finds, found by marginal gains, since the
/// envelopes are convex. Let g_l(1) >= g_l(2) >= ... be what each further block of layer l saves. A division x saves
/// the sum over l of g_l(1) + ... + g_l(x_l); no division of n blocks can save more than the n largest gains of all,
/// and taking the n largest is a division, because within a layer gains fall, so that the ones taken are its first.
/// (With ties any choice has the same sum.) The vertices of an envelope lie on the curve itself, so that at most one
/// layer, the last to be served, ends between two vertices.
///
/// What is left when nothing is gained any more goes to the layers that have the least: another text may use it.
[[nodiscard]] std::vector<std::uint32_t> allocate(std::span<const LayerMissCurve> envelopes, std::uint64_t total,
                                                  std::uint32_t least = 0);

}  // namespace kvplace
