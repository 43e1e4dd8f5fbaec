#pragma once
// JSON Lines in and out, one line at a time.
#include <functional>
#include <istream>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ferry::cli {

/// Reads lines, parses each, and passes them on in groups of up to `batch_size`. Empty lines are passed over.
/// A line that is not JSON, or longer than 16 MB, is given as it would be answered: {"error": message}, with
/// `broken` true.
void for_each_batch(std::istream& in, const std::string& what, size_t batch_size,
                    const std::function<void(std::vector<nlohmann::ordered_json>& values,
                                             const std::vector<bool>& broken)>& take);

}  // namespace ferry::cli
