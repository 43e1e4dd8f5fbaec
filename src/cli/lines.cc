#include "cli/lines.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace ferry::cli {

void for_each_batch(std::istream& in, const std::string& what, size_t batch_size,
                    const std::function<void(std::vector<nlohmann::ordered_json>& values,
                                             const std::vector<bool>& broken)>& take) {
  std::vector<nlohmann::ordered_json> values;
  std::vector<bool> broken;
  std::string line;
  for (size_t number = 1; std::getline(in, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    try {
      values.push_back(parse_json(line, fmt::format("{}, line {}", what, number), {.max_bytes = 16u << 20}));
      broken.push_back(false);
    } catch (const Error& error) {
      values.push_back({{"error", error.what()}});
      broken.push_back(true);
    }
    if (values.size() < batch_size) continue;
    take(values, broken);
    values.clear();
    broken.clear();
  }
  if (!values.empty()) take(values, broken);
}

}  // namespace ferry::cli
