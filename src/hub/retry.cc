#include "hub/retry.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <thread>

namespace ferry::hub {
namespace {
constexpr std::chrono::seconds kLongestWait{300};
constexpr size_t kTriesToReach = 3;  // Who is offline should not wait long to hear it.

double random_unit() {
  thread_local std::mt19937 engine{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(engine);
}
}  // namespace

std::chrono::milliseconds backoff_delay(size_t failures, double jitter,
                                        std::optional<std::chrono::seconds> retry_after) {
  const size_t doublings = std::min<size_t>(failures == 0 ? 0 : failures - 1, 3);
  const double longest = 1000.0 * static_cast<double>(1u << doublings);
  const std::chrono::milliseconds delay(static_cast<int64_t>(longest * (1 - jitter / 2)));
  // Whoever was turned away at the same moment should not come back at the same moment.
  if (retry_after) return std::chrono::milliseconds(*retry_after) + delay / 8;
  return delay;
}

bool Retry::again(const HubError& error) {
  ++failures_;
  const size_t most = error.failure() == Failure::unreachable ? std::min(kTriesToReach, options_.max_tries)
                                                              : options_.max_tries;
  if (!error.is_transient() || failures_ >= most) return false;
  if (error.retry_after && *error.retry_after > kLongestWait) return false;
  const auto delay = backoff_delay(failures_, random_unit(), error.retry_after);
  options_.log.warning(fmt::format("{}; trying again in {:.1f} s ({} of {})", error.message(),
                                   static_cast<double>(delay.count()) / 1000, failures_ + 1, most));
  wait(delay);
  return true;
}

void Retry::wait(std::chrono::milliseconds delay) const {
  if (options_.sleep) {
    options_.sleep(delay);
    return;
  }
  const auto end = std::chrono::steady_clock::now() + delay;
  while (std::chrono::steady_clock::now() < end) {
    if (stop_ && stop_()) throw Error(ErrorCode::cancelled, "the download was cancelled");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace ferry::hub
