/// The one thing that recording needs of the network. A client is handed in: the library itself opens no connection.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "kvplace/base/result.h"

namespace kvplace {

struct HttpRequest {
  std::string path;  ///< behind the server's address, as "/generate"
  std::string json;  ///< what is posted; empty: GET
};

/// Talks to one server, a request at a time.
class HttpClient {
 public:
  using TakeBody = std::function<bool(std::string_view)>;

  virtual ~HttpClient() = default;
  /// Sends a request, hands the body to `take` as it comes, and returns the status code. A `take` that returns false
  /// ends it. Errors: failed, with the reason, if there is no whole answer; interrupted.
  [[nodiscard]] virtual Result<int> send(const HttpRequest& request, const TakeBody& take) = 0;
};

}  // namespace kvplace
