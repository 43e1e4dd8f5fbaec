#pragma once
// The two hashes that name a file on the Hub, computed while its bytes pass.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ferry::hub {

/// SHA-256 (the name of a large file's blob), or SHA-1 over git's header and the bytes (a small file's).
class Hasher {
 public:
  Hasher() = default;  ///< Hashes nothing.
  static Hasher sha256();
  /// Git's object id of a file of `size` bytes.
  static Hasher git_blob(uint64_t size);
  /// The hash of which `etag` is a value, by its length; one that counts nothing for an etag of another
  /// length.
  static Hasher for_etag(std::string_view etag, uint64_t size);

  void update(std::string_view bytes);
  /// Lower-case hexadecimal; empty if this hashes nothing. Call once.
  [[nodiscard]] std::string finish();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  explicit Hasher(const char* algorithm);

  std::unique_ptr<void, Free> context_;
};

}  // namespace ferry::hub
