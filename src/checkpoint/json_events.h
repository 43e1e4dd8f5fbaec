#pragma once
// Reading JSON as a stream of events, for the long and regular documents of checkpoints: a header or index of
// a million entries never exists as a tree.
#include <cstdint>
#include <string>
#include <string_view>

namespace ferry::checkpoint {

/// A string, number, boolean or null.
struct JsonScalar {
  enum class Kind : uint8_t { null, boolean, whole, other_number, string };
  Kind kind = Kind::null;
  uint64_t whole = 0;     ///< If kind is whole: a number without sign, fraction and exponent.
  std::string_view text;  ///< If kind is string; valid during the call.
};

/// Receives the events. `depth` counts the arrays and objects around: the root object's members have depth 1.
/// Every function may throw.
class JsonVisitor {
 public:
  virtual ~JsonVisitor() = default;
  virtual void on_key(size_t depth, std::string_view key) = 0;
  virtual void on_scalar(size_t depth, const JsonScalar& value) = 0;
  /// An array or object begins; its content has depth + 1.
  virtual void on_open(size_t depth, bool is_array) = 0;
  /// It has ended.
  virtual void on_close(size_t depth) = 0;
};

/// Walks one JSON document, UTF-8.
/// Errors: Error{invalid_file}, its message starting with `what`, for anything malformed, for a name that
/// occurs twice in one object at any level, for nesting deeper than 16.
void walk_json(std::string_view text, std::string_view what, JsonVisitor& visitor);

}  // namespace ferry::checkpoint
