#include "solve/prices/price_forms.h"

#include <algorithm>

namespace kvplace {
namespace {

using Share = std::array<double, kNumChannels>;

/// The pieces of StepTime::time_of without floor and overhead.
std::vector<Share> pieces(const StepTime& time) {
  std::vector<Share> shares;
  for (std::size_t first = 0; first < kNumChannels; ++first) {
    Share share{};
    share[first] = 1;
    if (time.overlap() == Overlap::kNone) {
      if (first != at(Channel::kNearMem)) {
        share[at(Channel::kNearMem)] = 1;
        shares.push_back(share);
      }
    } else if (time.interference() == 0) {
      shares.push_back(share);
    } else {
      for (std::size_t second = 0; second < kNumChannels; ++second) {
        if (second != first) {
          Share both = share;
          both[second] = time.interference();
          shares.push_back(both);
        }
      }
    }
  }
  return shares;
}

/// Of a byte on each channel, if a step's time is worth `share` of the channels' times.
std::array<double, kNumChannels> per_byte(const StepTime& time, const Share& share) {
  std::array<double, kNumChannels> prices{};
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    prices[c] = share[c] / time.bandwidth(static_cast<Channel>(c)).value();
  }
  return prices;
}

struct ReadPrices {
  double near;
  double far;
};

ReadPrices read_prices(const StepTime& time, const Share& share) {
  const std::array<double, kNumChannels> prices = per_byte(time, share);
  return {price_of(Transfer::kReadNear, prices), price_of(Transfer::kReadFar, prices)};
}

/// Mixtures of two pieces at which a read costs the same on both sides.
std::vector<Share> balanced(const StepTime& time, const std::vector<Share>& shares) {
  std::vector<Share> mixtures;
  for (const Share& dear_near : shares) {
    for (const Share& dear_far : shares) {
      const ReadPrices a = read_prices(time, dear_near);
      const ReadPrices b = read_prices(time, dear_far);
      if (a.near > a.far && b.near < b.far) {
        const double weight = (b.far - b.near) / ((a.near - a.far) + (b.far - b.near));
        Share mixture{};
        for (std::size_t c = 0; c < kNumChannels; ++c) {
          mixture[c] = weight * dear_near[c] + (1 - weight) * dear_far[c];
        }
        mixtures.push_back(mixture);
      }
    }
  }
  return mixtures;
}

}  // namespace

PriceForm priced(const Instance& instance, const Share& share, double floor) {
  std::array<double, kNumChannels> prices = per_byte(instance.step_time(), share);
  for (double& price : prices) {
    price *= instance.options().batch;
  }
  const double far_read = price_of(Transfer::kReadFar, prices);
  const double near = price_of(Transfer::kReadNear, prices);
  const bool split = instance.options().mirrored_reads == MirroredReads::kSplit;
  PriceForm form;
  form.share = share;
  form.floor = floor;
  form.near_read = split ? std::min(near, far_read) : near;
  form.miss = far_read - form.near_read;
  form.active = price_of(Transfer::kPromote, prices);
  form.passive = price_of(Transfer::kPromotePassive, prices);
  form.far_write = price_of(Transfer::kWriteFar, prices);
  form.demote = price_of(Transfer::kDemote, prices);
  return form;
}

std::vector<PriceForm> price_forms(const Instance& instance) {
  const StepTime& time = instance.step_time();
  std::vector<Share> shares = pieces(time);
  const std::vector<Share> mixtures = balanced(time, shares);
  shares.insert(shares.end(), mixtures.begin(), mixtures.end());
  std::vector<PriceForm> forms;
  for (const Share& share : shares) {
    forms.push_back(priced(instance, share, 0));
  }
  if (time.floor().value() > 0) {
    forms.push_back(priced(instance, Share{}, time.floor().value()));
  }
  return forms;
}

}  // namespace kvplace
