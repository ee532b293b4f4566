// Any text is a value or an error with a message, and a value printed and read again is the same value.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"
#include "kvplace/instance/layer_budgets.h"
#include "kvplace/size/target.h"
#include "require.h"

namespace kvplace {
namespace {

template <class T>
void is_value_or_message(const Result<T>& result) {
  REQUIRE(result || (result.error().kind == ErrorKind::kBadInput && !result.error().message.empty()));
}

template <class T, class Parse, class Format>
void reads_back(std::string_view text, Parse parse, Format format) {
  const Result<T> value = parse(text);
  is_value_or_message(value);
  if (value) {
    const Result<T> again = parse(format(*value));
    REQUIRE(again && *again == *value);
  }
}

}  // namespace
}  // namespace kvplace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvplace;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  reads_back<Bytes>(text, parse_bytes, format_bytes);
  reads_back<BytesPerSecond>(text, parse_bandwidth, format_bandwidth);
  reads_back<Seconds>(text, parse_seconds, format_seconds);
  reads_back<FlopsPerSecond>(text, parse_flops_rate, format_flops_rate);
  reads_back<Flops>(text, parse_flops, format_flops);
  reads_back<double>(text, parse_number, format_number);
  reads_back<double>(text, parse_percent, format_percent);
  reads_back<double>(text, parse_amount, format_amount);
  is_value_or_message(parse_bytes_of("block_bytes", text));
  reads_back<std::vector<double>>(text, parse_layer_shares, format_layer_shares);
  is_value_or_message(parse_target(text));
  is_value_or_message(parse_count(text));
  is_value_or_message(parse_bool(text));
  is_value_or_message(parse_assignment(text));
  for (const char c : in_quotes(text)) {
    REQUIRE(c >= ' ' && c <= '~');
  }
  return 0;
}
