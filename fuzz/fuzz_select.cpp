// What a user types for a selection method: an error or a value that prints and reads back the same.
#include <cstdint>
#include <string_view>

#include "kvplace/select/registry.h"
#include "require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvplace;
  const SelectRegistry& registry = SelectRegistry::instance();
  if (const auto spec = registry.parse(std::string_view(reinterpret_cast<const char*>(data), size))) {
    const Result<SelectSpec> again = registry.parse(spec->text());
    REQUIRE(again && again->name == spec->name && again->parameters == spec->parameters);
  }
  return 0;
}
