#include "size/bracket.h"

#include <algorithm>
#include <cmath>

namespace kvplace {

std::optional<std::int64_t> Bracket::next() const {
  if (!reaches_) {
    return next_without_reaching();
  }
  if (!fails_) {
    return next_without_failing();
  }
  const std::int64_t width = reaches_->number - fails_->number;
  const double enough = range_.tolerance * static_cast<double>(reaches_->number);
  if (width <= 1 || static_cast<double>(width) <= enough) {
    return std::nullopt;
  }
  const std::int64_t step = std::max<std::int64_t>(1, static_cast<std::int64_t>(enough));
  std::int64_t low = fails_->number;
  std::int64_t high = reaches_->number;
  if (surely_fails_ && *surely_fails_ > low && *surely_fails_ < high) {
    low = *surely_fails_;
    if (high - low <= step) {
      return low;  // closes the bracket
    }
    // What is known of a number tells it the better the nearer they are: the root is not far behind.
    high = std::min(high, low + std::max(2 * step, (low - fails_->number) / 2));
  }
  // A step away from both ends one more number can close the bracket, if the root is where it is expected.
  const std::int64_t away = std::min(step, (high - low) / 2);
  return std::clamp(expected(), low + away, high - away);
}

/// The number below the position at which the target is expected.
std::int64_t Bracket::expected() const {
  const Tried& last = last_reached_ ? *reaches_ : *fails_;
  const Tried& other = last_reached_ ? *fails_ : *reaches_;
  const double wanted = position(last.number) + share_of_the_way() * (position(other.number) - position(last.number));
  std::int64_t low = fails_->number;
  std::int64_t high = reaches_->number;
  while (high - low > 1) {  // positions rise with numbers
    const std::int64_t middle = low + (high - low) / 2;
    (position(middle) <= wanted ? low : high) = middle;
  }
  return low;
}

std::optional<std::int64_t> Bracket::next_without_reaching() const {
  if (surely_reaches_ && fails() != surely_reaches_) {
    return surely_reaches_;
  }
  if (fails_ && fails_->number == range_.most) {
    return std::nullopt;
  }
  if (range_.from == From::kEnds) {
    return range_.most;
  }
  if (range_.from == From::kFirst) {
    const std::int64_t first = range_.first;
    return fails_ ? std::min(range_.most, fails_->number + std::max(range_.stride, fails_->number - first)) : first;
  }
  const std::int64_t least = range_.least;
  return fails_ ? std::min(range_.most, 2 * (fails_->number - least) + 1 + least) : least;
}

std::optional<std::int64_t> Bracket::next_without_failing() const {
  if (reaches_->number == range_.least) {
    return std::nullopt;
  }
  std::int64_t low = range_.least;
  for (const std::optional<std::int64_t>& number : {surely_fails_, suggested_}) {
    low = number && *number < reaches_->number ? std::max(low, *number) : low;
  }
  return low;
}

/// From the number tried last to the other end.
double Bracket::share_of_the_way() const {
  constexpr double kMiddle = 0.5;
  if (!replaced_) {
    return kMiddle;
  }
  const Tried& a = last_reached_ ? *reaches_ : *fails_;
  const Tried& b = last_reached_ ? *fails_ : *reaches_;
  const Tried& c = *replaced_;
  const double xa = position(a.number);
  const double xb = position(b.number);
  const double xc = position(c.number);
  const double xi = (xa - xb) / (xc - xb);
  const double phi = (a.excess - b.excess) / (c.excess - b.excess);
  if (!(phi * phi < xi && (1 - phi) * (1 - phi) < 1 - xi)) {
    return kMiddle;
  }
  const double share = a.excess / (b.excess - a.excess) * c.excess / (b.excess - c.excess) +
                       (xc - xa) / (xb - xa) * a.excess / (c.excess - a.excess) * b.excess / (c.excess - b.excess);
  return share > 0 && share < 1 ? share : kMiddle;
}

void Bracket::tell(std::int64_t number, bool reached, double excess) {
  std::optional<Tried>& end = reached ? reaches_ : fails_;
  replaced_ = end;
  end = Tried{number, excess};
  last_reached_ = reached;
}

}  // namespace kvplace
