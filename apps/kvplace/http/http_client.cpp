#include "http/http_client.h"

#include <httplib.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "kvplace/base/parse.h"

namespace kvplace::cli {
namespace {

/// While it lives, ends what the client waits for once a stop is requested.
class Watch {
 public:
  Watch(httplib::Client& client, const RunContext& context)
      : thread_([&client, &context](const std::stop_token& done) {
          constexpr std::chrono::milliseconds kLookEvery{100};
          std::mutex mutex;
          std::unique_lock lock(mutex);
          std::condition_variable_any never;
          while (!done.stop_requested()) {
            if (context.stop_requested()) {
              client.stop();
            }
            never.wait_for(lock, done, kLookEvery, [] { return false; });
          }
        }) {}

 private:
  std::jthread thread_;
};

class Client final : public HttpClient {
 public:
  Client(const std::string& server, std::string prefix, const ServerAddress& address, const RunContext& context)
      : client_(server), server_(server), prefix_(std::move(prefix)), context_(context) {
    constexpr time_t kConnectSeconds = 10;
    client_.set_connection_timeout(kConnectSeconds);
    client_.set_read_timeout(static_cast<time_t>(address.timeout.value()));
    client_.set_write_timeout(static_cast<time_t>(address.timeout.value()));
    if (!address.key.empty()) {
      client_.set_bearer_token_auth(address.key.c_str());
    }
  }

  Result<int> send(const HttpRequest& request, const TakeBody& take) override {
    httplib::Request sent;
    sent.method = request.json.empty() ? "GET" : "POST";
    sent.path = prefix_ + request.path;
    sent.body = request.json;
    if (!request.json.empty()) {
      sent.set_header("Content-Type", "application/json");
    }
    bool is_taken = true;
    sent.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      is_taken = take(std::string_view(data, size));
      return is_taken;
    };
    if (context_.stop_requested()) {
      return interrupted("stopped on request");
    }
    const httplib::Result result = [&] {
      const Watch watch(client_, context_);
      return client_.send(sent);
    }();
    if (result) {
      return result->status;
    }
    if (context_.stop_requested()) {
      return interrupted("stopped on request");
    }
    if (!is_taken) {
      return failed("the answer could not be stored");
    }
    return failed(server_ + sent.path + ": " + reason(result.error()));
  }

 private:
  static std::string reason(httplib::Error error) {
    switch (error) {
      case httplib::Error::Connection:
        return "no server answers there";
      case httplib::Error::ConnectionTimeout:
        return "the connection timed out";
      case httplib::Error::Read:
        return "the answer ended before it was whole, or did not come in time (--timeout)";
      default:
        return "no whole answer (" + httplib::to_string(error) + ")";
    }
  }

  httplib::Client client_;
  std::string server_;
  std::string prefix_;
  RunContext context_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> connect(const ServerAddress& address, const RunContext& context) {
  const std::size_t host = address.url.find("://");
  const std::string scheme = address.url.substr(0, std::min(host, address.url.size()));
  const std::size_t begin = host == std::string::npos ? std::string::npos : host + 3;
  if ((scheme != "http" && scheme != "https") || begin >= address.url.size() || address.url[begin] == '/') {
    return bad_input("--url: " + in_quotes(address.url) + " is no address of a server, as http://127.0.0.1:30000");
  }
  const std::size_t path = std::min(address.url.find('/', begin), address.url.size());
  std::string prefix = address.url.substr(path);
  while (prefix.ends_with('/')) {
    prefix.pop_back();
  }
  return std::make_unique<Client>(address.url.substr(0, path), std::move(prefix), address, context);
}

}  // namespace kvplace::cli
