// Any file is a trace or an error that names it, and an accepted trace comes back the same through its export.
// The first byte chooses the options.
#include "import_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || kvplace::fuzz::asks_for_memory(data + 1, size - 1)) {
    return -1;
  }
  kvplace::ImportOptions options;
  options.block_tokens = 1u << (data[0] & 7);
  if ((data[0] & 8) != 0) {
    options.prompt_tokens = data[0];
  }
  kvplace::fuzz::import_and_return("fang-csv", data + 1, size - 1, options);
  return 0;
}
