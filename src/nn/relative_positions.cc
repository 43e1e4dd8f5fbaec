#include "nn/relative_positions.h"

#include <algorithm>
#include <cmath>

namespace ferry::nn {
namespace op = ir::op;

int64_t relative_position_bucket(int64_t distance, const BucketOptions& options) {
  const int64_t buckets = options.bidirectional ? options.buckets / 2 : options.buckets;
  const int64_t side = options.bidirectional && distance > 0 ? buckets : 0;
  const int64_t n = options.bidirectional ? std::abs(distance) : std::max<int64_t>(-distance, 0);
  const int64_t exact = buckets / 2;
  if (n < exact) return side + n;
  // In the single precision of the source: where a logarithm falls on a whole number, rounding decides.
  const double range = std::log(static_cast<double>(options.max_distance) / static_cast<double>(exact));
  const float growth = std::log(static_cast<float>(n) / static_cast<float>(exact)) /
                       static_cast<float>(range) * static_cast<float>(buckets - exact);
  return side + std::min(exact + static_cast<int64_t>(growth), buckets - 1);
}

Tensor bucketed_bias(const Embedding& table, const Tensor& distance, const BucketOptions& options) {
  // Beyond the largest distance all are in the last bucket, so the buckets are a table of constants.
  const int64_t most = options.max_distance;
  std::vector<int64_t> buckets;
  for (int64_t d = -most; d <= most; ++d) buckets.push_back(relative_position_bucket(d, options));
  const Tensor place = op::add(op::clip(distance, -static_cast<double>(most), static_cast<double>(most)),
                               static_cast<double>(most));
  const Tensor bucket = op::gather(op::integers(distance.graph(), buckets), place);
  return op::unsqueeze(op::transpose(table(bucket), {2, 0, 1}), {0});
}

}  // namespace ferry::nn
