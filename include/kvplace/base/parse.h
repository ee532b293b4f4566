/// Strict text to numbers with units, and back. Nothing is guessed: trailing text, missing units,
/// signs, NUL bytes and overflow are errors whose message says what was expected.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kvplace/base/result.h"
#include "kvplace/base/units.h"

namespace kvplace {

/// "16GiB", "512MB", "1152B" or a bare count of bytes. Units B, kB, MB, GB, TB (powers of 1000) and
/// KiB, MiB, GiB, TiB (powers of 1024); a fraction is allowed if the result is a whole byte.
[[nodiscard]] Result<Bytes> parse_bytes(std::string_view text);

/// "450GB/s". A bare number is an error: bandwidths need their unit.
[[nodiscard]] Result<BytesPerSecond> parse_bandwidth(std::string_view text);

/// "3us", "0.5ms", "20ns", "1s". A bare number is an error.
[[nodiscard]] Result<Seconds> parse_seconds(std::string_view text);

/// "990TFLOP/s": units MFLOP/s, GFLOP/s, TFLOP/s, PFLOP/s.
[[nodiscard]] Result<FlopsPerSecond> parse_flops_rate(std::string_view text);

/// "2.5GFLOP": units MFLOP, GFLOP, TFLOP, PFLOP.
[[nodiscard]] Result<Flops> parse_flops(std::string_view text);

/// A non-negative decimal integer.
[[nodiscard]] Result<std::uint64_t> parse_count(std::string_view text);

/// A finite decimal number.
[[nodiscard]] Result<double> parse_number(std::string_view text);

/// "true" or "false".
[[nodiscard]] Result<bool> parse_bool(std::string_view text);

/// The shortest text that parses back to the same value, in the largest unit that divides it.
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
