// What a user types for --policy and --set: an error or a value that prints and reads back the same.
#include <cstdint>
#include <string_view>

#include "kvplace/instance/resolve.h"
#include "kvplace/policy/registry.h"
#include "require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvplace;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const PolicyRegistry& registry = PolicyRegistry::instance();
  if (const Result<PolicySpec> policy = registry.parse(text)) {
    const Result<PolicySpec> again = registry.parse(policy->text());
    REQUIRE(again && again->name == policy->name && again->parameters == policy->parameters);
  }
  if (const Result<ConfigEntry> entry = parse_assignment(text)) {
    if (const Result<InstanceSpec> spec = resolve_spec(std::span(&*entry, 1), TraceMeta())) {
      const Result<std::vector<ConfigEntry>> printed = parse_toml(to_toml(*spec), "printed");
      REQUIRE(printed.has_value());
      REQUIRE(resolve_spec(*printed, TraceMeta()).has_value());
    }
  }
  return 0;
}
