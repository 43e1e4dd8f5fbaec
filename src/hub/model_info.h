#pragma once
// What the Hub's API says about a model.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::hub {

/// One file of a repository.
struct RepoSibling {
  std::string rfilename;         ///< Relative to the repository, '/' between folders; never leaves it.
  std::optional<uint64_t> size;  ///< Bytes; nothing if the server did not say.
  std::string
      etag;  ///< What names its blob: SHA-256 of a large file, git's SHA-1 of a small one; may be empty.
};

struct ModelInfo {
  std::string id;   ///< As the Hub spells it now; another than asked for if the repository was renamed.
  std::string sha;  ///< The commit, 40 hexadecimal digits.
  std::vector<RepoSibling> siblings;
  bool is_private = false;
  bool gated = false;
  std::string pipeline_tag;  ///< May be empty.
  std::string library_name;  ///< May be empty.

  /// The sibling of that name, or null.
  [[nodiscard]] const RepoSibling* find(std::string_view rfilename) const;
};

/// Parses the answer of /api/models/<id>/revision/<revision>?blobs=true.
/// Errors: HubError{malformed} for text that is not JSON, a commit that is not one, or a file name that
/// leaves the repository; HubError{html} for a page. Messages start with `what`. Source: huggingface_hub
/// 0.36.2, hf_api.py:ModelInfo and RepoSibling.
ModelInfo parse_model_info(std::string_view text, std::string_view what);

}  // namespace ferry::hub
