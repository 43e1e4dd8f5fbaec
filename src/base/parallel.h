#pragma once
#include <cstddef>
#include <functional>

namespace ferry {

/// How many threads to use when the caller does not say: the processors this process may run on.
size_t default_threads();

/// Calls body(i) for every i in [0, count), on up to `threads` threads (0: default_threads()); returns when
/// all are done. The first exception that a call throws is thrown again here, after the running calls have
/// ended.
void parallel_for(size_t count, const std::function<void(size_t)>& body, size_t threads = 0);

}  // namespace ferry
