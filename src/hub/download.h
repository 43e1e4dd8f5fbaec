#pragma once
// One file's content into the cache: resumed where an earlier attempt ended, checked, and put into place at
// once.
#include <cstdint>
#include <functional>
#include <string>

#include "base/file.h"
#include "hub/api.h"
#include "hub/cache.h"
#include "hub/hash.h"

namespace ferry::hub {

/// What is to be downloaded, and how it will be recognized.
struct BlobTarget {
  std::string url;     ///< The Hub's resolve address, at a commit.
  std::string commit;  ///< The commit that the answer must name.
  std::string etag;    ///< The blob's name, and its hash where it has the length of one.
  uint64_t size = 0;   ///< Bytes.
  Subject subject;     ///< For messages.
};

/// Downloads one blob. The temporary file is huggingface_hub's, <etag>.incomplete: what Python began ferry
/// finishes, and the other way round. A lock per blob saves work; safety does not depend on it: bytes are
/// written at their own offsets, never appended, and the file is only put into place if it is still the one
/// that was written.
class BlobDownload {
 public:
  using Progress = std::function<void(int64_t bytes)>;

  /// `progress` is called with how many bytes came, or (negative) went.
  BlobDownload(Api& api, const RepoCache& cache, BlobTarget target, Progress progress);

  /// Returns when blobs/<etag> is whole. Errors: HubError (changed: ask for the metadata anew), Error{io},
  /// Error{cancelled}; then the .incomplete file stays for the next attempt, unless its content was wrong.
  void run();

 private:
  bool is_done();
  void open();
  void start_over();
  void discard();
  void attempt();
  void begin(const Response& response);
  void begin_partial(const Response& response);
  void check_identity(const Response& response) const;
  bool take(std::string_view piece);
  void finish();
  void put_into_place();
  [[nodiscard]] std::vector<std::string> range_headers(bool at_hub) const;
  [[nodiscard]] std::string name() const;

  Api& api_;
  const RepoCache& cache_;
  const BlobTarget target_;
  const Progress progress_;
  File file_;
  uint64_t offset_ = 0;     // Bytes at the start of the file that are right, as far as one can know.
  Hasher hasher_;           // Over those bytes.
  std::string validator_;   // The strong ETag of the answer that the bytes came from.
  bool begun_ = false;      // This attempt's final answer has been looked at.
  std::string error_body_;  // The beginning of the body of an answer that is an error.
};

}  // namespace ferry::hub
