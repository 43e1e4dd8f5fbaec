#pragma once
// What can go wrong between ferry and the Hub. To callers it is a ferry::Error; inside the layer the kind
// decides whether to try again and whether the cache may answer instead.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ferry::hub {

struct Response;

enum class Failure {
  unreachable,    ///< No connection: name not resolved, refused, no answer in time.
  broken,         ///< The connection broke, or the body was shorter or longer than declared.
  busy,           ///< 408, 429 or 5xx: the server asks to come back.
  tls,            ///< The server could not prove who it is.
  html,           ///< A page for people where the Hub's API answers JSON: a captive portal, a proxy.
  malformed,      ///< An answer that is not the Hub's: no commit, unusable names, broken JSON.
  gated,          ///< The repository wants its terms accepted.
  denied,         ///< The token is wrong or lacks a right.
  no_repository,  ///< No such repository, or no access: the Hub does not tell which.
  no_revision,
  no_entry,    ///< No such file at this revision.
  altered,     ///< The content has another hash than announced.
  changed,     ///< The file is no longer what the first answer announced.
  redirected,  ///< Redirected too often, or from https to http.
  rejected,    ///< Any other status.
};

class HubError : public Error {
 public:
  HubError(Failure failure, std::string message, std::string hint = {});

  [[nodiscard]] Failure failure() const { return failure_; }
  /// True if the same request may well succeed a moment later.
  [[nodiscard]] bool is_transient() const;
  /// True if a copy in the cache may be used instead.
  /// Source: huggingface_hub 0.36.2, _snapshot_download.py (a missing revision or TLS trouble is never
  /// papered over).
  [[nodiscard]] bool cache_may_answer() const;

  std::optional<std::chrono::seconds> retry_after;  ///< How long the server asked to wait.

 private:
  Failure failure_;
};

/// What a request was about, for messages.
struct Subject {
  std::string endpoint;
  std::string repo_id;
  std::string revision;
  std::string file;  ///< Empty for the repository itself.
  bool with_token = false;
};

/// The error that an answer with a status of 300 or more stands for; `body` is its beginning.
HubError error_from_response(const Response& response, std::string_view body, const Subject& subject);

}  // namespace ferry::hub
