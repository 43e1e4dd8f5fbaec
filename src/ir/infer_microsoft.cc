// ONNX Runtime's own operators (domain com.microsoft) that the fuse and quantize passes emit.
#include "ir/infer.h"

namespace ferry::ir {
namespace {

void like_first(Inference& in) {
  in.set(0, in.input(0).dtype, in.input(0).shape);
}

void skip_normalization(Inference& in) {
  const auto& data = in.input(0);
  in.set(0, data.dtype, data.shape);
  in.set(3, data.dtype, data.shape);
}

void fused_matmul(Inference& in) {
  const DType dtype = in.input(0).dtype;
  if (!in.ranks_known(2)) return in.set(0, dtype);
  Shape a = in.shape(0);
  Shape b = in.shape(1);
  in.require(a.size() >= 2 && b.size() >= 2, "FusedMatMul of tensors that are not matrices");
  if (in.node().get("transA", int64_t{0}) != 0) std::swap(a[a.size() - 1], a[a.size() - 2]);
  if (in.node().get("transB", int64_t{0}) != 0) std::swap(b[b.size() - 1], b[b.size() - 2]);
  in.same(a.back(), b[b.size() - 2], "inner dimensions differ");
  Shape out = in.broadcast(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  out.push_back(a[a.size() - 2]);
  out.push_back(b.back());
  in.set(0, dtype, out);
}

void matmul_nbits(Inference& in) {
  const DType dtype = in.input(0).dtype;
  if (!in.input(0).shape) return in.set(0, dtype);
  Shape out = in.shape(0);
  in.require(!out.empty(), "MatMulNBits of a scalar");
  in.same(out.back(), Dim(in.node().get("K", int64_t{0})), "inner dimensions differ");
  out.back() = in.node().get("N", int64_t{0});
  in.set(0, dtype, out);
}

constexpr OpDef kOps[] = {
    {"BiasGelu", like_first, kMicrosoftDomain},
    {"FastGelu", like_first, kMicrosoftDomain},
    {"QuickGelu", like_first, kMicrosoftDomain},
    {"SkipLayerNormalization", skip_normalization, kMicrosoftDomain},
    {"SkipSimplifiedLayerNormalization", skip_normalization, kMicrosoftDomain},
    {"RotaryEmbedding", like_first, kMicrosoftDomain},
    {"FusedMatMul", fused_matmul, kMicrosoftDomain},
    {"MatMulNBits", matmul_nbits, kMicrosoftDomain},
};

}  // namespace

std::span<const OpDef> microsoft_ops() {
  return kOps;
}

}  // namespace ferry::ir
