#include "hub/failure.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "hub/headers.h"

namespace ferry::hub {
namespace {

ErrorCode code_of(Failure failure) {
  switch (failure) {
    case Failure::no_repository:
    case Failure::no_revision:
    case Failure::no_entry:
      return ErrorCode::not_found;
    default:
      return ErrorCode::network;
  }
}

// What the server says about its refusal: a header, or the JSON body's "error".
std::string server_message(const Response& response, std::string_view body) {
  if (auto text = response.headers.get("X-Error-Message"); !text.empty()) return printable(text, 300);
  if (body.empty() || body.front() != '{') return "";
  try {
    const auto json = parse_json(body, "error", {.max_bytes = 64u << 10, .max_depth = 16});
    if (const auto error = json.find("error"); error != json.end() && error->is_string()) {
      return printable(error->get<std::string>(), 300);
    }
  } catch (Error&) {
    // Not JSON after all: the status has to do.
  }
  return "";
}

std::string with_message(std::string text, const std::string& message) {
  if (!message.empty()) text += fmt::format(" (\"{}\")", message);
  return text;
}

HubError gated(const Subject& subject, const std::string& message) {
  const std::string page = fmt::format("{}/{}", subject.endpoint, subject.repo_id);
  const std::string hint =
      subject.with_token
          ? fmt::format("accept its terms at {} with the account of your token", page)
          : fmt::format("accept its terms at {} and pass that account's token: --token or HF_TOKEN", page);
  return HubError(Failure::gated, with_message(fmt::format("{} is gated", subject.repo_id), message), hint);
}

HubError no_repository(const Subject& subject, const std::string& message) {
  const std::string hint =
      subject.with_token ? "check the spelling, and whether your token may read it"
                         : "check the spelling; a private repository needs a token: --token or HF_TOKEN";
  return HubError(
      Failure::no_repository,
      with_message(fmt::format("no such repository, or no access to it: {}", subject.repo_id), message),
      hint);
}

HubError busy(const Response& response, const Subject& subject, const std::string& message) {
  const char* what = response.status == 429 ? "asks for fewer requests" : "cannot answer now";
  HubError error(Failure::busy, with_message(fmt::format("{} {} (HTTP status {}) about {}", subject.endpoint,
                                                         what, response.status, subject.repo_id),
                                             message));
  error.retry_after = parse_retry_after(response.headers.get("Retry-After"));
  return error;
}

}  // namespace

HubError::HubError(Failure failure, std::string message, std::string hint)
    : Error(code_of(failure), std::move(message)), failure_(failure) {
  if (!hint.empty()) with_hint(std::move(hint));
}

bool HubError::is_transient() const {
  return failure_ == Failure::unreachable || failure_ == Failure::broken || failure_ == Failure::busy;
}

bool HubError::cache_may_answer() const {
  switch (failure_) {
    case Failure::tls:
    case Failure::no_revision:
    case Failure::no_entry:
    case Failure::altered:
    case Failure::changed:
    case Failure::redirected:
      return false;
    default:
      return true;
  }
}

HubError error_from_response(const Response& response, std::string_view body, const Subject& subject) {
  const std::string code = response.headers.get("X-Error-Code");
  const std::string message = server_message(response, body);
  const int status = response.status;
  if (code == "RevisionNotFound") {
    return {Failure::no_revision,
            fmt::format("{} has no revision {}", subject.repo_id, printable(subject.revision))};
  }
  if (code == "EntryNotFound") {
    return {Failure::no_entry, fmt::format("{} has no file {} at revision {}", subject.repo_id,
                                           printable(subject.file), printable(subject.revision))};
  }
  if (code == "GatedRepo") return gated(subject, message);
  if (code == "RepoNotFound") return no_repository(subject, message);
  if (status == 401) {
    if (!subject.with_token) return no_repository(subject, message);
    return {Failure::denied,
            with_message(fmt::format("the Hub refuses the token for {}", subject.repo_id), message),
            "check --token, HF_TOKEN, or the token file"};
  }
  if (status == 403) {
    return {Failure::denied, with_message(fmt::format("access to {} is denied", subject.repo_id), message),
            fmt::format("see {}/{}; a token needs the right to read it", subject.endpoint, subject.repo_id)};
  }
  if (status == 404 && subject.file.empty()) return no_repository(subject, message);
  if (status == 404) {
    return {Failure::no_entry, with_message(fmt::format("{} has no file {} at revision {}", subject.repo_id,
                                                        printable(subject.file), printable(subject.revision)),
                                            message)};
  }
  if (status == 408 || status == 429 || status >= 500) return busy(response, subject, message);
  return {Failure::rejected, with_message(fmt::format("{} answers with HTTP status {} about {}",
                                                      subject.endpoint, status, subject.repo_id),
                                          message)};
}

}  // namespace ferry::hub
