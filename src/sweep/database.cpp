#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/output_claim.h"
#include "kvplace/base/manifest.h"
#include "kvplace/base/parse.h"
#include "kvplace/sweep/sweep.h"
#include "sweep/schema.h"
#include "sweep/sqlite.h"

namespace kvplace {
namespace {

/// For others who write the database, as a viewer may.
constexpr int kPatienceMs = 10'000;

using DatabaseJson = nlohmann::ordered_json;

void bind_json(SqliteStatement& statement, int parameter, const DatabaseJson& value) {
  if (value.is_string()) {
    statement.bind(parameter, std::string_view(value.get_ref<const std::string&>()));
  } else if (value.is_number_float()) {
    statement.bind(parameter, value.get<double>());
  } else if (value.is_number()) {
    statement.bind(parameter, value.get<std::int64_t>());
  } else if (!value.is_null()) {
    statement.bind(parameter, std::string_view(value.dump()));
  }
}

std::string csv_field(const SqliteStatement& row, int column) {
  if (row.type(column) == SQLITE_FLOAT) {
    return format_number(row.number(column));
  }
  std::string text = row.text(column);
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string field = "\"";
  for (const char c : text) {
    field += c;
    field += c == '"' ? "\"" : "";
  }
  return field + "\"";
}

}  // namespace

struct SweepDatabase::State {
  std::string path;
  std::shared_ptr<OutputClaim> claim;  // null: to read
  FileHandle input;                    // to read: no output replaces it
  SqliteConnection connection;
  std::map<std::string, SqliteStatement> inserts;

  [[nodiscard]] Status execute(const std::string& sql) const { return execute_sql(connection.get(), path, sql); }
  [[nodiscard]] Result<std::int64_t> number(const std::string& sql) const {
    return number_of_sql(connection.get(), path, sql);
  }
  [[nodiscard]] Result<SqliteStatement> prepare(const std::string& sql) const {
    return SqliteStatement::prepare(connection.get(), path, sql);
  }

  Status connect(int flags) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
    connection.reset(opened);
    if (code != SQLITE_OK) {
      return tl::unexpected(sqlite_error(opened, path, false));
    }
    sqlite3_busy_timeout(opened, kPatienceMs);
    return {};
  }

  /// Bad input unless the file is a sweep's of this version or an older one. False: it is empty.
  Result<bool> check_kind() const {
    KVPLACE_ASSIGN(application, number("PRAGMA application_id"));
    KVPLACE_ASSIGN(tables, number("SELECT count(*) FROM sqlite_master"));
    if (application == 0 && tables == 0) {
      return false;
    }
    if (application != kSweepApplicationId) {
      return bad_input(path + " is a database, but none of a sweep; it was left as it is: name another file");
    }
    KVPLACE_ASSIGN(version, number("PRAGMA user_version"));
    if (version > kSweepSchemaVersion) {
      return bad_input(path + " was made by a newer kvplace (its tables are of version " + std::to_string(version) +
                       ", this program knows " + std::to_string(kSweepSchemaVersion) + "); it was left as it is");
    }
    return true;
  }

  Status create(const Study& study) {
    KVPLACE_TRY(execute("BEGIN IMMEDIATE"));
    KVPLACE_TRY(execute(sweep_schema(study)));
    KVPLACE_ASSIGN(about, prepare("INSERT INTO study VALUES (?, ?, ?, ?)"));
    std::string compute;
    for (const Compute what : study.compute) {
      compute += (compute.empty() ? "" : " ") + to_text(what);
    }
    int parameter = 0;
    for (const std::string& text : {study.name, study.identity, study.toml, compute}) {
      about.bind(++parameter, std::string_view(text));
    }
    KVPLACE_TRY(about.run());
    const Manifest manifest = make_manifest();
    KVPLACE_ASSIGN(row, prepare("INSERT INTO manifest VALUES (?, ?)"));
    for (const auto& [key, value] : {std::pair("version", manifest.version), std::pair("commit", manifest.commit),
                                     std::pair("machine", manifest.machine)}) {
      row.bind(1, std::string_view(key));
      row.bind(2, std::string_view(value));
      KVPLACE_TRY(row.run());
    }
    KVPLACE_TRY(create_axes(study));
    KVPLACE_TRY(create_points(study));
    KVPLACE_TRY(execute("PRAGMA application_id = " + std::to_string(kSweepApplicationId) +
                        "; PRAGMA user_version = " + std::to_string(kSweepSchemaVersion)));
    return execute("COMMIT");
  }

  Status create_axes(const Study& study) const {
    KVPLACE_ASSIGN(row, prepare("INSERT INTO axes VALUES (?, ?, ?, ?, ?, ?)"));
    for (std::size_t a = 0; a < study.axes.size(); ++a) {
      const StudyAxis& axis = study.axes[a];
      for (std::size_t place = 0; place < axis.values.size(); ++place) {
        for (std::size_t k = 0; k < axis.keys.size(); ++k) {
          const std::string& value = axis.values[place][k];
          const std::optional<StudyNumber> quantity = quantity_of(value);
          row.bind(1, static_cast<std::int64_t>(a));
          row.bind(2, std::string_view(axis.keys[k]));
          row.bind(3, static_cast<std::int64_t>(place));
          row.bind(4, std::string_view(value));
          if (quantity) {
            row.bind(5, quantity->number);
          }
          row.bind(6, std::string_view(quantity ? quantity->unit : std::string()));
          KVPLACE_TRY(row.run());
        }
      }
    }
    return {};
  }

  Status create_points(const Study& study) const {
    KVPLACE_ASSIGN(row, prepare("INSERT INTO points (point) VALUES (?)"));
    KVPLACE_ASSIGN(setting, prepare("INSERT OR REPLACE INTO settings VALUES (?, ?, ?, ?)"));
    for (std::size_t i = 0; i < study.points.size(); ++i) {
      row.bind(1, static_cast<std::int64_t>(i));
      KVPLACE_TRY(row.run());
      for (const auto& [key, value] : study.points[i].varied) {
        setting.bind(1, static_cast<std::int64_t>(i));
        setting.bind(2, std::string_view(key));
        setting.bind(3, std::string_view(value));
        if (const std::optional<StudyNumber> quantity = quantity_of(value)) {
          setting.bind(4, quantity->number);
        }
        KVPLACE_TRY(setting.run());
      }
    }
    return {};
  }

  Status check_same(const Study& study) const {
    KVPLACE_ASSIGN(about, prepare("SELECT name, identity FROM study"));
    KVPLACE_TRY(about.step());
    if (about.text(1) != study.identity) {
      return bad_input(path + " holds the results of another study, " + in_quotes(about.text(0)) +
                       "; it was left as it is: name another file, or give that study");
    }
    KVPLACE_ASSIGN(manifest, prepare("SELECT value FROM manifest WHERE key = 'version'"));
    KVPLACE_TRY(manifest.step());
    const std::string version = make_manifest().version;
    if (manifest.text(0) != version) {
      return bad_input(path + " was begun by kvplace " + manifest.text(0) + ", and this is " + version +
                       ": name another file, so that results of two versions are not mixed");
    }
    return {};
  }

  Status check_trace(const DatabaseJson& trace) const {
    const auto& name = trace.at("path").get_ref<const std::string&>();
    const auto& digest = trace.at("digest").get_ref<const std::string&>();
    KVPLACE_ASSIGN(known, prepare("SELECT digest FROM traces WHERE path = ?"));
    known.bind(1, std::string_view(name));
    KVPLACE_ASSIGN(found, known.step());
    if (found) {
      return known.text(0) == digest
                 ? Status()
                 : Status(bad_input(name + " is not the trace any more that points in " + path +
                                    " were computed from: put that back, or name another file for the results"));
    }
    KVPLACE_ASSIGN(row, prepare("INSERT INTO traces VALUES (?, ?)"));
    row.bind(1, std::string_view(name));
    row.bind(2, std::string_view(digest));
    return row.run();
  }

  Status insert(const std::string& table, std::int64_t point, const DatabaseJson& values) {
    std::string columns = "point";
    std::string marks = "?";
    for (const auto& [column, value] : values.items()) {
      columns += ", " + sql_name(column);
      marks += ", ?";
    }
    const std::string sql = "INSERT INTO " + table + " (" + columns + ") VALUES (" + marks + ")";
    auto statement = inserts.find(sql);
    if (statement == inserts.end()) {
      KVPLACE_ASSIGN(prepared, prepare(sql));
      statement = inserts.emplace(sql, std::move(prepared)).first;
    }
    statement->second.bind(1, point);
    int parameter = 1;
    for (const auto& [column, value] : values.items()) {
      bind_json(statement->second, ++parameter, value);
    }
    return statement->second.run();
  }

  Status insert_outcome(const DatabaseJson& outcome) {
    const auto point = outcome.at("point").get<std::int64_t>();
    if (!outcome.at("traces").is_null()) {
      KVPLACE_TRY(check_trace(outcome.at("traces")));
    }
    for (const auto& [column, value] : outcome.at("points").items()) {
      KVPLACE_ASSIGN(update, prepare("UPDATE points SET " + sql_name(column) + " = ? WHERE point = ?"));
      bind_json(update, 1, value);
      update.bind(2, point);
      KVPLACE_TRY(update.run());
    }
    for (const auto& [table, rows] : outcome.at("rows").items()) {
      for (const DatabaseJson& values : rows) {
        KVPLACE_TRY(insert(table, point, values));
      }
    }
    return insert("timings", point, {{"seconds", outcome.at("seconds")}});
  }
};

SweepDatabase::SweepDatabase(std::unique_ptr<State> state) : state_(std::move(state)) {}
SweepDatabase::SweepDatabase(SweepDatabase&&) noexcept = default;
SweepDatabase::~SweepDatabase() = default;

Result<SweepDatabase> SweepDatabase::open(const std::string& path, const Study& study) {
  auto state = std::make_unique<State>();
  state->path = path;
  KVPLACE_ASSIGN(claim, claim_of(path));
  state->claim = std::move(claim);
  KVPLACE_TRY(state->connect(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  KVPLACE_ASSIGN(holds_a_sweep, state->check_kind());
  if (holds_a_sweep) {
    KVPLACE_TRY(state->check_same(study));
  }
  KVPLACE_TRY(state->execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"));
  if (!holds_a_sweep) {
    KVPLACE_TRY(state->create(study));
  }
  return SweepDatabase(std::move(state));
}

Result<SweepDatabase> SweepDatabase::open_to_read(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  KVPLACE_ASSIGN(input, open_for_reading(path));
  state->input = std::move(input);
  KVPLACE_TRY(state->connect(SQLITE_OPEN_READONLY));
  KVPLACE_ASSIGN(holds_a_sweep, state->check_kind());
  if (!holds_a_sweep) {
    return bad_input(path + " is empty: no sweep has written to it");
  }
  return SweepDatabase(std::move(state));
}

Result<std::vector<std::uint32_t>> SweepDatabase::pending() const {
  KVPLACE_ASSIGN(rows, state_->prepare("SELECT point FROM points WHERE status = 'pending' ORDER BY point"));
  std::vector<std::uint32_t> points;
  for (;;) {
    KVPLACE_ASSIGN(more, rows.step());
    if (!more) {
      return points;
    }
    points.push_back(static_cast<std::uint32_t>(rows.integer(0)));
  }
}

Status SweepDatabase::forget_failures() {
  std::string sql = "BEGIN IMMEDIATE;";
  for (const char* table : {"results", "errors", "sizes", "advice", "timings"}) {
    sql += std::string("DELETE FROM ") + table + " WHERE point IN (SELECT point FROM points WHERE status = 'failed');";
  }
  return state_->execute(sql +
                         "UPDATE points SET status = 'pending', trace = NULL, config = NULL, perfect_split_s = NULL, "
                         "all_near_s = NULL, certified_s = NULL, any_s = NULL, bound_status = NULL "
                         "WHERE status = 'failed'; COMMIT");
}

Status SweepDatabase::store(const PointOutcome& outcome) {
  const DatabaseJson json = DatabaseJson::parse(outcome.json, nullptr, false);
  if (!json.is_object()) {
    return failed("a worker's outcome of point " + std::to_string(outcome.point) + " cannot be read");
  }
  KVPLACE_TRY(state_->execute("BEGIN IMMEDIATE"));
  Status status;
  const Result<std::int64_t> open = state_->number("SELECT count(*) FROM points WHERE status = 'pending' AND point = " +
                                                   std::to_string(outcome.point));
  if (!open) {
    status = tl::unexpected(open.error());
  } else if (*open == 1) {
    status = state_->insert_outcome(json);
  }
  if (status) {
    status = state_->execute("COMMIT");
  }
  if (!status) {
    static_cast<void>(state_->execute("ROLLBACK"));  // the first error is the one to tell
  }
  return status;
}

Result<SweepStatus> SweepDatabase::status() const {
  SweepStatus status;
  KVPLACE_ASSIGN(about, state_->prepare("SELECT s.name, s.compute, p.* FROM study s, progress p"));
  KVPLACE_TRY(about.step());
  status.name = about.text(0);
  status.compute = about.text(1);
  status.points = static_cast<std::uint64_t>(about.integer(2));
  status.done = static_cast<std::uint64_t>(about.integer(3));
  status.failed = static_cast<std::uint64_t>(about.integer(4));
  status.rows = static_cast<std::uint64_t>(about.integer(6));
  KVPLACE_ASSIGN(time, state_->prepare("SELECT coalesce(sum(seconds), 0) FROM timings"));
  KVPLACE_TRY(time.step());
  status.seconds = time.number(0);
  KVPLACE_ASSIGN(rows, state_->prepare("SELECT message, count(DISTINCT point) AS n FROM errors GROUP BY message "
                                       "ORDER BY n DESC, min(point) LIMIT 5"));
  for (;;) {
    KVPLACE_ASSIGN(more, rows.step());
    if (!more) {
      return status;
    }
    status.failures.push_back({rows.text(0), static_cast<std::uint64_t>(rows.integer(1))});
  }
}

Status SweepDatabase::write_csv(const std::function<Status(std::string_view)>& write) const {
  KVPLACE_ASSIGN(rows, state_->prepare("SELECT * FROM sheet"));
  std::string text;
  for (int column = 0; column < rows.columns(); ++column) {
    text += (column == 0 ? "" : ",") + rows.column_name(column);
  }
  for (;;) {
    text += '\n';
    KVPLACE_TRY(write(text));
    KVPLACE_ASSIGN(more, rows.step());
    if (!more) {
      return {};
    }
    text.clear();
    for (int column = 0; column < rows.columns(); ++column) {
      text += (column == 0 ? "" : ",") + csv_field(rows, column);
    }
  }
}

Status SweepDatabase::write_csv_file(const std::string& path) const {
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  KVPLACE_TRY(write_csv([&file](std::string_view text) { return file.write(text); }));
  return file.commit();
}

Status SweepDatabase::finish() {
  state_->inserts.clear();
  // While somebody reads, the file stays in WAL mode, which is as good but for its two files beside it.
  sqlite3_busy_timeout(state_->connection.get(), 0);
  const Status status = state_->execute("PRAGMA journal_mode = DELETE");
  const bool is_read = sqlite3_errcode(state_->connection.get()) == SQLITE_BUSY;
  sqlite3_busy_timeout(state_->connection.get(), kPatienceMs);
  return is_read ? Status() : status;
}

Status run_sweep(const Study& study, SweepDatabase& database, const RunContext& context) {
  KVPLACE_ASSIGN(pending, database.pending());
  if (context.progress != nullptr) {
    context.progress->start("sweeping", study.points.size(), "points");
  }
  std::uint64_t done = study.points.size() - pending.size();
  for (const std::vector<std::uint32_t>& batch : sweep_batches(study, pending)) {
    KVPLACE_TRY(compute_batch(study, batch, context, [&](const PointOutcome& outcome) {
      if (context.progress != nullptr) {
        context.progress->update(++done);
      }
      return database.store(outcome);
    }));
  }
  if (context.progress != nullptr) {
    context.progress->finish();
  }
  return database.finish();
}

Result<SweepStatus> sweep(const Study& study, const std::string& path, const RunContext& context) {
  KVPLACE_ASSIGN(database, SweepDatabase::open(path, study));
  KVPLACE_TRY(run_sweep(study, database, context));
  return database.status();
}

}  // namespace kvplace
