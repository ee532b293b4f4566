/// SQLite, as far as sweeps use it: statements and errors as Result.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kvplace/base/result.h"

namespace kvplace {

struct ConnectionCloser {
  void operator()(sqlite3* connection) const { sqlite3_close(connection); }
};
using SqliteConnection = std::unique_ptr<sqlite3, ConnectionCloser>;

/// What SQLite says about a file, in a sentence. `writes`: what was done before is kept.
[[nodiscard]] Error sqlite_error(sqlite3* connection, const std::string& path, bool writes);

/// One prepared statement; parameters are numbered from 1, columns from 0.
class SqliteStatement {
 public:
  [[nodiscard]] static Result<SqliteStatement> prepare(sqlite3* connection, const std::string& path,
                                                       const std::string& sql);
  void bind(int parameter, std::int64_t value) { sqlite3_bind_int64(statement_.get(), parameter, value); }
  void bind(int parameter, double value) { sqlite3_bind_double(statement_.get(), parameter, value); }
  void bind(int parameter, std::string_view text) {
    sqlite3_bind_text(statement_.get(), parameter, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }
  /// True: there is a row. A parameter that was not bound is null.
  [[nodiscard]] Result<bool> step();
  /// The same without rows, ready to be bound anew.
  [[nodiscard]] Status run();
  [[nodiscard]] std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  [[nodiscard]] double number(int column) const { return sqlite3_column_double(statement_.get(), column); }
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] int columns() const { return sqlite3_column_count(statement_.get()); }
  [[nodiscard]] std::string column_name(int column) const { return sqlite3_column_name(statement_.get(), column); }
  /// SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_NULL.
  [[nodiscard]] int type(int column) const { return sqlite3_column_type(statement_.get(), column); }

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  SqliteStatement(sqlite3* connection, std::string path, sqlite3_stmt* statement)
      : connection_(connection), path_(std::move(path)), statement_(statement) {}

  sqlite3* connection_;
  std::string path_;
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

/// Statements without parameters and rows.
[[nodiscard]] Status execute_sql(sqlite3* connection, const std::string& path, const std::string& sql);

/// The one number that a query gives.
[[nodiscard]] Result<std::int64_t> number_of_sql(sqlite3* connection, const std::string& path, const std::string& sql);

}  // namespace kvplace
