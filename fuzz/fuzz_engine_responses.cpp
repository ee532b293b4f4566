// Any response of an engine is a trace or an error that names the file. The first two bytes choose format and options.
#include "import_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return -1;
  }
  kvplace::ImportOptions options;
  options.prompt_tokens = data[1];  // inferred, one id of 28 bits could make a large trace
  if ((data[0] & 2) != 0) {
    options.experts = 64;
    options.prompt_tokens.reset();
  }
  if ((data[0] & 4) != 0) {
    options.layers = 1u + (data[0] >> 5);
  }
  kvplace::fuzz::import_only((data[0] & 1) != 0 ? "vllm" : "sglang", data + 2, size - 2, options);
  return 0;
}
