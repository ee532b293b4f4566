#include "sweep/schema.h"

#include "simulate/result_fields.h"

namespace kvplace {
namespace {

constexpr const char* kTables = R"sql(
-- The one study of this file, as it was read.
CREATE TABLE study (
  name     TEXT NOT NULL,
  identity TEXT NOT NULL,    -- digest of what is computed at all points; a study of another one is refused here
  toml     TEXT NOT NULL,
  compute  TEXT NOT NULL     -- 'compare bound', what is computed at each point
);

-- What began it: version, commit, machine.
CREATE TABLE manifest (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Every trace that was read. A workload generated in a trace's place has its digest too.
CREATE TABLE traces (path TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;

-- What varies: the values of each key, in their order. Keys of one axis change together.
CREATE TABLE axes (
  axis   INTEGER NOT NULL,   -- from 0; the last changes fastest
  key    TEXT NOT NULL,      -- 'hardware.far.link_read'
  place  INTEGER NOT NULL,   -- of the value, from 0
  value  TEXT NOT NULL,      -- as written: '450GB/s'
  number REAL,               -- the same in bytes, bytes/s or s, or as it is; null of what is no number
  unit   TEXT NOT NULL,      -- of `number`: 'bytes', 'bytes/s', 's' or ''
  PRIMARY KEY (axis, key, place)
) WITHOUT ROWID;

CREATE TABLE points (
  point  INTEGER PRIMARY KEY,              -- its place in the study, from 0
  status TEXT NOT NULL DEFAULT 'pending',  -- 'pending', 'done', or 'failed': see errors
  trace  TEXT,                             -- path, or the workload in its place; null before it is done
  config TEXT,                             -- hardware, model, engine and options, resolved: what --config reads
  -- Lower bounds of compare and bound, in seconds of all decode steps, and the time with everything near.
  perfect_split_s REAL,
  all_near_s      REAL,
  certified_s     REAL,                    -- of schedules whose copies end in their step
  any_s           REAL,                    -- of all schedules
  bound_status    TEXT                     -- of the two: 'converged' or 'time_limit'
);

-- What varies, by point. `number` and `unit` as in axes.
CREATE TABLE settings (
  point  INTEGER NOT NULL REFERENCES points,
  key    TEXT NOT NULL,
  value  TEXT NOT NULL,
  number REAL,
  PRIMARY KEY (point, key)
) WITHOUT ROWID;

-- What could not be computed. `policy` is null if it is of the whole point.
CREATE TABLE errors (
  point   INTEGER NOT NULL REFERENCES points,
  place   INTEGER NOT NULL,
  compute TEXT NOT NULL,
  policy  TEXT,
  message TEXT NOT NULL,
  PRIMARY KEY (point, place)
) WITHOUT ROWID;

-- size: the answer of each policy, and of the bound ('(certified)').
CREATE TABLE sizes (
  point               INTEGER NOT NULL REFERENCES points,
  place               INTEGER NOT NULL,
  policy              TEXT NOT NULL,
  find                TEXT NOT NULL,       -- 'near-capacity', 'buffer', 'link' or 'batch'
  value               REAL,                -- bytes, blocks per layer, bytes/s or requests; null if nothing reaches the target
  near_bytes          INTEGER,
  link_bytes_per_s    REAL,
  batch               INTEGER,
  total_s             REAL,
  tokens_per_s        REAL,
  crossover_batch     INTEGER,
  status              TEXT NOT NULL,       -- 'complete' or 'time_limit'
  PRIMARY KEY (point, place)
) WITHOUT ROWID;

-- advise: by batch.
CREATE TABLE advice (
  point                 INTEGER NOT NULL REFERENCES points,
  batch                 INTEGER NOT NULL,
  asked                 INTEGER NOT NULL,  -- 1 of the batch that was asked for
  buffer_blocks         INTEGER NOT NULL,  -- blocks per layer and request that near memory has room for
  all_near_tokens_per_s REAL,              -- null: it does not fit
  engine_tokens_per_s   REAL,
  best_policy           TEXT,
  best_tokens_per_s     REAL,
  best_step_s           REAL,
  bound_step_s          REAL,
  requests_all_near     INTEGER NOT NULL,
  requests_tiered       INTEGER NOT NULL,
  crossover_batch       INTEGER,
  PRIMARY KEY (point, batch)
) WITHOUT ROWID;

-- How long each point took here, its share of a pass that served several: no result.
CREATE TABLE timings (point INTEGER PRIMARY KEY, seconds REAL NOT NULL);
)sql";

constexpr const char* kViews = R"sql(
-- The fastest placement at each point; ideals, which no placement reaches, are none.
CREATE VIEW fastest AS
  SELECT v.*, r.policy, r.label, r.total_s, r.tokens_per_s, r.gap_to_bound, r.gap_to_perfect_split
  FROM varied v JOIN results r USING (point)
  WHERE r.place = (SELECT s.place FROM results s WHERE s.point = v.point AND s.information <> 'ideal'
                   ORDER BY s.total_s, s.place LIMIT 1);

CREATE VIEW progress AS
  SELECT count(*) AS points, sum(status = 'done') AS done, sum(status = 'failed') AS failed,
         sum(status = 'pending') AS pending,
         (SELECT count(*) FROM results) + (SELECT count(*) FROM sizes) + (SELECT count(*) FROM advice) AS rows
  FROM points;
)sql";

std::string quoted(const std::string& text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    out += c;
    if (c == quote) {
      out += c;
    }
  }
  return out + quote;
}

std::string sql_text(const std::string& text) { return quoted(text, '\''); }

/// The SQLite type of a result field.
std::string sql_type(const ResultField& field) {
  return field.type.starts_with("integer") ? "INTEGER" : field.type.starts_with("number") ? "REAL" : "TEXT";
}

/// compare: a row per point and policy; the columns behind the first three are the fields of `kvplace list results`.
std::string results_table() {
  std::string sql =
      "\n-- compare: one row per point and policy. Lists and objects are JSON text.\nCREATE TABLE results (\n"
      "  point INTEGER NOT NULL REFERENCES points,\n"
      "  place INTEGER NOT NULL,    -- of the policy among those of the study\n"
      "  label TEXT NOT NULL,       -- policy, with those parameters that are not at their defaults\n";
  for (const ResultField& field : result_fields()) {
    sql += "  " + sql_name(field.key) + " " + sql_type(field) + ",\n";
  }
  return sql + "  PRIMARY KEY (point, place)\n) WITHOUT ROWID;\n";
}

/// What the rows of the view sheet are: those of the first of these tables that is filled.
struct RowsOfPoints {
  std::string of;
  std::string table;
  std::string order;
  std::vector<std::string> columns;
};

RowsOfPoints rows_of_points(const Study& study) {
  if (study.computes(Compute::kCompare)) {
    RowsOfPoints rows{"policy", "results", "place", {"label"}};
    for (const ResultField& field : result_fields()) {
      rows.columns.push_back(field.key);
    }
    return rows;
  }
  if (study.computes(Compute::kSize)) {
    return {"policy",
            "sizes",
            "place",
            {"policy", "find", "value", "near_bytes", "link_bytes_per_s", "batch", "total_s", "tokens_per_s",
             "crossover_batch"}};
  }
  if (study.computes(Compute::kAdvise)) {
    return {"batch",
            "advice",
            "batch",
            {"batch", "asked", "buffer_blocks", "all_near_tokens_per_s", "engine_tokens_per_s", "best_policy",
             "best_tokens_per_s", "best_step_s", "bound_step_s", "requests_all_near", "requests_tiered",
             "crossover_batch"}};
  }
  return {"point", "", "", {}};
}

/// A row per point with a column for each key that varies, and one per result beside it.
std::string views_of_axes(const Study& study) {
  std::string sql =
      "\n-- A column for each key that varies.\nCREATE VIEW varied AS SELECT p.point, p.status, p.trace AS source";
  for (const std::string& key : study.varied_keys()) {
    sql += ",\n  (SELECT value FROM settings s WHERE s.point = p.point AND s.key = " + sql_text(key) + ") AS " +
           sql_name(key);
  }
  sql += "\nFROM points p;\n";
  const RowsOfPoints rows = rows_of_points(study);
  sql += "\n-- A row per point and " + rows.of + ", beside what varies: what --export writes.\n" +
         "CREATE VIEW sheet AS SELECT v.*, p.perfect_split_s, p.all_near_s, p.certified_s, p.any_s";
  for (const std::string& column : rows.columns) {
    sql += ", r." + sql_name(column);
  }
  sql += "\nFROM varied v JOIN points p USING (point)";
  if (!rows.table.empty()) {
    sql += " LEFT JOIN " + rows.table + " r USING (point)";
  }
  return sql + " ORDER BY v.point" + (rows.table.empty() ? "" : ", r." + rows.order) + ";\n";
}

}  // namespace

std::string sql_name(const std::string& name) { return quoted(name, '"'); }
std::string sweep_schema(const Study& study) { return kTables + results_table() + views_of_axes(study) + kViews; }

}  // namespace kvplace
