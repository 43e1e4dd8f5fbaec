#pragma once
// When to ask again, and how long to wait before.
#include <chrono>
#include <functional>
#include <optional>

#include "hub/failure.h"
#include "hub/options.h"

namespace ferry::hub {

/// How long to wait after the `failures`-th failure in a row: 1 s doubled each time up to 8 s, of which
/// `jitter` (0 to 1) takes off up to half; never less than the server asked for.
std::chrono::milliseconds backoff_delay(size_t failures, double jitter,
                                        std::optional<std::chrono::seconds> retry_after);

/// Counts the failures of one request.
class Retry {
 public:
  Retry(const HubOptions& options, std::function<bool()> stop) : options_(options), stop_(std::move(stop)) {}

  /// After a failure: waits and returns true, or returns false at once if trying again is pointless: the
  /// failure is not transient, all tries are used up (three for a server that cannot be reached), or the
  /// server asks for more than five minutes. Errors: Error{cancelled} while waiting.
  bool again(const HubError& error);
  /// The request made progress: earlier failures no longer count.
  void progressed() { failures_ = 0; }

 private:
  void wait(std::chrono::milliseconds delay) const;

  const HubOptions& options_;
  std::function<bool()> stop_;
  size_t failures_ = 0;
};

}  // namespace ferry::hub
