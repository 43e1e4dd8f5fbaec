#pragma once
// Where messages and progress go. The library writes to no stream of its own: whoever calls it passes a Log.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace ferry {

enum class LogLevel { debug, info, warning, error };

/// A sink for messages and progress. Default-constructed, it is silent.
class Log {
 public:
  /// Called with a whole message, no trailing newline.
  std::function<void(LogLevel, std::string_view)> on_message;
  /// Called with how much of `total` (bytes, usually) is done. Calls are cheap and frequent; the sink thins
  /// them out.
  std::function<void(std::string_view what, uint64_t done, uint64_t total)> on_progress;

  void debug(std::string_view text) const { message(LogLevel::debug, text); }
  void info(std::string_view text) const { message(LogLevel::info, text); }
  void warning(std::string_view text) const { message(LogLevel::warning, text); }
  void error(std::string_view text) const { message(LogLevel::error, text); }
  void progress(std::string_view what, uint64_t done, uint64_t total) const {
    if (on_progress) on_progress(what, done, total);
  }

 private:
  void message(LogLevel level, std::string_view text) const {
    if (on_message) on_message(level, text);
  }
};

}  // namespace ferry
