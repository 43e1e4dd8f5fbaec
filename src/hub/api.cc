#include "hub/api.h"

#include <fmt/format.h>

#include "base/text.h"
#include "hub/retry.h"
#include "hub/url.h"

namespace ferry::hub {
namespace {

constexpr size_t kLongestAnswer = 64u << 20;

// Calls `attempt` until it succeeds or trying again is pointless.
template <typename Attempt>
auto with_retries(const HubOptions& options, const std::function<bool()>& stop, bool hurry,
                  const Attempt& attempt) {
  Retry retry(options, stop);
  while (true) {
    try {
      return attempt();
    } catch (const HubError& error) {
      if (hurry && error.failure() == Failure::unreachable) throw;
      if (!retry.again(error)) throw;
    }
  }
}

}  // namespace

Api::Api(const HubOptions& options, std::function<bool()> stop)
    : options_(options), stop_(std::move(stop)), pool_(options, stop_) {}

Subject Api::subject(std::string_view repo_id, std::string_view revision, std::string_view file) const {
  return {options_.endpoint, std::string(repo_id), std::string(revision), std::string(file),
          !options_.token.empty()};
}

std::string Api::file_url(std::string_view repo_id, std::string_view revision, std::string_view file) const {
  return fmt::format("{}/{}/resolve/{}/{}", options_.endpoint, repo_id, quote(revision, false),
                     quote(file, true));
}

ModelInfo Api::model_info(const std::string& repo_id, const std::string& revision, bool hurry) {
  Request request;
  request.url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", options_.endpoint, repo_id,
                            quote(revision, false));
  request.total_timeout = options_.api_timeout;
  const std::string what = fmt::format("{}'s answer about {}", options_.endpoint, repo_id);
  return with_retries(options_, stop_, hurry, [&] {
    std::string body;
    Handlers handlers;
    handlers.on_body = [&](const Response&, std::string_view piece) {
      if (body.size() + piece.size() > kLongestAnswer) {
        throw HubError(Failure::malformed,
                       fmt::format("{} does not end after {}", what, human_bytes(kLongestAnswer)));
      }
      body += piece;
      return true;
    };
    const Response response = pool_.lease()->follow(request, handlers);
    if (response.status != 200) throw error_from_response(response, body, subject(repo_id, revision, ""));
    return parse_model_info(body, what);
  });
}

FileMetadata Api::file_metadata(const std::string& repo_id, const std::string& revision,
                                const std::string& file, std::string* absent_at) {
  Request request;
  request.url = file_url(repo_id, revision, file);
  request.head = true;
  request.total_timeout = options_.api_timeout;
  return with_retries(options_, stop_, false, [&] {
    const Response response = pool_.lease()->head_metadata(request);
    if (response.status != 200 && !is_redirect(response.status)) {
      HubError error = error_from_response(response, "", subject(repo_id, revision, file));
      if (absent_at != nullptr && error.failure() == Failure::no_entry)
        *absent_at = response.headers.get("X-Repo-Commit");
      throw error;
    }
    return parse_file_metadata(response, file);
  });
}

}  // namespace ferry::hub
