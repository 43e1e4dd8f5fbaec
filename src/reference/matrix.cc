// Matrix products. A weight is read where it lies, transposed or not; one of 16 bits, a few columns at a
// time.
#include <algorithm>

#include "base/parallel.h"
#include "reference/call.h"
#include "reference/elementwise.h"
#include "reference/gemm.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

Matrix matrix_at(const float* data, int64_t rows, int64_t columns) {
  return {data, rows, columns, columns, 1};
}

// The f32 matrix that a weight [K, N] is, if its bytes lie so, transposed or not.
std::optional<Matrix> stored_matrix(const Weight& weight) {
  if (weight.dtype() != DType::f32 || weight.count() == 0) return std::nullopt;
  const auto look = [](const Weight& of) -> std::optional<Matrix> {
    const auto bytes = of.stored_bytes();
    if (!bytes || reinterpret_cast<uintptr_t>(bytes->data()) % alignof(float) != 0) return std::nullopt;
    return matrix_at(reinterpret_cast<const float*>(bytes->data()), of.dims()[0], of.dims()[1]);
  };
  if (auto direct = look(weight)) return direct;
  if (auto turned = look(weight.transpose())) return turned->transposed();
  return std::nullopt;
}

// out = a * weight for a weight that has to be converted: in pieces of columns, so that no more than a piece
// a thread is ever held as f32.
void multiply_converted(const Matrix& a, const Weight& weight, float* out) {
  constexpr int64_t kPiece = 1 << 18;  // Elements.
  const int64_t inner = weight.dims()[0], columns = weight.dims()[1];
  const int64_t width =
      std::clamp<int64_t>(kPiece / std::max<int64_t>(1, inner), 16, std::max<int64_t>(16, columns));
  // Linear layers are stored [N, K]: rows of the transposed weight are then read in one go.
  const bool direct = weight.stored_bytes().has_value();
  const Weight turned = weight.transpose();
  const int64_t pieces = (columns + width - 1) / width;
  parallel_for(static_cast<size_t>(pieces), [&](size_t piece) {
    const int64_t begin = static_cast<int64_t>(piece) * width, end = std::min(columns, begin + width);
    const Weight part = direct ? weight.slice(1, begin, end) : turned.slice(0, begin, end);
    const auto values = part.as_f32();
    const Matrix b = direct ? matrix_at(values.data(), inner, end - begin)
                            : matrix_at(values.data(), end - begin, inner).transposed();
    multiply(a, b, out + begin, columns);
  });
}

void multiply_weight(const Matrix& a, const Weight& weight, float* out) {
  if (const auto stored = stored_matrix(weight)) {
    multiply_in_parallel(a, *stored, out, weight.dims()[1]);
  } else {
    multiply_converted(a, weight, out);
  }
}

// Batches of products; the leading dimensions broadcast.
Tensor batched_product(Call& call, const Tensor& a, const Tensor& b) {
  const size_t rank_a = a.rank(), rank_b = b.rank();
  const int64_t rows = a.dim(rank_a - 2), inner = a.dim(rank_a - 1), columns = b.dim(rank_b - 1);
  call.require(b.dim(rank_b - 2) == inner, "inner dimensions differ");
  const Dims batch_a(a.dims().begin(), a.dims().end() - 2), batch_b(b.dims().begin(), b.dims().end() - 2);
  Dims dims = call.broadcast(batch_a, batch_b);
  const Dims strides_a = broadcast_strides(batch_a, dims), strides_b = broadcast_strides(batch_b, dims);
  const int64_t batches = element_count(dims);
  const Dims places = row_major(dims);
  const Dims batch = dims;
  dims.insert(dims.end(), {rows, columns});
  Tensor out = Tensor::make<float>(dims);
  const float* x = a.get<float>().data();
  const float* y = b.get<float>().data();
  float* to = out.edit<float>().data();
  const auto one = [&](int64_t i, auto multiply_with) {
    int64_t at_a = 0, at_b = 0;
    for (size_t d = 0; d < batch.size(); ++d) {
      const int64_t place = i / places[d] % batch[d];
      at_a += place * strides_a[d];
      at_b += place * strides_b[d];
    }
    multiply_with(matrix_at(x + at_a * rows * inner, rows, inner),
                  matrix_at(y + at_b * inner * columns, inner, columns), to + i * rows * columns, columns);
  };
  if (batches < 4) {
    for (int64_t i = 0; i < batches; ++i) one(i, multiply_in_parallel);
  } else {
    in_blocks(batches, rows * inner * columns / 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) one(i, multiply);
    });
  }
  return out;
}

void matmul(Call& call) {
  Tensor a = call.input(0);
  const Weight* weight = call.weight(1);
  call.require(a.rank() >= 1, "a scalar has no product");
  if (weight != nullptr && weight->dims().size() == 2 && kind_of(weight->dtype()) == Kind::real) {
    Dims dims = a.dims();
    const int64_t inner = dims.back();
    call.require(weight->dims()[0] == inner, "inner dimensions differ");
    dims.back() = weight->dims()[1];
    Tensor out = Tensor::make<float>(dims);
    const int64_t rows = product(a.dims(), 0, a.rank() - 1);
    multiply_weight(matrix_at(a.get<float>().data(), rows, inner), *weight, out.edit<float>().data());
    return call.set(0, out);
  }
  Tensor b = call.input(1);
  call.require(b.rank() >= 1, "a scalar has no product");
  const bool vector_a = a.rank() == 1, vector_b = b.rank() == 1;
  if (vector_a) a = a.with_dims({1, a.dim(0)});
  if (vector_b) b = b.with_dims({b.dim(0), 1});
  // Integers of modest size are exact in f32 only up to 2^24: they are multiplied as f32 nowhere.
  if (a.kind() != Kind::real) call.unsupported("products of integers");
  const Tensor out = batched_product(call, a, b);
  Dims dims = out.dims();
  if (vector_b) dims.pop_back();
  if (vector_a) dims.erase(dims.end() - (vector_b ? 1 : 2));
  call.set(0, out.with_dims(dims));
}

void gemm(Call& call) {
  const float alpha = call.attribute("alpha", 1.0f), beta = call.attribute("beta", 1.0f);
  const bool turn_a = call.attribute("transA", int64_t{0}) != 0;
  const bool turn_b = call.attribute("transB", int64_t{0}) != 0;
  const Tensor& in = call.input(0);
  call.require(in.rank() == 2, "the inputs are matrices");
  Matrix a = matrix_at(in.get<float>().data(), in.dim(0), in.dim(1));
  if (turn_a) a = a.transposed();
  const Weight b = call.weight(1) != nullptr ? *call.weight(1) : Weight::zeros(DType::f32, {0, 0});
  Tensor out;
  if (call.weight(1) != nullptr) {
    call.require(b.dims().size() == 2, "the inputs are matrices");
    const Weight turned = turn_b ? b.transpose() : b;
    call.require(turned.dims()[0] == a.columns, "inner dimensions differ");
    out = Tensor::make<float>({a.rows, turned.dims()[1]});
    multiply_weight(a, turned, out.edit<float>().data());
  } else {
    const Tensor& right = call.input(1);
    call.require(right.rank() == 2, "the inputs are matrices");
    Matrix m = matrix_at(right.get<float>().data(), right.dim(0), right.dim(1));
    if (turn_b) m = m.transposed();
    call.require(m.rows == a.columns, "inner dimensions differ");
    out = Tensor::make<float>({a.rows, m.columns});
    multiply_in_parallel(a, m, out.edit<float>().data(), m.columns);
  }
  if (alpha != 1) out = mapped<float, float>(out, [alpha](float x) { return alpha * x; });
  if (call.has(2)) {
    const Tensor& c = call.input(2);
    call.require(call.broadcast(out.dims(), c.dims()) == out.dims(), "C does not broadcast to the product");
    out = combined<float, float, float>(call, out, c, [beta](float x, float y) { return x + beta * y; });
  }
  call.set(0, out);
}

constexpr Op kOps[] = {{"MatMul", matmul}, {"Gemm", gemm}};

}  // namespace

std::span<const Op> matrix_ops() {
  return kOps;
}

}  // namespace ferry::reference
