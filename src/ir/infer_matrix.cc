// Products and attention.
#include "ir/infer.h"

namespace ferry::ir {
namespace {

// Of the inputs at places `left` and `right`.
std::optional<Shape> product_shape(Inference& in, size_t left = 0, size_t right = 1) {
  if (!in.input(left).shape || !in.input(right).shape) return std::nullopt;
  Shape a = in.shape(left);
  Shape b = in.shape(right);
  in.require(!a.empty() && !b.empty(), "MatMul of a scalar");
  const bool vector_a = a.size() == 1;
  const bool vector_b = b.size() == 1;
  if (vector_a) a.insert(a.begin(), Dim(1));
  if (vector_b) b.emplace_back(1);
  in.same(a.back(), b[b.size() - 2], "inner dimensions differ");
  Shape out = in.broadcast(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  if (!vector_a) out.push_back(a[a.size() - 2]);
  if (!vector_b) out.push_back(b.back());
  return out;
}

void matmul(Inference& in) {
  in.require_same_dtype(0, 1);
  in.set(0, in.input(0).dtype, product_shape(in));
}

void matmul_integer(Inference& in) {
  in.set(0, DType::i32, product_shape(in));
}

void qlinear_matmul(Inference& in) {
  in.set(0, in.input(7).dtype, product_shape(in, 0, 3));
}

// a and b are at places 0 and 1; a float result scaled back by b's scale, and a's where that is stored.
void matmul_to_float(Inference& in) {
  const bool dynamic = in.node().op_type == "DynamicQuantizeMatMul";
  in.set(0, in.input(2).dtype == DType::f16 && !dynamic ? DType::f16 : DType::f32, product_shape(in));
}

std::optional<Shape> gemm_shape(Inference& in, size_t left, size_t right) {
  if (!in.input(left).shape || !in.input(right).shape) return std::nullopt;
  const Shape& a = in.shape(left);
  const Shape& b = in.shape(right);
  in.require(a.size() == 2 && b.size() == 2, "Gemm of tensors that are not matrices");
  const bool transpose_a = in.node().get("transA", int64_t{0}) != 0;
  const bool transpose_b = in.node().get("transB", int64_t{0}) != 0;
  in.same(a[transpose_a ? 0 : 1], b[transpose_b ? 1 : 0], "inner dimensions differ");
  return Shape{a[transpose_a ? 1 : 0], b[transpose_b ? 0 : 1]};
}

void gemm(Inference& in) {
  in.require_same_dtype(0, 1);
  in.set(0, in.input(0).dtype, gemm_shape(in, 0, 1));
}

// Without a scale for the result it stays f32.
void qgemm(Inference& in) {
  in.set(0, in.has_input(8) ? in.input(8).dtype : DType::f32, gemm_shape(in, 0, 3));
}

// Heads and their sizes of a query, key or value that is [B, S, heads * size] or [B, heads, S, size].
struct HeadShape {
  Dim batch, heads, length, size;
};

HeadShape head_shape(Inference& in, size_t input, std::string_view attribute) {
  const Shape& shape = in.shape(input);
  in.require(shape.size() == 3 || shape.size() == 4,
             "attention wants queries, keys and values of rank 3 or 4");
  if (shape.size() == 4) return {shape[0], shape[1], shape[2], shape[3]};
  const int64_t heads = in.node().get(attribute, int64_t{0});
  in.require(heads > 0, "attention over rank 3 wants the number of heads");
  const auto size = shape[2].divide_exactly(Dim(heads));
  in.require(size.has_value(), "the number of heads does not divide the width");
  return {shape[0], Dim(heads), shape[1], *size};
}

void attention(Inference& in) {
  const DType dtype = in.input(0).dtype;
  if (!in.ranks_known(3)) return in.set(0, dtype);
  in.require_same_dtype(0, 1);
  const HeadShape q = head_shape(in, 0, "q_num_heads");
  const HeadShape k = head_shape(in, 1, "kv_num_heads");
  const HeadShape v = head_shape(in, 2, "kv_num_heads");
  in.same(q.batch, k.batch, "queries and keys have different batches");
  in.same(q.size, k.size, "queries and keys have different head sizes");
  in.same(k.length, v.length, "keys and values have different lengths");
  Dim total = k.length;
  if (in.has_input(4) && in.input(4).shape) total = total + in.shape(4).at(2);
  if (in.has_input(3) && in.input(3).shape) {
    in.broadcast(in.shape(3), Shape{q.batch, q.heads, q.length, total});
  }
  in.set(0, dtype,
         in.shape(0).size() == 3 ? Shape{q.batch, q.length, q.heads * v.size}
                                 : Shape{q.batch, q.heads, q.length, v.size});
  in.set(1, in.input(1).dtype, Shape{k.batch, k.heads, total, k.size});
  in.set(2, in.input(2).dtype, Shape{v.batch, v.heads, total, v.size});
  in.set(3, dtype, Shape{q.batch, q.heads, q.length, total});
}

void like_first(Inference& in) {
  in.set(0, in.input(0).dtype, in.input(0).shape);
}

// Einsum with an explicit or implicit result and no ellipsis.
void einsum(Inference& in) {
  const DType dtype = in.input(0).dtype;
  const size_t count = in.node().inputs.size();
  std::string equation = in.node().get("equation", std::string());
  std::erase(equation, ' ');
  const size_t arrow = equation.find("->");
  if (!in.ranks_known(count) || arrow == std::string::npos || equation.find('.') != std::string::npos) {
    in.require(!in.strict(), "Einsum without an explicit result");
    return in.set(0, dtype);
  }
  std::map<char, Dim> sizes;
  size_t at = 0;
  for (size_t i = 0; i < count; ++i, ++at) {
    for (const Dim& dim : in.shape(i)) {
      in.require(at < arrow && equation[at] != ',', "Einsum names fewer dimensions than an input has");
      const auto [found, added] = sizes.emplace(equation[at++], dim);
      if (!added) found->second = in.same(found->second, dim, "Einsum names two different dimensions alike");
    }
    in.require(at == arrow || equation[at] == ',', "Einsum names more dimensions than an input has");
  }
  Shape out;
  for (const char name : equation.substr(arrow + 2)) {
    in.require(sizes.count(name) > 0, "Einsum's result names a dimension that no input has");
    out.push_back(sizes.at(name));
  }
  in.set(0, dtype, out);
}

constexpr OpDef kOps[] = {
    {"MatMul", matmul},
    {"MatMulInteger", matmul_integer},
    {"Gemm", gemm},
    {"Attention", attention},
    {"RotaryEmbedding", like_first},
    {"Einsum", einsum},
    {"QLinearMatMul", qlinear_matmul},
    {"MatMulIntegerToFloat", matmul_to_float, kMicrosoftDomain},
    {"DynamicQuantizeMatMul", matmul_to_float, kMicrosoftDomain},
    {"QGemm", qgemm, kMicrosoftDomain},
};

}  // namespace

std::span<const OpDef> matrix_ops() {
  return kOps;
}

}  // namespace ferry::ir
