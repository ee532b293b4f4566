#include "kvplace/hardware/link_pieces.h"

#include <algorithm>
#include <cmath>

#include "base/fields.h"

namespace kvplace {

void LinkBySize::set(Bytes size, BytesPerSecond rate) {
  const auto place = std::lower_bound(points.begin(), points.end(), size,
                                      [](const auto& point, Bytes wanted) { return point.first < wanted; });
  if (place != points.end() && place->first == size) {
    place->second = rate;
  } else {
    points.insert(place, {size, rate});
  }
}

BytesPerSecond LinkBySize::at(Bytes size) const {
  if (size <= points.front().first) {
    return points.front().second * (size / points.front().first);
  }
  const auto above =
      std::find_if(points.begin(), points.end(), [size](const auto& point) { return point.first >= size; });
  if (above == points.end()) {
    return points.back().second;
  }
  const auto below = above - 1;
  const double share = std::log(size / below->first) / std::log(above->first / below->first);
  return BytesPerSecond(below->second.value() + share * (above->second.value() - below->second.value()));
}

void LinkBySize::scale(double factor) {
  for (auto& [size, rate] : points) {
    rate = rate * factor;
  }
}

Status add_link_size(std::string_view size, std::string_view rate, LinkBySize& by_size) {
  KVPLACE_ASSIGN(bytes, parse_bytes(size));
  if (bytes <= Bytes(0)) {
    return bad_input(in_quotes(size) + " is no size of a piece");
  }
  KVPLACE_ASSIGN(bandwidth, TextForm<BytesPerSecond>::parse(rate));
  by_size.set(bytes, bandwidth);
  return {};
}

Result<LinkBySize> parse_link_by_size(std::string_view text) {
  const auto trimmed = [](std::string_view part) {
    const std::size_t first = part.find_first_not_of(' ');
    return first == std::string_view::npos ? std::string_view()
                                           : part.substr(first, part.find_last_not_of(' ') - first + 1);
  };
  LinkBySize by_size;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) {
      return bad_input(in_quotes(text) + " is not SIZE=BANDWIDTH, ..., like 656B=4GB/s, 4KiB=45GB/s");
    }
    KVPLACE_TRY(add_link_size(trimmed(part.substr(0, equals)), trimmed(part.substr(equals + 1)), by_size));
    begin = end + 1;
  }
  return by_size;
}

std::string format_link_by_size(const LinkBySize& by_size) {
  std::string text;
  for (const auto& [size, rate] : by_size.points) {
    text += (text.empty() ? "" : ", ") + format_bytes(size) + "=" + format_bandwidth(rate);
  }
  return text;
}

}  // namespace kvplace
