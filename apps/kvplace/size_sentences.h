/// Numbers of a sizing as text, and what its searches know, in sentences.
#pragma once

#include <string>

#include "kvplace/base/short_text.h"
#include "kvplace/size/size.h"

namespace kvplace::cli {

[[nodiscard]] bool is_cost(const SizeResult& result);
/// Three digits and more where a number needs them.
[[nodiscard]] std::string rate_text(double per_second, Rounding rounding = Rounding::kNearest);
/// Of an answer: what is certified is at most what is shown.
[[nodiscard]] std::string rate_text(const SizeAnswer& answer, const SizeProbe& probe);
/// What was searched for, with its unit, rounded so that it does the same when it is typed in: what reaches the target
/// up, else down.
[[nodiscard]] std::string value_text(const SizeResult& result, const SizeProbe& probe);

/// What the bound proves, and where it ends to prove something.
[[nodiscard]] std::string proof_sentence(const SizeResult& result);
/// A line for each policy whose search met an end of its range: what was tried, and what ended it.
[[nodiscard]] std::string range_sentences(const SizeResult& result);
/// What is open if the search was cut short; else nothing.
[[nodiscard]] std::string open_sentence(const SizeResult& result);
/// From which batch on tiering pays, if that was asked for.
[[nodiscard]] std::string crossover_sentences(const SizeResult& result, std::size_t name_width);

}  // namespace kvplace::cli
