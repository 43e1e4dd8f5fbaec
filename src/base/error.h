#pragma once
// The one exception type of ferry. What it carries is for the person who reads it: what went wrong, where
// (a chain of contexts, added on the way up), and what can be done.
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// What the caller can do about an error, not which part of ferry met it.
enum class ErrorCode {
  not_found,          ///< A file, folder, model, revision or name does not exist.
  invalid_file,       ///< The bytes of a file are not what its format asks for.
  invalid_config,     ///< A configuration key has a wrong type, an absurd value, or is missing.
  missing_tensor,     ///< The checkpoint lacks a tensor that the model needs.
  unused_tensor,      ///< The checkpoint holds a tensor that the model has no place for.
  shape_mismatch,     ///< Two shapes that must agree do not.
  dtype_mismatch,     ///< Two element types that must agree do not.
  unsupported,        ///< Understood, and not implemented.
  usage,              ///< The command line or the options contradict themselves.
  validation_failed,  ///< The numbers of the exported model differ from the reference.
  network,            ///< A server could not be reached or answered with an error.
  io,                 ///< The operating system refused to read or write.
  runtime,            ///< ONNX Runtime failed; its message is kept.
  cancelled,          ///< The user interrupted.
  internal,           ///< A bug of ferry's. Never reachable from a file or an argument.
};

/// The name of a code as printed: "missing_tensor".
std::string_view to_string(ErrorCode code);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string message);

  [[nodiscard]] ErrorCode code() const { return code_; }
  /// The message alone, on one line, with control characters escaped.
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] const std::string& hint() const { return hint_; }
  [[nodiscard]] const std::vector<std::string>& contexts() const { return contexts_; }

  /// Says what the user can do. Returns *this, so that `throw Error(...).with_hint(...)` reads well.
  Error& with_hint(std::string hint);
  /// Says where: "reading config.json". The innermost context is added first.
  Error& with_context(std::string context);

  /// message, contexts and hint on one line.
  [[nodiscard]] const char* what() const noexcept override { return what_.c_str(); }

 private:
  void compose();

  ErrorCode code_;
  std::string message_;
  std::string hint_;
  std::vector<std::string> contexts_;
  std::string what_;
};

/// Runs `body`; an Error that leaves it gains `context`.
template <typename Body>
decltype(auto) with_context(std::string_view context, Body&& body) {
  try {
    return body();
  } catch (Error& error) {
    error.with_context(std::string(context));
    throw;
  }
}

/// Throws Error{internal} unless `condition` holds. For our own invariants, never for input.
void check_internal(bool condition, std::string_view what);

}  // namespace ferry
