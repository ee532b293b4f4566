// Any file is a trace or an error that names it, and an accepted trace comes back the same through its export.
// The first two bytes choose the options.
#include "import_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return -1;
  }
  kvplace::ImportOptions options;
  options.block_tokens = 1u << (data[0] & 7);
  options.prompt_tokens = data[1] * 16u;  // inferred, one id of 28 bits could make a large trace
  if ((data[0] & 8) != 0) {
    options.read_k = 1u + (data[0] >> 4);
  }
  kvplace::fuzz::import_and_return("topk-npy", data + 2, size - 2, options);
  return 0;
}
