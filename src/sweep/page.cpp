#include "kvplace/sweep/page.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "base/file.h"
#include "kvplace/base/manifest.h"
#include "kvplace/base/short_text.h"
#include "kvplace/sweep/sweep.h"
#include "report/assets.h"
#include "sweep/sqlite.h"

namespace kvplace {
namespace {

using PageJson = nlohmann::ordered_json;

/// Results that a page can draw, as far as the view has them.
constexpr std::array<std::string_view, 24> kDrawn{"label",
                                                  "policy",
                                                  "total_s",
                                                  "tokens_per_s",
                                                  "gap_to_bound",
                                                  "gap_to_perfect_split",
                                                  "aggregate_utilization",
                                                  "far_reads",
                                                  "promotions",
                                                  "near_bytes",
                                                  "far_read_bytes",
                                                  "peak_near_blocks",
                                                  "all_near_s",
                                                  "certified_s",
                                                  "any_s",
                                                  "value",
                                                  "link_bytes_per_s",
                                                  "batch",
                                                  "crossover_batch",
                                                  "all_near_tokens_per_s",
                                                  "engine_tokens_per_s",
                                                  "best_policy",
                                                  "best_tokens_per_s",
                                                  "buffer_blocks"};

struct SheetColumn {
  int place = 0;
  std::string name;
  bool varied = false;
};

/// What varies, then what is drawn of the results; of a policy its label alone where there is one.
std::vector<SheetColumn> columns_of(const SqliteStatement& rows, const std::set<std::string>& varied) {
  std::vector<SheetColumn> columns;
  std::set<std::string> names;
  for (int i = 0; i < rows.columns(); ++i) {
    const std::string name = rows.column_name(i);
    const bool varies = varied.contains(name) && !names.contains(name);
    const bool drawn = std::find(kDrawn.begin(), kDrawn.end(), name) != kDrawn.end();
    if (varies || (drawn && !(name == "policy" && names.contains("label")))) {
      columns.push_back({i, name, varies});
      names.insert(name);
    }
  }
  return columns;
}

PageJson cell_of(const SqliteStatement& rows, const SheetColumn& column) {
  switch (rows.type(column.place)) {
    case SQLITE_INTEGER:
      return rows.integer(column.place);
    case SQLITE_FLOAT:
      return rows.number(column.place);
    case SQLITE_NULL:
      return nullptr;
    default:
      return rows.text(column.place);
  }
}

struct Sheet {
  PageJson columns = PageJson::array();  ///< name, varied, unit, and of texts that are quantities the numbers they are
  PageJson rows = PageJson::array();
};

/// A column of texts that are all quantities of one unit also gets their numbers, to be drawn.
PageJson described_column(const SheetColumn& column, const PageJson& rows, std::size_t place) {
  PageJson described{{"name", column.name}, {"varied", column.varied}, {"unit", ""}, {"numbers", PageJson::object()}};
  for (const PageJson& row : rows) {
    if (row[place].is_string()) {
      const std::string text = row[place];
      const std::optional<StudyNumber> number = quantity_of(text);
      if (!number) {
        described["numbers"] = PageJson::object();
        return described;
      }
      described["numbers"][text] = number->number;
      described["unit"] = number->unit;
    }
  }
  return described;
}

Result<Sheet> read_sheet(sqlite3* connection, const std::string& path) {
  std::set<std::string> varied;
  KVPLACE_ASSIGN(axes, SqliteStatement::prepare(connection, path, "SELECT DISTINCT key FROM axes"));
  for (;;) {
    KVPLACE_ASSIGN(more, axes.step());
    if (!more) {
      break;
    }
    varied.insert(axes.text(0));
  }
  KVPLACE_ASSIGN(sheet, SqliteStatement::prepare(connection, path, "SELECT * FROM sheet WHERE status = 'done'"));
  const std::vector<SheetColumn> columns = columns_of(sheet, varied);
  Sheet read;
  for (;;) {
    KVPLACE_ASSIGN(more, sheet.step());
    if (!more) {
      break;
    }
    PageJson row = PageJson::array();
    for (const SheetColumn& column : columns) {
      row.push_back(cell_of(sheet, column));
    }
    read.rows.push_back(std::move(row));
    if (read.rows.size() > kMostPageRows) {
      return bad_input(path + ": has more than " + with_commas(kMostPageRows) +
                       " rows, too many for a page: --export csv takes all");
    }
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    read.columns.push_back(described_column(columns[i], read.rows, i));
  }
  return read;
}

/// The first rows: the page's data holds all.
PageTable rows_of(const Sheet& sheet) {
  constexpr std::size_t kShown = 200;
  const std::size_t shown = std::min(kShown, sheet.rows.size());
  PageTable table{"Rows", with_commas(shown) + " of " + with_commas(sheet.rows.size()) + ".", {{}}};
  for (const PageJson& column : sheet.columns) {
    table.rows.front().push_back(column.at("name"));
  }
  for (std::size_t i = 0; i < shown; ++i) {
    std::vector<std::string> row;
    for (const PageJson& cell : sheet.rows[i]) {
      row.push_back(cell.is_null() ? "" : cell.is_string() ? cell.get<std::string>() : cell.dump());
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

Result<Page> sweep_page(const std::string& database) {
  KVPLACE_ASSIGN(checked, SweepDatabase::open_to_read(database));
  KVPLACE_ASSIGN(status, checked.status());
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(database.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
  const SqliteConnection connection(opened);
  if (code != SQLITE_OK) {
    return tl::unexpected(sqlite_error(connection.get(), database, false));
  }
  KVPLACE_ASSIGN(sheet, read_sheet(connection.get(), database));
  if (sheet.rows.empty()) {
    return bad_input(database + ": holds no result yet: no page can be made of it");
  }
  Page page;
  page.title = "Sweep " + status.name;
  page.asked = "What " + with_commas(status.points) +
               " points of a study give: filter, compare, and read off what is not "
               "bettered in both of two figures.";
  page.verdict = {with_commas(status.done) + " of " + with_commas(status.points) + " points are computed, " +
                  with_commas(status.failed) + " failed; the page has " + with_commas(sheet.rows.size()) + " rows."};
  page.interactive = "explore";
  page.script = page_explorer();
  page.tables = {rows_of(sheet)};
  const Manifest manifest = make_manifest();
  page.made_by =
      "kvplace " + manifest.version + (manifest.commit.empty() ? "" : " (" + manifest.commit + ")") + "\n" + database;
  page.again = "kvplace sweep " + database + " --report html -o sweep.html\n";
  page.data = PageJson{{"columns", sheet.columns}, {"rows", sheet.rows}}.dump(-1, ' ', true,
                                                                              PageJson::error_handler_t::replace);
  return page;
}

}  // namespace kvplace
