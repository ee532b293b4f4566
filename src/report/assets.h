/// What pages are made of, compiled in (src/report/assets/ and plotly's bundle).
#pragma once

#include <string_view>

namespace kvplace {

[[nodiscard]] std::string_view page_style();
[[nodiscard]] std::string_view page_script();
/// Of pages that are explored: a function `more` (Page::script).
[[nodiscard]] std::string_view page_explorer();
/// plotly.js, compressed by gzip, as base64.
[[nodiscard]] std::string_view plotly_bundle();

}  // namespace kvplace
