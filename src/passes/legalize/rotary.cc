// Rotary position embeddings: x cos + rotated(x) sin, with cos and sin as wide as what they turn, so that the
// two products and the sum are all that is left for each query and key. The wide cos and sin are equal in
// every layer, and become one.
#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

// Turns pairs of elements: neighbours, or element i and i + width / 2.
class Rotation {
 public:
  Rotation(const Lowering& at, bool interleaved, int64_t width)
      : at_(at), interleaved_(interleaved), width_(width) {}

  [[nodiscard]] Tensor wide_cos(const Tensor& half) const { return widen(half, half); }
  [[nodiscard]] Tensor wide_sin(const Tensor& half) const {
    const bool constant = half.is_weight() && is_floating(half.dtype());
    const Tensor negative =
        constant ? op::weight(at_.graph, "sin", half.value()->weight->scale(-1.0f)) : op::unary("Neg", half);
    return widen(negative, half);
  }
  // (x1, x2) -> (x2, x1) of every pair.
  [[nodiscard]] Tensor swapped(const Tensor& x) const {
    if (interleaved_) {
      std::vector<int64_t> places;
      for (int64_t i = 0; i < width_; ++i) places.push_back(i ^ 1);
      return op::gather(x, op::integers(at_.graph, places), -1);
    }
    const Tensors parts = op::split(x, -1, {width_ / 2, width_ / 2});
    return op::concat({parts[1], parts[0]}, -1);
  }

 private:
  [[nodiscard]] Tensor widen(const Tensor& first, const Tensor& second) const {
    const Tensor both = op::concat({first, second}, -1);
    if (!interleaved_) return both;
    std::vector<int64_t> places;
    for (int64_t i = 0; i < width_; ++i) places.push_back(i / 2 + (i % 2) * (width_ / 2));
    return op::gather(both, op::integers(at_.graph, places), -1);
  }

  const Lowering& at_;
  bool interleaved_;
  int64_t width_;
};

int64_t head_size(const Lowering& at, const Tensor& x) {
  const ir::Dim& size = x.dim(-1);
  if (!size.is_constant()) at.unsupported("the head size is not known");
  return *size.constant();
}

// x is [B, S, heads, size] if heads_last, else [B, heads, S, size].
Tensor rotate(const Lowering& at, const Tensor& x, bool heads_last) {
  const int64_t size = head_size(at, x);
  int64_t width = at.node.get("rotary_embedding_dim", int64_t{0});
  if (width == 0) width = size;
  if (width % 2 != 0 || width > size) at.unsupported("the rotary dimension is odd or wider than a head");
  const Rotation rotation(at, at.node.get("interleaved", int64_t{0}) != 0, width);
  Tensor cos = rotation.wide_cos(at.shaped(1));
  Tensor sin = rotation.wide_sin(at.shaped(2));
  if (at.has_input(3)) {
    cos = op::gather(cos, at.input(3));
    sin = op::gather(sin, at.input(3));
  }
  const int64_t heads_axis = heads_last ? 2 : 1;
  cos = op::unsqueeze(cos, {heads_axis});
  sin = op::unsqueeze(sin, {heads_axis});
  if (width == size) return op::add(op::mul(x, cos), op::mul(rotation.swapped(x), sin));
  const Tensors parts = op::split(x, -1, {width, size - width});
  const Tensor turned = op::add(op::mul(parts[0], cos), op::mul(rotation.swapped(parts[0]), sin));
  return op::concat({turned, parts[1]}, -1);
}

Tensors rotary_embedding(const Lowering& at) {
  const Tensor x = at.shaped(0);
  if (x.rank() == 4) return {rotate(at, x, false)};
  const int64_t heads = at.node.get("num_heads", int64_t{0});
  if (x.rank() != 3 || heads <= 0) at.unsupported("the number of heads is not known");
  const auto size = x.dim(2).divide_exactly(ir::Dim(heads));
  if (!size || !size->is_constant()) at.unsupported("the head size is not known");
  const Tensor turned = rotate(at, op::reshape(x, {0, 0, heads, *size->constant()}), true);
  return {op::reshape(turned, {0, 0, heads * *size->constant()})};
}

constexpr Rule kRules[] = {
    {"RotaryEmbedding", 23, rotary_embedding},
};

}  // namespace

std::span<const Rule> rotary_rules() {
  return kRules;
}

}  // namespace ferry::passes
