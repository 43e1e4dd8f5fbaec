#pragma once
// Positions relative to each other, in buckets that grow with the distance (T5, MPNet, LayoutLMv3).
#include "nn/layers.h"

namespace ferry::nn {

struct BucketOptions {
  int64_t buckets = 32;
  int64_t max_distance = 128;  ///< From here on all distances are alike.
  bool bidirectional = true;   ///< Half of the buckets are for keys after their query; else those count as 0.
};

/// The bucket of a key `distance` after its query (negative: before it).
/// Source: transformers 4.57.6 modeling_t5.py T5Attention._relative_position_bucket.
int64_t relative_position_bucket(int64_t distance, const BucketOptions& options);

/// The table's entry for the bucket of each distance i64[S, T], key minus query: [1, h, S, T]. The table is
/// [buckets, h].
Tensor bucketed_bias(const Embedding& table, const Tensor& distance, const BucketOptions& options);

}  // namespace ferry::nn
