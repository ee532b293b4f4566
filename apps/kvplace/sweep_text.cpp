#include "sweep_text.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace kvplace::cli {

std::string sweep_text(const SweepStatus& status, const std::string& database) {
  std::string out =
      fmt::format("{}: {} of {} points done, {} failed, {} pending; {} rows; {:.1f} s\n", status.name, status.done,
                  status.points, status.failed, status.pending(), status.rows, status.seconds);
  for (const SweepStatus::Failure& failure : status.failures) {
    out += fmt::format("  {} point{}: {}\n", failure.points, failure.points == 1 ? "" : "s", failure.message);
  }
  if (status.pending() > 0) {
    return out + "  the same command goes on with what is pending\n";
  }
  return out + fmt::format("  rows as a table: kvplace sweep {} --export csv -o FILE.csv\n", database);
}

std::string to_json(const SweepStatus& status) {
  nlohmann::ordered_json json{{"name", status.name}, {"compute", status.compute}, {"points", status.points},
                              {"done", status.done}, {"failed", status.failed},   {"pending", status.pending()},
                              {"rows", status.rows}, {"seconds", status.seconds}};
  json["failures"] = nlohmann::ordered_json::array();
  for (const SweepStatus::Failure& failure : status.failures) {
    json["failures"].push_back({{"message", failure.message}, {"points", failure.points}});
  }
  return json.dump(2);
}

}  // namespace kvplace::cli
