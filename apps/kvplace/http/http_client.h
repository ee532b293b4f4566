/// A client of one HTTP server, by cpp-httplib.
#pragma once

#include <memory>
#include <string>

#include "kvplace/base/run_context.h"
#include "kvplace/base/units.h"
#include "kvplace/record/http.h"

namespace kvplace::cli {

struct ServerAddress {
  std::string url;          ///< "http://127.0.0.1:30000", perhaps with a path that all others stand behind
  std::string key;          ///< sent as a bearer token; "" sends none
  Seconds timeout{3600.0};  ///< without a byte of the answer
};

/// Connects with the first request. Bad input for an address that is none. `context` says when to stop.
[[nodiscard]] Result<std::unique_ptr<HttpClient>> connect(const ServerAddress& address, const RunContext& context);

}  // namespace kvplace::cli
