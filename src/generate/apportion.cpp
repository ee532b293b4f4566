#include "generate/apportion.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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
      const auto next = static_cast<double>(static_cast<std::int64_t>(position));  // floor; a call on many machines
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

std::span<const std::uint32_t> EvenApportionment::draw(std::span<const std::uint32_t> counts,
                                                       std::span<const double> shares, std::uint32_t wanted,
                                                       Random& random) {
  const std::size_t groups = counts.size();
  if (owed_.empty()) {
    for (std::size_t i = 0; i < groups; ++i) {
      owed_.push_back(random.unit() - 0.5);
    }
  }
  drawn_.assign(groups, 0);
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  std::uint32_t left = wanted;
  if (total > 0) {
    const double given = wanted - std::accumulate(owed_.begin(), owed_.end(), 0.0);
    for (std::size_t i = 0; i < groups; ++i) {
      if (shares[i] > 0) {
        owed_[i] += given * shares[i] / total;
        drawn_[i] = static_cast<std::uint32_t>(
            std::clamp(std::floor(owed_[i]), 0.0, static_cast<double>(std::min(counts[i], left))));
        left -= drawn_[i];
        owed_[i] -= drawn_[i];
      }
    }
  }
  for (const bool weightless : {false, true}) {
    while (left > 0) {
      std::size_t most = groups;
      for (std::size_t i = 0; i < groups; ++i) {
        if ((shares[i] > 0) != weightless && drawn_[i] < counts[i] && (most == groups || owed_[i] > owed_[most])) {
          most = i;
        }
      }
      if (most == groups) {
        break;
      }
      ++drawn_[most];
      --left;
      owed_[most] -= 1;
    }
  }
  // A group that could not give its share is not owed it for ever.
  for (double& owed : owed_) {
    owed = std::clamp(owed, -2.0, 2.0);
  }
  return drawn_;
}

}  // namespace kvplace::generate
