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

// Rows of a table whose elements are packed into bytes along the last dimension.
void gather_block_quantized(Inference& in) {
  const DType dtype = in.input(2).dtype;
  if (!in.input(0).shape || !in.input(1).shape) return in.set(0, dtype);
  const Shape& data = in.shape(0);
  in.require(!data.empty() && in.node().get("gather_axis", int64_t{0}) == 0,
             "rows are gathered of tables alone");
  const int64_t bits = in.node().get("bits", int64_t{4});
  in.require(bits == 2 || bits == 4 || bits == 8, "bits are 2, 4 or 8");
  Shape out = in.shape(1);
  out.insert(out.end(), data.begin() + 1, data.end());
  if (in.input(0).dtype == DType::u8) out.back() = out.back() * Dim(8 / bits);
  in.set(0, dtype, out);
}

// A cache [B, heads, P, size] with `length` tokens more.
void set_present(Inference& in, size_t past_input, size_t output, const Shape& fresh) {
  const DType dtype = in.input(0).dtype;
  Shape out = fresh;
  if (in.has_input(past_input)) {
    if (!in.input(past_input).shape) return in.set(output, dtype);
    const Shape& past = in.shape(past_input);
    in.require(past.size() == 4, "a cache is [batch, heads, length, size]");
    in.same(past[1], fresh[1], "the heads of the cache and of the new tokens differ");
    in.same(past[3], fresh[3], "the head sizes of the cache and of the new tokens differ");
    out[2] = past[2] + fresh[2];
  }
  in.set(output, dtype, out);
}

Dim parted(Inference& in, const Dim& width, int64_t parts) {
  in.require(parts > 0, "the numbers of heads are positive");
  const auto part = width.divide_exactly(Dim(parts));
  in.require(part.has_value() || !in.strict(), "the heads do not divide the width");
  return part.value_or(width.floor_div(parts));
}

void group_query_attention(Inference& in) {
  const DType dtype = in.input(0).dtype;
  for (const size_t output : {0u, 1u, 2u}) in.set(output, dtype);
  if (!in.input(0).shape) return;
  const Shape& query = in.shape(0);
  in.require(query.size() == 3, "queries are [batch, length, width]");
  const int64_t heads = in.node().get("num_heads", int64_t{0});
  const int64_t kv_heads = in.node().get("kv_num_heads", int64_t{0});
  const Dim size = parted(in, query[2], in.has_input(1) ? heads : heads + 2 * kv_heads);
  in.set(0, dtype, Shape{query[0], query[1], size * Dim(heads)});
  const Shape fresh = {query[0], kv_heads, query[1], size};
  set_present(in, 3, 1, fresh);
  set_present(in, 4, 2, fresh);
}

void multi_head_attention(Inference& in) {
  const DType dtype = in.input(0).dtype;
  for (const size_t output : {0u, 1u, 2u}) in.set(output, dtype);
  if (!in.has_input(1) || !in.has_input(2) || !in.ranks_known(3)) return;
  const Shape &query = in.shape(0), &key = in.shape(1), &value = in.shape(2);
  if (query.size() != 3 || key.size() != 3 || value.size() != 3) return;
  in.same(query[2], key[2], "queries and keys differ in width");
  in.same(key[1], value[1], "keys and values differ in length");
  const int64_t heads = in.node().get("num_heads", int64_t{0});
  in.set(0, dtype, Shape{query[0], query[1], value[2]});
  set_present(in, 6, 1, {key[0], heads, key[1], parted(in, key[2], heads)});
  set_present(in, 7, 2, {key[0], heads, key[1], parted(in, value[2], heads)});
}

constexpr OpDef kOps[] = {
    {"Gelu", like_first, kMicrosoftDomain},
    {"SimplifiedLayerNormalization", like_first},
    {"GroupQueryAttention", group_query_attention, kMicrosoftDomain},
    {"MultiHeadAttention", multi_head_attention, kMicrosoftDomain},
    {"BiasGelu", like_first, kMicrosoftDomain},
    {"FastGelu", like_first, kMicrosoftDomain},
    {"QuickGelu", like_first, kMicrosoftDomain},
    {"SkipLayerNormalization", skip_normalization, kMicrosoftDomain},
    {"SkipSimplifiedLayerNormalization", skip_normalization, kMicrosoftDomain},
    {"RotaryEmbedding", like_first, kMicrosoftDomain},
    {"FusedMatMul", fused_matmul, kMicrosoftDomain},
    {"MatMulNBits", matmul_nbits, kMicrosoftDomain},
    {"GatherBlockQuantized", gather_block_quantized, kMicrosoftDomain},
};

}  // namespace

std::span<const OpDef> microsoft_ops() {
  return kOps;
}

}  // namespace ferry::ir
