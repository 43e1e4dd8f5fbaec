// Tensors of a GPTQ or AWQ checkpoint: any shapes and numbers give floats and blocks, or an Error.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "tensor/grouped.h"

namespace {

using namespace ferry;

// Takes numbers from the front of the input.
struct Bytes {
  const uint8_t* data;
  size_t size;

  int64_t number() {
    if (size == 0) return 0;
    --size;
    return *data++;
  }
  // A tensor whose elements are what is left, again and again.
  Weight tensor(DType dtype, Dims dims) const {
    std::vector<std::byte> out(*byte_size(dtype, static_cast<uint64_t>(element_count(dims))));
    for (size_t i = 0; i < out.size(); ++i) out[i] = size == 0 ? std::byte{7} : std::byte{data[i % size]};
    return Weight::inline_bytes(dtype, std::move(dims), std::move(out));
  }
};

void read_all(const Weight& weight) {
  std::vector<std::byte> whole(weight.size_bytes());
  weight.read(0, weight.count(), whole.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes in{data, size};
  try {
    GroupedFormat format;
    const int64_t flags = in.number();
    format.layout = (flags & 1) != 0 ? GroupedFormat::Layout::awq : GroupedFormat::Layout::gptq;
    format.zeros_less_one = (flags & 2) != 0;
    format.bits = (flags & 4) != 0 ? static_cast<int>(in.number()) : (flags & 8) != 0 ? 8 : 4;
    format.group_size = (flags & 16) != 0 ? in.number() - 2 : 16;
    // Dimensions that fit each other, unless a byte says otherwise.
    const int64_t rows = 8 * (1 + in.number() % 16), columns = 8 * (1 + in.number() % 8);
    const int64_t group = format.group_size > 0 ? format.group_size : rows,
                  groups = (rows + group - 1) / group;
    const bool down = format.layout == GroupedFormat::Layout::gptq;
    const int64_t per_word = format.bits == 8 ? 4 : 8;
    const int64_t off = (flags & 32) != 0 ? in.number() % 3 : 0;
    const Dims packed = down ? Dims{rows / per_word, columns} : Dims{rows, columns / per_word};
    GroupedTensors tensors{in.tensor(DType::i32, packed),
                           in.tensor(DType::i32, {groups + off, columns / per_word}),
                           in.tensor(DType::f16, {groups, columns}), std::nullopt};
    if ((flags & 64) != 0) {
      std::vector<int32_t> g_idx(static_cast<size_t>(rows));
      for (auto& value : g_idx)
        value = (flags & 128) != 0 ? static_cast<int32_t>(in.number()) - 1
                                   : static_cast<int32_t>(in.number() % groups);
      const auto bytes = std::as_bytes(std::span(g_idx));
      tensors.g_idx = Weight::inline_bytes(DType::i32, {rows}, {bytes.begin(), bytes.end()});
    }
    const Weight weight = grouped_matrix(tensors, format);
    read_all(weight);
    const Weight parts[] = {weight.transpose(), weight.slice(0, 1, columns / 2).transpose()};
    const Weight both = Weight::concat(parts, 1);
    read_all(both);
    for (const BlockMatrix& blocks : stored_blocks(both.slice(1, 1, columns))) {
      read_all(blocks.weights.packed);
      read_all(blocks.weights.scales);
      if (blocks.weights.zero_points) read_all(*blocks.weights.zero_points);
    }
  } catch (const Error& error) {
    // Input must not reach what only a bug of ours can.
    if (error.code() == ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
