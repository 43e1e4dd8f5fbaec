#pragma once
// A Hub of our own on the loopback interface, for tests: model info, resolve with etag and commit, redirects
// to another port for large files, ranges, the Hub's error codes, and every way to misbehave that a test asks
// for.
#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ferry::hub::test {

struct FakeRequest {
  std::string server;  ///< "hub" or "cdn".
  std::string method;
  std::string path;  ///< Decoded, without the query.
  std::string query;
  std::map<std::string, std::string> headers;  ///< Names in lower case.

  [[nodiscard]] std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

struct FakeReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::optional<size_t> declared_length;  ///< Content-Length that is not the body's.
  bool without_length = false;            ///< The end of the connection ends the body.
  std::optional<size_t> cut_at;           ///< Close the connection after so many bytes of the body.
  bool endless = false;                   ///< Repeat the body for ever.
  std::chrono::milliseconds pause{0};     ///< Between single bytes of the body.
  bool drop = false;                      ///< Close without a word.
};

/// A key and a certificate for "localhost" and 127.0.0.1 that its own key signed. Made when first asked for.
class Certificate {
 public:
  static const Certificate& shared();
  /// The certificate, PEM: what a client has to trust.
  [[nodiscard]] const std::string& pem() const { return pem_; }
  /// An OpenSSL SSL_CTX* for servers; lives as long as the process.
  [[nodiscard]] void* server_context() const { return context_; }

 private:
  Certificate();
  std::string pem_;
  void* context_ = nullptr;
};

/// Accepts connections on 127.0.0.1 and answers requests by a function, each connection in a thread of its
/// own.
class LoopbackServer {
 public:
  using Handler = std::function<FakeReply(const FakeRequest&)>;

  LoopbackServer(std::string name, Handler handler, bool tls = false);
  ~LoopbackServer();
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  [[nodiscard]] int port() const { return port_; }

 private:
  class Connection;

  void accept_all();
  void serve(Connection& connection);
  std::optional<FakeRequest> read_request(Connection& connection, std::string& buffer);
  static bool write_reply(Connection& connection, const FakeRequest& request, const FakeReply& reply);

  const std::string name_;
  const Handler handler_;
  const bool tls_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::list<std::thread> connections_;  // Of the accepting thread, until that has ended.
  std::thread acceptor_;
};

struct FakeFile {
  std::string content;
  bool lfs = false;                 ///< Served by the other port, named by its SHA-256.
  std::optional<std::string> etag;  ///< Instead of the true one.
};

struct FakeRepo {
  std::string commit = std::string(40, 'a');
  std::map<std::string, FakeFile> files;
  std::map<std::string, std::string> refs{{"main", ""}};  ///< Revisions; the values do not matter.
  bool gated = false;
  bool is_private = false;
  bool blobs = true;  ///< Whether the model info gives sizes and hashes.
};

inline constexpr const char* kToken = "hf_test_token";

class FakeHub {
 public:
  /// With `tls` the hub speaks https, the other port http all the same.
  explicit FakeHub(bool tls = false);

  [[nodiscard]] std::string endpoint() const;
  /// The requests so far.
  [[nodiscard]] std::vector<FakeRequest> requests() const;
  [[nodiscard]] size_t count(const std::string& method, const std::string& path_part) const;

  /// Called before the usual answer; what it returns is sent instead. Set before the first request.
  std::function<std::optional<FakeReply>(const FakeRequest&)> intercept;
  std::map<std::string, FakeRepo> repos;

  /// The usual answer, for an intercept that changes a detail of it.
  FakeReply usual(const FakeRequest& request) const;
  /// The name of a file's blob.
  static std::string etag_of(const FakeFile& file);

 private:
  FakeReply answer(const FakeRequest& request);
  FakeReply model_info(const FakeRequest& request) const;
  FakeReply resolve(const FakeRequest& request) const;
  FakeReply cdn(const FakeRequest& request) const;

  const bool tls_;
  mutable std::mutex mutex_;
  std::vector<FakeRequest> requests_;
  LoopbackServer cdn_;
  LoopbackServer hub_;
};

/// An error as the Hub sends it.
FakeReply hub_error(int status, const std::string& code, const std::string& message);
/// A part of `content` as the request's Range asks, or all of it.
FakeReply ranged(const FakeRequest& request, const std::string& content, const std::string& etag);

}  // namespace ferry::hub::test
