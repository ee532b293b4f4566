// What a page shows of a result beside its figures: exact numbers, and what made it.
#include <algorithm>

#include "kvplace/report/figures.h"
#include "kvplace/report/report.h"
#include "report/plot.h"

namespace kvplace {
namespace {

std::string exact(const PlotJson& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// Objects as rows, their numbers and texts as columns; exactly as JSON has them.
PageTable rows_table(const std::string& title, const std::string& note, const PlotJson& objects) {
  PageTable table{title, note, {{}}};
  for (const PlotJson& object : objects) {
    for (const auto& [key, value] : object.items()) {
      if (std::find(table.rows[0].begin(), table.rows[0].end(), key) == table.rows[0].end() &&
          (value.is_primitive() || key == "parameters")) {
        table.rows[0].push_back(key);
      }
    }
  }
  for (const PlotJson& object : objects) {
    std::vector<std::string> row;
    for (const std::string& key : table.rows[0]) {
      row.push_back(object.contains(key) ? exact(object.at(key)) : "");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// Keys and values of an object.
PageTable pairs_table(const std::string& title, const std::string& note, const PlotJson& object) {
  PageTable table{title, note, {{"key", "value"}}};
  for (const auto& [key, value] : object.items()) {
    if (value.is_primitive()) {
      table.rows.push_back({key, exact(value)});
    }
  }
  return table;
}

constexpr const char* kOfJson = "With the keys of kvplace compare --json, to the last digit.";

std::vector<PageTable> tables_of(std::string_view kind, const PlotJson& json) {
  std::vector<PageTable> tables;
  if (kind == "report") {
    const PlotJson& comparison = json.at("comparison");
    tables.push_back(rows_table("Exact figures", kOfJson, comparison.at("results")));
    tables.push_back(pairs_table("Exact bounds", kOfJson, comparison.at("bounds")));
  } else if (kind == "advise") {
    PlotJson points = PlotJson::array();
    for (const PlotJson& point : json.at("points")) {
      PlotJson row;
      for (const auto& [key, value] : point.items()) {
        if (value.is_primitive()) {
          row[key] = value;
          continue;
        }
        for (const auto& [part, number] : value.items()) {
          std::string both = key;
          both += '.';
          both += part;
          row[both] = number;
        }
      }
      points.push_back(std::move(row));
    }
    tables.push_back(rows_table("Exact figures", "With the keys of kvplace advise --json, to the last digit.", points));
    tables.push_back(pairs_table("Near memory of one GPU", "Bytes.", json.at("near")));
  }
  return tables;
}

std::string made_by_of(const PlotJson& manifest) {
  std::string text = "kvplace " + manifest.at("version").get<std::string>();
  const std::string commit = manifest.at("commit");
  text += (commit.empty() ? "" : " (" + commit + ")") + ", on " + manifest.at("machine").get<std::string>() + "\n";
  for (const PlotJson& input : manifest.at("inputs")) {
    text += input.at("file").get<std::string>() + ", digest " + input.at("digest").get<std::string>() + "\n";
  }
  return text;
}

}  // namespace

Result<Page> make_page(std::string_view kind, const std::string& json, const PageWords& words) {
  KVPLACE_ASSIGN(figures, figures_of(kind, json));
  const PlotJson result = PlotJson::parse(json);
  Page page;
  page.title = words.title;
  page.asked = words.asked;
  page.verdict = words.verdict;
  page.figures = std::move(figures);
  page.tables = tables_of(kind, result);
  page.made_by = made_by_of(kind == "report" ? result.at("comparison").at("manifest") : result.at("manifest"));
  page.described = words.described;
  page.again = words.again;
  page.data = json;
  return page;
}

}  // namespace kvplace
