#pragma once
// The headers of an answer, and what the Hub puts into them.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::hub {

/// Header fields in the order of their arrival; names compare without case.
class Headers {
 public:
  /// Takes one line as the wire has it. A status line ("HTTP/1.1 200 OK") starts anew: an interim answer came
  /// before.
  void add_line(std::string_view line);
  /// The value of the first field of that name, trimmed; empty if there is none.
  [[nodiscard]] std::string get(std::string_view name) const;
  [[nodiscard]] size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// An answer without its body.
struct Response {
  int status = 0;
  std::string url;  ///< The address that gave this answer.
  Headers headers;
};

inline bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// A whole non-negative number, or nothing.
std::optional<uint64_t> parse_size(std::string_view text);

/// The tag between the quotes of `W/"tag"` or `"tag"`; an unquoted one as it is.
std::string normalize_etag(std::string_view etag);

/// "bytes 5-9/10".
struct ContentRange {
  uint64_t first = 0;
  uint64_t last = 0;
  std::optional<uint64_t> total;  ///< Nothing for "*".
};
std::optional<ContentRange> parse_content_range(std::string_view text);

/// Retry-After: seconds, or an HTTP date (counted from now, never negative). Nothing for anything else.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view text);

/// What the Hub's resolve address says about a file, before any redirect to where its bytes lie.
struct FileMetadata {
  std::string commit;            ///< 40 hexadecimal digits.
  std::string etag;              ///< Hexadecimal; git's SHA-1 of a small file, the SHA-256 of a large one.
  std::optional<uint64_t> size;  ///< Bytes; nothing if the answer was compressed on the way.
};

/// Reads X-Repo-Commit, X-Linked-Etag or ETag, and X-Linked-Size or Content-Length.
/// Errors: HubError{malformed} if commit or etag are absent or could not be a part of a path; `what` names
/// the file.
FileMetadata parse_file_metadata(const Response& response, std::string_view what);

}  // namespace ferry::hub
