#pragma once
// What a checkpoint may hold. Each limit is far above every known checkpoint and keeps a hostile one from
// costing more than its own size.
#include <cstddef>
#include <cstdint>

namespace ferry::checkpoint {

constexpr size_t kMaxRank = 64;                      ///< Dimensions of one tensor; PyTorch's own limit.
constexpr size_t kMaxTensors = 1'000'000;            ///< Tensors of one file. DeepSeek-V3 has 91,991 in all.
constexpr size_t kMaxMetadata = 100'000;             ///< Entries of a file's own metadata.
constexpr size_t kMaxNameBytes = 4096;               ///< Length of a tensor's name.
constexpr uint64_t kMaxIndexBytes = 100'000'000;     ///< A shard index, and a header of safetensors.
constexpr uint64_t kMaxPickleBytes = 256ull << 20;   ///< One pickle, without the tensors' bytes.
constexpr uint64_t kMaxInflatedBytes = 64ull << 30;  ///< Sum of what compressed tensors inflate to.

}  // namespace ferry::checkpoint
