/// A page of a sweep to explore: filters, parallel coordinates, Pareto fronts.
#pragma once

#include <string>

#include "kvplace/report/page.h"

namespace kvplace {

/// The most rows of a page; a browser is slow with more.
inline constexpr std::size_t kMostPageRows = 20'000;

/// Of the rows of the view sheet that hold a result. Errors: those of SweepDatabase::open_to_read; bad input without a
/// row, or with more than kMostPageRows.
[[nodiscard]] Result<Page> sweep_page(const std::string& database);

}  // namespace kvplace
