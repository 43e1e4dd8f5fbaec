#pragma once
// HTTP over libcurl: one exchange at a time, redirects followed by hand because the token must not follow
// them.
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "hub/headers.h"
#include "hub/options.h"

namespace ferry::hub {

struct Request {
  std::string url;
  bool head = false;
  std::chrono::milliseconds total_timeout{0};  ///< For the whole exchange; 0: only silence ends it.
  /// Further header lines; `at_hub` is true while no redirect has left the endpoint's origin.
  std::function<std::vector<std::string>(bool at_hub)> headers;
};

struct Handlers {
  /// Called with each redirecting answer; false makes it the final one. May throw.
  std::function<bool(const Response&)> on_redirect;
  /// Called with the final answer and a piece of its body, decoded. May throw; false ends the transfer in
  /// peace.
  std::function<bool(const Response&, std::string_view)> on_body;
};

/// A connection, kept open between requests. One thread at a time.
class HttpClient {
 public:
  /// `stop` is polled about once a second and ends a transfer with Error{cancelled}.
  HttpClient(const HubOptions& options, std::function<bool()> stop);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Sends the request, follows at most five redirects, never from https to http. The token goes with a
  /// request as long as every address so far has the endpoint's scheme, host and port; after that, never
  /// again. Returns the final answer whatever its status is. Errors: HubError{unreachable, broken, tls,
  /// redirected}, Error{cancelled}, what the handlers throw.
  Response follow(const Request& request, const Handlers& handlers);

  /// Sends a HEAD request and stops at the first answer that says what file it is about, before a redirect to
  /// where its bytes lie. Redirects within the endpoint (a renamed repository) are followed. Errors: as
  /// follow.
  Response head_metadata(const Request& request);

 private:
  class Exchange;

  Response exchange(const Request& request, const std::string& url, bool with_token,
                    const Handlers& handlers);
  void configure(const Request& request, const std::string& url);

  const HubOptions& options_;
  std::function<bool()> stop_;
  void* curl_;
};

/// Clients to borrow, so that each worker reuses a connection.
class HttpPool {
 public:
  HttpPool(const HubOptions& options, std::function<bool()> stop);
  ~HttpPool();

  class Lease {
   public:
    explicit Lease(HttpPool& pool);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    HttpClient* operator->() const { return client_.get(); }

   private:
    HttpPool& pool_;
    std::unique_ptr<HttpClient> client_;
  };

  Lease lease() { return Lease(*this); }

 private:
  const HubOptions& options_;
  std::function<bool()> stop_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<HttpClient>> idle_;
};

}  // namespace ferry::hub
