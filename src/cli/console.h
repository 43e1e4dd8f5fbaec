#pragma once
// Where messages and progress become text on the standard error stream.
#include <chrono>
#include <iosfwd>
#include <mutex>
#include <string>
#include <string_view>

#include "base/log.h"

namespace ferry::cli {

struct ConsoleOptions {
  bool terminal = false;  ///< Progress is a bar that redraws itself; else a line every few seconds.
  bool color = false;
  bool progress = true;
  LogLevel least = LogLevel::info;  ///< Messages below are left out.
};

/// Prints what a Log gets. May be called from several threads.
class Console {
 public:
  explicit Console(std::ostream& err) : err_(err) {}

  void configure(const ConsoleOptions& options) { options_ = options; }
  /// A sink that prints here; the console must outlive it.
  [[nodiscard]] Log log();

  /// Information stands as it is; other levels say what they are.
  void message(LogLevel level, std::string_view text);
  void progress(std::string_view what, uint64_t done, uint64_t total);
  /// A line that is printed whatever the level: `label` (in colour, on a terminal) and `text`.
  void line(std::string_view label, std::string_view text, bool bad);

 private:
  using Clock = std::chrono::steady_clock;

  void write(std::string_view label, std::string_view text, const char* color);
  void clear_bar();

  std::ostream& err_;
  ConsoleOptions options_;
  std::mutex mutex_;
  bool bar_shown_ = false;
  std::string current_;  // What the progress is about.
  Clock::time_point next_{};
};

/// `text` with everything escaped that could move the cursor or forge a line of its own, other than line
/// breaks and tabs: messages of ours are laid out with those, and names in them were escaped before.
std::string safe_lines(std::string_view text);

/// "writing model.onnx  [#########-----------]  45%  200 MB of 440 MB"
std::string progress_bar(std::string_view what, uint64_t done, uint64_t total);

}  // namespace ferry::cli
