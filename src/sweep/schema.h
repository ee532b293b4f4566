/// The tables of a sweep's database (docs/sweep_database.md), in one place.
#pragma once

#include <span>
#include <string>

#include "kvplace/sweep/study.h"

namespace kvplace {

inline constexpr int kSweepApplicationId = 0x6b767377;  ///< "kvsw", in the SQLite header
inline constexpr int kSweepSchemaVersion = 1;           ///< PRAGMA user_version

/// `name` as an SQL name.
[[nodiscard]] std::string sql_name(const std::string& name);

/// What makes the empty tables and views of a study.
[[nodiscard]] std::string sweep_schema(const Study& study);

}  // namespace kvplace
