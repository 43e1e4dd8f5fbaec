#pragma once
// The command line, without the process around it: tests call run() with streams of their own.
#include <functional>
#include <iosfwd>

namespace ferry::cli {

/// The value of an environment variable, or null.
using Environment = std::function<const char*(const char*)>;

/// What a command may touch. Results go to `out`, messages and progress to `err`.
struct Io {
  std::ostream& out;
  std::ostream& err;
  Environment environment;
  bool err_is_terminal = false;  ///< A bar that redraws itself, and colours, unless NO_COLOR is set.
};

inline constexpr int kExitGood = 0;
inline constexpr int kExitBadInput = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitMismatch = 3;
inline constexpr int kExitInternal = 70;

/// Parses and runs one command line; returns the exit code. Throws nothing: errors are printed.
int run(int argc, const char* const* argv, const Io& io);

}  // namespace ferry::cli
