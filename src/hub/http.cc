#include "hub/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <exception>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "hub/failure.h"
#include "hub/url.h"

namespace ferry::hub {
namespace {

constexpr int kMostRedirects = 5;
constexpr long kSlowestBytesPerSecond = 100;
constexpr long kBufferBytes = 256 * 1024;
constexpr size_t kLongestDiscardedBody = 256 * 1024;

void initialize_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

template <typename Value>
void set(CURL* curl, CURLoption option, Value value) {
  if (const CURLcode failure = curl_easy_setopt(curl, option, value); failure != CURLE_OK) {
    throw Error(ErrorCode::runtime, fmt::format("libcurl refuses option {}: {}", static_cast<int>(option), curl_easy_strerror(failure)));
  }
}

class HeaderList {
 public:
  ~HeaderList() { curl_slist_free_all(list_); }
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  void add(const std::string& line) { list_ = curl_slist_append(list_, line.c_str()); }
  [[nodiscard]] curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

// OpenSSL writes to a connection that the server closed: without this, SIGPIPE would end the program. The
// signal is blocked in this thread only, and taken back if it came.
class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~SigpipeBlock() {
    constexpr timespec kNow{0, 0};
    if (!was_pending_) sigtimedwait(&set_, nullptr, &kNow);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlock(const SigpipeBlock&) = delete;
  SigpipeBlock& operator=(const SigpipeBlock&) = delete;

 private:
  sigset_t set_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

// What libcurl's failure means for the caller.
Failure failure_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return Failure::unreachable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
      return Failure::tls;
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Failure::malformed;
    default:
      return Failure::broken;
  }
}

}  // namespace

// The state of one exchange, which libcurl's callbacks fill. Exceptions wait in `thrown` until libcurl has
// returned.
class HttpClient::Exchange {
 public:
  Exchange(const Handlers& handlers, const std::function<bool()>& stop) : handlers_(handlers), stop_(stop) {}

  static size_t on_header(char* data, size_t one, size_t count, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    const std::string_view line(data, one * count);
    if (starts_with(line, "HTTP/")) {
      const size_t space = line.find(' ');
      const auto status = parse_size(space == std::string_view::npos ? "" : line.substr(space + 1, 3));
      exchange->response.status = static_cast<int>(status.value_or(0));
    }
    exchange->response.headers.add_line(line);
    return line.size();
  }

  static size_t on_body(char* data, size_t one, size_t count, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    const std::string_view piece(data, one * count);
    try {
      if (exchange->take(piece)) return piece.size();
      exchange->ended = true;
    } catch (...) {
      exchange->thrown = std::current_exception();
    }
    return piece.size() + 1;  // Not what was given: libcurl ends the transfer.
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto* exchange = static_cast<Exchange*>(self);
    return exchange->stop_ && exchange->stop_() ? 1 : 0;
  }

  Response response;
  std::exception_ptr thrown;
  bool ended = false;

 private:
  bool take(std::string_view piece) {
    if (!is_redirect(response.status) && handlers_.on_body) return handlers_.on_body(response, piece);
    discarded_ += piece.size();
    return discarded_ <= kLongestDiscardedBody;
  }

  const Handlers& handlers_;
  const std::function<bool()>& stop_;
  size_t discarded_ = 0;
};

HttpClient::HttpClient(const HubOptions& options, std::function<bool()> stop)
    : options_(options), stop_(std::move(stop)) {
  initialize_curl();
  curl_ = curl_easy_init();
  if (curl_ == nullptr) throw Error(ErrorCode::runtime, "libcurl cannot be initialized");
}

HttpClient::~HttpClient() {
  curl_easy_cleanup(curl_);
}

void HttpClient::configure(const Request& request, const std::string& url) {
  curl_easy_reset(curl_);  // Options only: connections stay open.
  set(curl_, CURLOPT_URL, url.c_str());
  set(curl_, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
  set(curl_, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  set(curl_, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  set(curl_, CURLOPT_FOLLOWLOCATION, 0L);
  set(curl_, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(curl_, CURLOPT_USERAGENT, options_.user_agent.c_str());
  // Asks for no compression; should one come all the same, libcurl undoes it.
  set(curl_, CURLOPT_ACCEPT_ENCODING, "identity");
  // A wish: libcurl 7.88 refuses it after a name that did not resolve, as if the transfer were still going on.
  curl_easy_setopt(curl_, CURLOPT_BUFFERSIZE, kBufferBytes);
  set(curl_, CURLOPT_TCP_KEEPALIVE, 1L);
  set(curl_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  set(curl_, CURLOPT_TIMEOUT_MS, static_cast<long>(request.total_timeout.count()));
  set(curl_, CURLOPT_LOW_SPEED_LIMIT, kSlowestBytesPerSecond);
  set(curl_, CURLOPT_LOW_SPEED_TIME,
      std::max(1L, static_cast<long>(options_.download_timeout.count() / 1000)));
  set(curl_, CURLOPT_SSL_VERIFYPEER, 1L);
  set(curl_, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options_.ca_bundle.empty()) {
    const bool folder = std::filesystem::is_directory(options_.ca_bundle);
    set(curl_, folder ? CURLOPT_CAPATH : CURLOPT_CAINFO, options_.ca_bundle.c_str());
  }
  // Set even when empty: otherwise libcurl asks the environment.
  const std::string& proxy =
      starts_with(to_lower(url.substr(0, 6)), "https:") ? options_.https_proxy : options_.http_proxy;
  set(curl_, CURLOPT_PROXY, proxy.c_str());
  set(curl_, CURLOPT_NOPROXY, options_.no_proxy.c_str());
  set(curl_, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
  set(curl_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (request.head) set(curl_, CURLOPT_NOBODY, 1L);
}

Response HttpClient::exchange(const Request& request, const std::string& url, bool with_token,
                              const Handlers& handlers) {
  configure(request, url);
  HeaderList headers;
  if (with_token && !options_.token.empty()) headers.add("Authorization: Bearer " + options_.token);
  if (request.headers) {
    for (const auto& line : request.headers(with_token)) headers.add(line);
  }
  Exchange state(handlers, stop_);
  state.response.url = url;
  std::array<char, CURL_ERROR_SIZE> reason{};
  set(curl_, CURLOPT_HTTPHEADER, headers.get());
  set(curl_, CURLOPT_ERRORBUFFER, reason.data());
  set(curl_, CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  set(curl_, CURLOPT_HEADERDATA, static_cast<void*>(&state));
  set(curl_, CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  set(curl_, CURLOPT_WRITEDATA, static_cast<void*>(&state));
  set(curl_, CURLOPT_NOPROGRESS, 0L);
  set(curl_, CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
  set(curl_, CURLOPT_XFERINFODATA, static_cast<void*>(&state));
  const CURLcode code = [&] {
    const SigpipeBlock block;
    return curl_easy_perform(curl_);
  }();
  if (state.thrown) std::rethrow_exception(state.thrown);
  if (code == CURLE_ABORTED_BY_CALLBACK) throw Error(ErrorCode::cancelled, "the download was cancelled");
  if (code == CURLE_OK || state.ended) return state.response;
  const std::string text = reason[0] != '\0' ? reason.data() : curl_easy_strerror(code);
  Failure failure = failure_of(code);
  double connected = 0;  // Seconds until the connection stood; 0 if it never did.
  curl_easy_getinfo(curl_, CURLINFO_CONNECT_TIME, &connected);
  if (code == CURLE_OPERATION_TIMEDOUT && connected == 0) failure = Failure::unreachable;
  if (failure == Failure::unreachable) {
    throw HubError(failure, fmt::format("cannot reach {}: {}", display_url(url), text),
                   "check the network and the proxy; what the cache holds can be used offline");
  }
  throw HubError(failure, fmt::format("{}: {}", display_url(url), text),
                 failure == Failure::tls ? "a proxy's certificate can be named by REQUESTS_CA_BUNDLE" : "");
}

Response HttpClient::follow(const Request& request, const Handlers& handlers) {
  const Origin hub = origin_of(options_.endpoint);
  std::string url = request.url;
  bool at_hub = origin_of(url) == hub;
  for (int redirects = 0;; ++redirects) {
    Response response = exchange(request, url, at_hub, handlers);
    if (!is_redirect(response.status)) return response;
    if (handlers.on_redirect && !handlers.on_redirect(response)) return response;
    if (redirects == kMostRedirects) {
      throw HubError(Failure::redirected,
                     fmt::format("{}: more than {} redirects", display_url(request.url), kMostRedirects));
    }
    const std::string next = resolve_url(url, response.headers.get("Location"));
    if (origin_of(url).scheme == "https" && origin_of(next).scheme != "https") {
      throw HubError(Failure::redirected, fmt::format("{} redirects from https to http", display_url(url)));
    }
    at_hub = at_hub && origin_of(next) == hub;
    url = next;
  }
}

Response HttpClient::head_metadata(const Request& request) {
  Handlers handlers;
  handlers.on_redirect = [&](const Response& response) {
    if (!response.headers.get("X-Linked-Etag").empty()) return false;
    const std::string next = resolve_url(response.url, response.headers.get("Location"));
    return origin_of(next) == origin_of(options_.endpoint);
  };
  return follow(request, handlers);
}

HttpPool::HttpPool(const HubOptions& options, std::function<bool()> stop)
    : options_(options), stop_(std::move(stop)) {}
HttpPool::~HttpPool() = default;

HttpPool::Lease::Lease(HttpPool& pool) : pool_(pool) {
  {
    const std::lock_guard lock(pool_.mutex_);
    if (!pool_.idle_.empty()) {
      client_ = std::move(pool_.idle_.back());
      pool_.idle_.pop_back();
    }
  }
  if (!client_) client_ = std::make_unique<HttpClient>(pool_.options_, pool_.stop_);
}

HttpPool::Lease::~Lease() {
  const std::lock_guard lock(pool_.mutex_);
  pool_.idle_.push_back(std::move(client_));
}

}  // namespace ferry::hub
