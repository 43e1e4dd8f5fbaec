#pragma once
// The three addresses of the Hub that ferry uses, with retries.
#include <functional>
#include <string>
#include <string_view>

#include "hub/failure.h"
#include "hub/http.h"
#include "hub/model_info.h"

namespace ferry::hub {

/// Requests to one Hub. Several threads may call at once.
class Api {
 public:
  /// `stop` is polled and ends requests with Error{cancelled}.
  Api(const HubOptions& options, std::function<bool()> stop);

  /// What the Hub knows about a model at a revision. With `hurry`, a server that cannot be reached is not
  /// asked twice: the cache will answer. Errors: HubError.
  ModelInfo model_info(const std::string& repo_id, const std::string& revision, bool hurry = false);

  /// Commit, etag and size of one file. Errors: HubError; for a missing file `absent_at` is set to the commit
  /// that lacks it, if the Hub said so.
  FileMetadata file_metadata(const std::string& repo_id, const std::string& revision, const std::string& file,
                             std::string* absent_at = nullptr);

  /// <endpoint>/<repo_id>/resolve/<revision>/<file>
  [[nodiscard]] std::string file_url(std::string_view repo_id, std::string_view revision,
                                     std::string_view file) const;
  [[nodiscard]] Subject subject(std::string_view repo_id, std::string_view revision,
                                std::string_view file) const;

  [[nodiscard]] const HubOptions& options() const { return options_; }
  [[nodiscard]] const std::function<bool()>& stop() const { return stop_; }
  HttpPool& pool() { return pool_; }

 private:
  const HubOptions& options_;
  std::function<bool()> stop_;
  HttpPool pool_;
};

}  // namespace ferry::hub
