// Any stream of records is a trace or an error that names it. The first byte chooses the form.
#include <array>

#include "import_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || kvplace::fuzz::asks_for_memory(data + 1, size - 1)) {
    return -1;
  }
  constexpr std::array kFormats{"dsa-jsonl", "routing-jsonl", "route-csv", "layer-expert-csv", "records"};
  const char* const format = kFormats[(data[0] & 15) % kFormats.size()];
  kvplace::ImportOptions options;
  if (format == std::string_view("records")) {
    options.columns = "request=r,layer=l,step=t,blocks=b,experts=e";
  }
  if ((data[0] & 16) != 0) {
    options.request = "1";
  }
  kvplace::fuzz::import_only(format, data + 1, size - 1, options);
  return 0;
}
