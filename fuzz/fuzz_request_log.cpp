// Any text is a log of requests, in order of arrival, or an error that names the file.
#include "import_fuzz.h"
#include "kvplace/trace/request_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kvplace::fuzz::MemoryFile file(data, size);
  const auto log = kvplace::read_request_log(file.path());
  if (!log) {
    REQUIRE(log.error().message.starts_with(file.path()));
    return 0;
  }
  REQUIRE(!log->requests.empty() && !log->format.empty() && log->requests.front().arrival.value() == 0);
  double before = 0;
  for (const kvplace::LoggedRequest& request : log->requests) {
    REQUIRE(request.arrival.value() >= before && request.output_tokens > 0);
    before = request.arrival.value();
  }
  return 0;
}
