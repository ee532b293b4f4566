#include "generate/apportion.h"

#include <algorithm>
#include <cmath>

namespace kvplace::generate {

std::span<const std::uint32_t> Apportionment::draw(std::span<const std::uint32_t> counts,
                                                   std::span<const double> weights, std::uint32_t wanted,
                                                   Random& random) {
  drawn_.assign(counts.size(), 0);
  std::uint32_t left = wanted;
  // A few rounds, since what a full group cannot give is split anew; what rounding leaves is given in order at last.
  for (int round = 0; round < 8 && left > 0; ++round) {
    double total = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      total += static_cast<double>(counts[i] - drawn_[i]) * weights[i];
    }
    if (!(total > 0)) {
      break;
    }
    const double scale = static_cast<double>(left) / total;
    double position = random.unit();
    double whole = 0;
    std::uint32_t given = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const std::uint32_t room = counts[i] - drawn_[i];
      position += static_cast<double>(room) * weights[i] * scale;
      const double next = std::floor(position);
      const auto share = static_cast<std::uint32_t>(next - whole);
      whole = next;
      const std::uint32_t taken = std::min({share, room, left - given});
      drawn_[i] += taken;
      given += taken;
    }
    left -= given;
  }
  for (const bool weightless : {false, true}) {
    for (std::size_t i = 0; i < counts.size() && left > 0; ++i) {
      if ((weights[i] > 0) != weightless) {
        const std::uint32_t taken = std::min(left, counts[i] - drawn_[i]);
        drawn_[i] += taken;
        left -= taken;
      }
    }
  }
  return drawn_;
}

}  // namespace kvplace::generate
