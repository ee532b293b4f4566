#include "sweep/sqlite.h"

namespace kvplace {

Error sqlite_error(sqlite3* connection, const std::string& path, bool writes) {
  switch (sqlite3_errcode(connection)) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return {ErrorKind::kBadInput, path + " is no database of a sweep, or a damaged one; it was left as it is"};
    case SQLITE_CANTOPEN:
      return {ErrorKind::kBadInput, path + ": cannot be opened: there is no such file, or no right to it"};
    case SQLITE_READONLY:
      return {ErrorKind::kBadInput, path + " cannot be written to: it, or its folder, is read-only"};
    case SQLITE_FULL:
    case SQLITE_IOERR:
      return {ErrorKind::kFailed,
              path + ": the disk is full or fails; what was done before is kept: make room and run the same again"};
    case SQLITE_BUSY:
      return {ErrorKind::kFailed, path + " is being written by another program; try again when that has ended"};
    default:
      return {ErrorKind::kFailed,
              path + ": " + sqlite3_errmsg(connection) + (writes ? "; what was done before is kept" : "")};
  }
}

Result<SqliteStatement> SqliteStatement::prepare(sqlite3* connection, const std::string& path, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(connection, sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK) {
    return tl::unexpected(sqlite_error(connection, path, true));
  }
  return SqliteStatement(connection, path, statement);
}

Result<bool> SqliteStatement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    return tl::unexpected(sqlite_error(connection_, path_, true));
  }
  return code == SQLITE_ROW;
}

Status SqliteStatement::run() {
  const Result<bool> done = step();
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  return done ? Status() : Status(tl::unexpected(done.error()));
}

std::string SqliteStatement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return text == nullptr ? std::string()
                         : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)));
}

Status execute_sql(sqlite3* connection, const std::string& path, const std::string& sql) {
  if (sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return tl::unexpected(sqlite_error(connection, path, true));
  }
  return {};
}

Result<std::int64_t> number_of_sql(sqlite3* connection, const std::string& path, const std::string& sql) {
  KVPLACE_ASSIGN(statement, SqliteStatement::prepare(connection, path, sql));
  KVPLACE_TRY(statement.step());
  return statement.integer(0);
}

}  // namespace kvplace
