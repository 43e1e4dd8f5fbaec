#include "base/error.h"

#include <array>
#include <utility>

#include "base/text.h"

namespace ferry {
namespace {
constexpr std::array<std::string_view, 15> kNames = {"not_found",         "invalid_file",  "invalid_config",
                                                     "missing_tensor",    "unused_tensor", "shape_mismatch",
                                                     "dtype_mismatch",    "unsupported",   "usage",
                                                     "validation_failed", "network",       "io",
                                                     "runtime",           "cancelled",     "internal"};
constexpr size_t kLongestMessage = 4000;
}  // namespace

std::string_view to_string(ErrorCode code) {
  return kNames.at(static_cast<size_t>(code));
}

Error::Error(ErrorCode code, std::string message)
    : std::runtime_error(""), code_(code), message_(printable(message, kLongestMessage)) {
  compose();
}

Error& Error::with_hint(std::string hint) {
  hint_ = printable(hint, kLongestMessage);
  compose();
  return *this;
}

Error& Error::with_context(std::string context) {
  contexts_.push_back(printable(context, kLongestMessage));
  compose();
  return *this;
}

void Error::compose() {
  what_ = message_;
  for (const auto& context : contexts_) what_ += " (" + context + ")";
  if (!hint_.empty()) what_ += "; " + hint_;
}

void check_internal(bool condition, std::string_view what) {
  if (!condition) throw Error(ErrorCode::internal, "internal error: " + std::string(what));
}

}  // namespace ferry
