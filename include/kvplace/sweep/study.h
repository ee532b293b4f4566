/// A study: what varies, and what to compute at each point of it (docs/verbs/sweep.md).
///
///     trace = "chat.kvt"                        # or workload = "dense" with context and steps
///     policies = ["lru", "sa-guided:w=5|10"]    # a|b or from..to..step: one policy for each value
///     compute = ["compare", "bound"]
///     hardware = "gh200-144"                    # all settings, in the words of a configuration file
///     [grid]                                    # every combination
///     "hardware.far.link_read" = { from = "200GB/s", to = "450GB/s", step = "50GB/s" }
///     "options.near_capacity" = ["8GiB", "16GiB"]
///     [[points]]                                # each listed point, with every combination of the grid
///     model = "llama-3.1-70b"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/result.h"

namespace kvplace {

/// What can be computed at a point.
enum class Compute : std::uint8_t { kCompare, kBound, kSize, kAdvise };
[[nodiscard]] std::string to_text(Compute compute);

/// Keys that change together, and the values each of them takes.
struct StudyAxis {
  std::vector<std::string> keys;
  std::vector<std::vector<std::string>> values;  ///< by place; one for each key
};

struct StudyPoint {
  std::vector<ConfigEntry> settings;                        ///< all that is said, later ones over earlier ones
  std::vector<std::pair<std::string, std::string>> varied;  ///< of these what varies, by key
};

struct Study {
  std::string name;
  std::string toml;      ///< as read
  std::string identity;  ///< digest of what is computed at all points, in hexadecimal
  std::vector<Compute> compute;
  std::vector<std::string> policies;  ///< one text for each; empty: the default of what is computed
  std::vector<StudyAxis> axes;
  std::vector<StudyPoint> points;  ///< the listed points, for each the grid, whose last axis changes fastest

  [[nodiscard]] bool computes(Compute what) const;
  [[nodiscard]] std::vector<std::string> varied_keys() const;
};

/// The most points of a study.
inline constexpr std::size_t kMostStudyPoints = 1'000'000;

/// `name`: of the document, for messages. Errors name the line and what would be right: unknown keys and values that no
/// field takes, a study in which nothing varies, an empty range.
[[nodiscard]] Result<Study> parse_study(std::string_view document, const std::string& name);
[[nodiscard]] Result<Study> read_study(const std::string& path);

/// The value of a setting of a point; none if it is not said.
[[nodiscard]] std::optional<std::string> said(const StudyPoint& point, std::string_view key);
/// The settings that are of hardware, model, engine and options.
[[nodiscard]] std::vector<ConfigEntry> instance_settings(const StudyPoint& point);

/// A value as a number, for plots.
struct StudyNumber {
  double number = 0;
  std::string unit;  ///< "bytes", "bytes/s", "s" or ""
};
[[nodiscard]] std::optional<StudyNumber> quantity_of(std::string_view text);

/// The values from..to by steps, both ends included. "200GB/s", "450GB/s", "50GB/s": the units must be the same.
[[nodiscard]] Result<std::vector<std::string>> range_values(std::string_view from, std::string_view to,
                                                            std::string_view step);
/// So many, evenly spaced; or, if `log`, by equal factors.
[[nodiscard]] Result<std::vector<std::string>> spaced_values(std::string_view from, std::string_view to,
                                                             std::size_t count, bool log);

}  // namespace kvplace
