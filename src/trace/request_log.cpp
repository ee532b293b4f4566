#include "kvplace/trace/request_log.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "kvplace/base/parse.h"
#include "trace/byte_source.h"

namespace kvplace {
namespace {

using Json = nlohmann::json;

constexpr double kMostSeconds = 1e9;  // of arrivals: above any log's span

struct Row {
  double time = 0;  // s, from any moment on
  std::uint64_t input = 0;
  std::uint64_t output = 0;
};

bool is_mooncake(const Json& row) {
  return row.is_object() && row.contains("timestamp") && row.contains("input_length") && row.contains("output_length");
}

std::optional<Row> json_row(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!is_mooncake(json) || !json["timestamp"].is_number() || !json["input_length"].is_number_unsigned() ||
      !json["output_length"].is_number_unsigned()) {
    return std::nullopt;
  }
  const double time = json["timestamp"].get<double>();
  return Row{json.contains("chat_id") ? time : time / 1000, json["input_length"].get<std::uint64_t>(),
             json["output_length"].get<std::uint64_t>()};
}

std::vector<std::string> fields_of(std::string_view line) {
  std::vector<std::string> fields;
  std::stringstream text{std::string(line)};
  for (std::string field; std::getline(text, field, ',');) {
    fields.push_back(field);
  }
  return fields;
}

/// "2023-11-16 18:17:03.9799600", with or without an offset, which is that of UTC in these logs.
std::optional<double> time_of(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  double second = 0;
  if (std::sscanf(text.c_str(), "%d-%u-%u%*1[ T]%u:%u:%lf", &year, &month, &day, &hour, &minute, &second) != 6) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || !(second >= 0 && second < 61)) {
    return std::nullopt;
  }
  const auto days = static_cast<double>(std::chrono::sys_days(date).time_since_epoch().count());
  return days * 86400 + hour * 3600.0 + minute * 60.0 + second;
}

struct AzureColumns {
  std::size_t time;
  std::size_t input;
  std::size_t output;
};

std::optional<AzureColumns> azure_columns(std::string_view header) {
  const std::vector<std::string> names = fields_of(header);
  const auto at = [&](const char* name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const AzureColumns columns{at("TIMESTAMP"), at("ContextTokens"), at("GeneratedTokens")};
  const bool all = std::max({columns.time, columns.input, columns.output}) < names.size();
  return all ? std::optional(columns) : std::nullopt;
}

std::optional<Row> azure_row(std::string_view line, const AzureColumns& columns) {
  const std::vector<std::string> fields = fields_of(line);
  if (fields.size() <= std::max({columns.time, columns.input, columns.output})) {
    return std::nullopt;
  }
  const std::optional<double> time = time_of(fields[columns.time]);
  const auto input = parse_count(fields[columns.input]);
  const auto output = parse_count(fields[columns.output]);
  return time && input && output ? std::optional(Row{*time, *input, *output}) : std::nullopt;
}

}  // namespace

bool is_request_log(std::string_view first_line) {
  return azure_columns(first_line).has_value() || is_mooncake(Json::parse(first_line, nullptr, false));
}

Result<RequestLog> read_request_log(const std::string& path) {
  KVPLACE_ASSIGN(source, ByteSource::open(path));
  LineReader lines(std::move(source));
  RequestLog log;
  std::optional<AzureColumns> azure;
  std::vector<Row> rows;
  std::string_view line;
  for (bool first = true;; first = false) {
    KVPLACE_ASSIGN(more, lines.next(line));
    if (!more) {
      break;
    }
    if (first) {
      if (!is_request_log(line)) {
        return bad_input(path + ": is no log of requests that is known; expected JSON lines with timestamp, " +
                         "input_length and output_length (Mooncake, Qwen-Bailian), or a CSV with TIMESTAMP, " +
                         "ContextTokens and GeneratedTokens (Azure)");
      }
      azure = azure_columns(line);
      log.format = azure ? "Azure" : Json::parse(line).contains("chat_id") ? "Qwen-Bailian" : "Mooncake";
      if (azure) {
        continue;
      }
    }
    if (line.empty()) {
      continue;
    }
    const std::optional<Row> row = azure ? azure_row(line, *azure) : json_row(line);
    if (!row) {
      return bad_input(
          lines.place() + ": expected " +
          (azure ? "a time and two counts of tokens" : "a JSON object with timestamp, input_length and output_length") +
          ", as in the lines before");
    }
    if (row->output == 0) {
      ++log.without_output;
    } else {
      rows.push_back(*row);
    }
  }
  if (rows.empty()) {
    return bad_input(path + ": has no request that generated a token");
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.time < b.time; });
  for (const Row& row : rows) {
    const double after = row.time - rows.front().time;
    if (!(after <= kMostSeconds)) {
      return bad_input(path + ": its times span more than " + format_number(kMostSeconds) + " s");
    }
    log.requests.push_back({Seconds(after), row.input, row.output});
  }
  return log;
}

}  // namespace kvplace
