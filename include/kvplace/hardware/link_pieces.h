/// What a link delivers for pieces of a size: small or unaligned ones cost more than their bytes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/units.h"

namespace kvplace {

/// Bandwidths by size of the pieces, as measured; ascending sizes, each once.
struct LinkBySize {
  std::vector<std::pair<Bytes, BytesPerSecond>> points;

  /// Replaces the bandwidth of a size, or adds one.
  void set(Bytes size, BytesPerSecond rate);
  /// Linear in the logarithm of the size between two points; beyond the largest its bandwidth; below the smallest as
  /// many pieces per second as of it. REQUIRES: there are points.
  [[nodiscard]] BytesPerSecond at(Bytes size) const;
  /// All bandwidths times `factor`.
  void scale(double factor);

  bool operator==(const LinkBySize&) const = default;
};

/// "656B=4GB/s, 4KiB=45GB/s".
[[nodiscard]] Result<LinkBySize> parse_link_by_size(std::string_view text);
[[nodiscard]] std::string format_link_by_size(const LinkBySize& by_size);

/// Sets one size's bandwidth: "656B", "4GB/s".
[[nodiscard]] Status add_link_size(std::string_view size, std::string_view rate, LinkBySize& by_size);

}  // namespace kvplace
