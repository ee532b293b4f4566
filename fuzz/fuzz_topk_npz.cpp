// Any archive is a trace or an error that names it. The first two bytes choose the options.
#include "import_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return -1;
  }
  kvplace::ImportOptions options;
  options.prompt_tokens = data[1];  // inferred, one id of 28 bits could make a large trace
  if ((data[0] & 1) != 0) {
    options.experts = 64;
    options.prompt_tokens.reset();
  }
  kvplace::fuzz::import_only("topk-npz", data + 2, size - 2, options);
  return 0;
}
