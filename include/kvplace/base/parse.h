/// Strict text to numbers with units, and back. Nothing is guessed: trailing text, missing units, exponents, signs and
/// overflow are errors whose message says what was expected. One space may stand before a unit, commas in thousands.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kvplace/base/result.h"
#include "kvplace/base/units.h"

namespace kvplace {

/// "16GiB", "5.38 GiB" or "512MB", rounded down to whole bytes. Units B, kB, MB, GB, TB, PB (powers of 1000) and KiB,
/// MiB, GiB, TiB, PiB (powers of 1024). A bare number is an error; measure.h has sizes that may be one.
[[nodiscard]] Result<Bytes> parse_bytes(std::string_view text);

/// "450GB/s". A bare number is an error: bandwidths need their unit.
[[nodiscard]] Result<BytesPerSecond> parse_bandwidth(std::string_view text);

/// "3us", "0.5ms", "20ns", "1s". A bare number is an error.
[[nodiscard]] Result<Seconds> parse_seconds(std::string_view text);

/// "990TFLOP/s": units MFLOP/s, GFLOP/s, TFLOP/s, PFLOP/s.
[[nodiscard]] Result<FlopsPerSecond> parse_flops_rate(std::string_view text);

/// "2.5GFLOP": units MFLOP, GFLOP, TFLOP, PFLOP.
[[nodiscard]] Result<Flops> parse_flops(std::string_view text);

/// A non-negative decimal integer; commas may group its thousands.
[[nodiscard]] Result<std::uint64_t> parse_count(std::string_view text);

/// A finite decimal number.
[[nodiscard]] Result<double> parse_number(std::string_view text);

/// "true" or "false".
[[nodiscard]] Result<bool> parse_bool(std::string_view text);

/// The shortest text that parses back to exactly the same value, with at most four digits before its point if it can.
[[nodiscard]] std::string format_bytes(Bytes size);
[[nodiscard]] std::string format_bandwidth(BytesPerSecond rate);
[[nodiscard]] std::string format_seconds(Seconds time);
[[nodiscard]] std::string format_flops_rate(FlopsPerSecond rate);
[[nodiscard]] std::string format_flops(Flops work);
/// The shortest decimal that reads back as the same double.
[[nodiscard]] std::string format_number(double value);

/// The shortest candidate that begins with `name`, else that of the fewest edits, in any case; empty if there are none.
[[nodiscard]] std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

/// `text` in quotes, with bytes outside printable ASCII escaped and long text cut, for messages.
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace kvplace
