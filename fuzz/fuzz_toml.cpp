// Any document is a configuration or an error with a message, and what a preset's parser accepts is valid.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kvplace/base/config.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/model/model.h"
#include "require.h"

namespace kvplace {
namespace {

template <class T>
bool is_value(const Result<T>& result) {
  REQUIRE(result || (result.error().kind == ErrorKind::kBadInput && !result.error().message.empty()));
  return result.has_value();
}

}  // namespace
}  // namespace kvplace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvplace;
  const std::string_view document(reinterpret_cast<const char*>(data), size);
  if (const auto entries = parse_toml(document, "fuzz"); is_value(entries)) {
    for (const ConfigEntry& entry : *entries) {
      REQUIRE(entry.where.starts_with("fuzz:"));
    }
  }
  if (const auto hardware = parse_hardware(document, "fuzz"); is_value(hardware)) {
    REQUIRE(validate(*hardware, "fuzz"));
  }
  if (const auto model = parse_model(document, "fuzz"); is_value(model)) {
    REQUIRE(validate(*model, "fuzz"));
  }
  return 0;
}
