// ONNX Runtime's own operators (com.microsoft) that ferry's passes emit, by ONNX Runtime's documentation.
#include <cmath>

#include "reference/elementwise.h"
#include "reference/gemm.h"

namespace ferry::reference {
namespace {

float erf_gelu(float x) {
  return static_cast<float>(0.5 * x * (1 + std::erf(x * M_SQRT1_2)));
}
float tanh_gelu(float value) {
  const double x = value;
  return static_cast<float>(0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))));
}

Tensor sum_of(const Call& call, const Tensor& a, const Tensor& b) {
  return combined<float, float, float>(call, a, b, [](float x, float y) { return x + y; });
}

void gelu(Call& call) {
  call.set(0, mapped<float, float>(call.input(0), erf_gelu));
}

void bias_gelu(Call& call) {
  call.set(0, mapped<float, float>(sum_of(call, call.input(0), call.input(1)), erf_gelu));
}

void fast_gelu(Call& call) {
  const Tensor in = call.has(1) ? sum_of(call, call.input(0), call.input(1)) : call.input(0);
  call.set(0, mapped<float, float>(in, tanh_gelu));
}

void quick_gelu(Call& call) {
  const double alpha = call.attribute("alpha", 1.702f);
  call.set(0, mapped<float, float>(call.input(0), [alpha](float x) {
             return static_cast<float>(x / (1 + std::exp(-alpha * x)));
           }));
}

// y = (x - mean) / sqrt(variance + epsilon) * gamma + beta over the last dimension; no mean and beta if
// `rms`.
void skip_normalization(Call& call, bool rms) {
  Tensor sum = sum_of(call, call.input(0), call.input(1));
  const size_t bias = rms ? 3 : 4;
  if (call.has(bias)) sum = sum_of(call, sum, call.input(bias));
  const double epsilon = call.attribute("epsilon", 1e-12f);
  const auto length = static_cast<size_t>(sum.dims().back());
  const auto gamma = call.input(2).get<float>();
  call.require(gamma.size() == length, "the scale does not fit the last dimension");
  std::vector<float> beta(length, 0.0f);
  if (!rms && call.has(3)) beta.assign(call.input(3).get<float>().begin(), call.input(3).get<float>().end());
  Tensor out = Tensor::make<float>(sum.dims());
  const auto from = sum.get<float>();
  auto to = out.edit<float>();
  for (size_t row = 0; row < from.size(); row += length) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < length && !rms; ++i) mean += from[row + i] / static_cast<double>(length);
    for (size_t i = 0; i < length; ++i) variance += (from[row + i] - mean) * (from[row + i] - mean);
    const double by = 1 / std::sqrt(variance / static_cast<double>(length) + epsilon);
    for (size_t i = 0; i < length; ++i)
      to[row + i] = static_cast<float>((from[row + i] - mean) * by * gamma[i] + beta[i]);
  }
  call.set(0, out);
  if (call.wants(1) || call.wants(2)) call.unsupported("the statistics of a skip normalization");
  call.set(3, sum);
}

void skip_layer_norm(Call& call) {
  skip_normalization(call, false);
}
void skip_rms_norm(Call& call) {
  skip_normalization(call, true);
}

// positions are [B, S], or one number: the position of the first element.
void rotary_embedding(Call& call) {
  const Tensor& in = call.input(0);
  const Tensor& positions = call.input(1);
  const Tensor& cosines = call.input(2);
  const Tensor& sines = call.input(3);
  const bool interleaved = call.attribute("interleaved", int64_t{0}) != 0;
  const int64_t half = cosines.dims().back();
  int64_t heads = call.attribute("num_heads", int64_t{0});
  const bool by_head = in.rank() == 4;
  call.require(by_head || in.rank() == 3, "the input has rank 3 or 4");
  const int64_t batch = in.dim(0), length = in.dim(by_head ? 2 : 1);
  if (by_head) heads = in.dim(1);
  if (heads == 0) heads = in.dim(2) / (2 * half);
  const int64_t size = by_head ? in.dim(3) : in.dim(2) / heads;
  const auto at = positions.get<int64_t>();
  Tensor out = Tensor::make<float>(in.dims());
  const float* from = in.get<float>().data();
  float* to = out.edit<float>().data();
  for (int64_t i = 0; i < batch * length * heads; ++i) {
    // The order of elements is [B, heads, S] or [B, S, heads].
    const int64_t b = i / (length * heads), s = by_head ? i % length : i / heads % length;
    const int64_t position = at.size() == 1 ? at[0] + s : at[static_cast<size_t>(b * length + s)];
    call.require(position >= 0 && position < cosines.dim(0), "a position is not in the cache");
    const float* x = from + i * size;
    float* y = to + i * size;
    std::copy_n(x, size, y);
    for (int64_t k = 0; k < half; ++k) {
      const float c = cosines.get<float>()[static_cast<size_t>(position * half + k)];
      const float d = sines.get<float>()[static_cast<size_t>(position * half + k)];
      const int64_t first = interleaved ? 2 * k : k, second = interleaved ? 2 * k + 1 : k + half;
      y[first] = c * x[first] - d * x[second];
      y[second] = d * x[first] + c * x[second];
    }
  }
  call.set(0, out);
}

Tensor turned(const Tensor& in, bool turn) {
  if (!turn) return in;
  std::vector<int64_t> perm;
  for (size_t i = 0; i < in.rank(); ++i) perm.push_back(static_cast<int64_t>(i));
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return transposed(in, perm);
}

void fused_matmul(Call& call) {
  if (call.attribute("transBatchA", int64_t{0}) != 0 || call.attribute("transBatchB", int64_t{0}) != 0)
    call.unsupported("transposed batches");
  call.require(call.input(0).rank() >= 2 && call.input(1).rank() >= 2, "the inputs are matrices");
  const Tensor a = turned(call.input(0), call.attribute("transA", int64_t{0}) != 0);
  const Tensor b = turned(call.input(1), call.attribute("transB", int64_t{0}) != 0);
  const float alpha = call.attribute("alpha", 1.0f);
  const int64_t m = a.dim(a.rank() - 2), k = a.dims().back(), n = b.dims().back();
  call.require(b.dim(b.rank() - 2) == k, "inner dimensions differ");
  Dims batch =
      call.broadcast(Dims(a.dims().begin(), a.dims().end() - 2), Dims(b.dims().begin(), b.dims().end() - 2));
  Dims dims_a = batch, dims_b = batch, dims = batch;
  dims_a.insert(dims_a.end(), {m, k});
  dims_b.insert(dims_b.end(), {k, n});
  dims.insert(dims.end(), {m, n});
  const Tensor x = strided(a, dims_a, broadcast_strides(a.dims(), dims_a));
  const Tensor y = strided(b, dims_b, broadcast_strides(b.dims(), dims_b));
  Tensor out = Tensor::make<float>(dims);
  for (int64_t i = 0; i < element_count(batch); ++i) {
    multiply_in_parallel({x.get<float>().data() + i * m * k, m, k, k, 1},
                         {y.get<float>().data() + i * k * n, k, n, n, 1},
                         out.edit<float>().data() + i * m * n, n);
  }
  call.set(0, mapped<float, float>(out, [alpha](float value) { return alpha * value; }));
}

// Number `index` of `bits` bits, the low bits of a byte first.
int64_t unpacked(std::span<const int64_t> bytes, size_t index, size_t bits) {
  const size_t first = index * bits;
  return bytes[first / 8] >> (first % 8) & ((int64_t{1} << bits) - 1);
}

// y = A B^T, where row n of B is (q - zero point) * scale in blocks along K.
void matmul_nbits(Call& call) {
  const int64_t inner = call.attribute("K", int64_t{0}), columns = call.attribute("N", int64_t{0});
  const auto bits = static_cast<size_t>(call.attribute("bits", int64_t{4}));
  const int64_t block = call.attribute("block_size", int64_t{32});
  if (call.has(4)) call.unsupported("reordered groups (g_idx)");
  call.require((bits == 2 || bits == 4 || bits == 8) && block > 0 && inner > 0, "bits or block_size is odd");
  const int64_t blocks = (inner + block - 1) / block;
  const auto packed = call.input(1).get<int64_t>();
  const auto scales = call.input(2).get<float>();
  const size_t row_bytes = static_cast<size_t>(blocks * block) * bits / 8;
  call.require(packed.size() == row_bytes * static_cast<size_t>(columns) &&
                   static_cast<int64_t>(scales.size()) == blocks * columns,
               "weights or scales have another size");
  const bool packed_zeros = call.has(3) && call.input(3).kind() == Kind::integer;
  const size_t zero_bytes = (static_cast<size_t>(blocks) * bits + 7) / 8;
  Tensor weight = Tensor::make<float>({columns, inner});
  auto w = weight.edit<float>();
  for (int64_t n = 0; n < columns; ++n) {
    const auto row = packed.subspan(static_cast<size_t>(n) * row_bytes, row_bytes);
    for (int64_t k = 0; k < inner; ++k) {
      const auto group = static_cast<size_t>(n * blocks + k / block);
      double zero = static_cast<double>(int64_t{1} << (bits - 1));
      if (packed_zeros) {
        const auto zeros =
            call.input(3).get<int64_t>().subspan(static_cast<size_t>(n) * zero_bytes, zero_bytes);
        zero = static_cast<double>(unpacked(zeros, static_cast<size_t>(k / block), bits));
      } else if (call.has(3)) {
        zero = call.input(3).get<float>()[group];
      }
      const auto q = static_cast<double>(unpacked(row, static_cast<size_t>(k), bits));
      w[static_cast<size_t>(n * inner + k)] = static_cast<float>((q - zero) * scales[group]);
    }
  }
  const Tensor& a = call.input(0);
  call.require(a.dims().back() == inner, "inner dimensions differ");
  Dims dims = a.dims();
  dims.back() = columns;
  Tensor out = Tensor::make<float>(dims);
  const Matrix left{a.get<float>().data(), product(a.dims(), 0, a.rank() - 1), inner, inner, 1};
  const Matrix right{weight.get<float>().data(), columns, inner, inner, 1};
  multiply_in_parallel(left, right.transposed(), out.edit<float>().data(), columns);
  call.set(0, call.has(5) ? sum_of(call, out, call.input(5)) : out);
}

// Rows of u8[V, ..., packed], dequantized in blocks of the last dimension.
void gather_block_quantized(Call& call) {
  const Tensor &data = call.input(0), &indices = call.input(1);
  const auto bits = static_cast<size_t>(call.attribute("bits", int64_t{4}));
  const int64_t block = call.attribute("block_size", int64_t{128});
  call.require(call.attribute("gather_axis", int64_t{0}) == 0 && data.rank() >= 2 && block > 0,
               "an unusual table");
  call.require(bits == 2 || bits == 4 || bits == 8, "bits is odd");
  const int64_t bytes = data.dims().back(), width = bytes * 8 / static_cast<int64_t>(bits);
  const int64_t blocks = (width + block - 1) / block;
  const int64_t rows = data.dims()[0], lines = product(data.dims(), 1, data.rank() - 1);
  const auto packed = data.get<int64_t>();
  const auto scales = call.input(2).get<float>();
  call.require(static_cast<int64_t>(scales.size()) == rows * lines * blocks, "the scales have another size");
  const size_t zero_bytes = (static_cast<size_t>(blocks) * bits + 7) / 8;
  Dims dims = indices.dims();
  dims.insert(dims.end(), data.dims().begin() + 1, data.dims().end());
  dims.back() = width;
  Tensor out = Tensor::make<float>(dims);
  float* y = out.edit<float>().data();
  for (int64_t row : indices.get<int64_t>()) {
    if (row < 0) row += rows;
    call.require(row >= 0 && row < rows, "an index is not in the table");
    for (int64_t line = row * lines; line < (row + 1) * lines; ++line) {
      const auto at = static_cast<size_t>(line);
      for (int64_t k = 0; k < width; ++k) {
        int64_t zero = int64_t{1} << (bits - 1);
        if (call.has(3))
          zero = unpacked(call.input(3).get<int64_t>().subspan(at * zero_bytes, zero_bytes),
                          static_cast<size_t>(k / block), bits);
        const int64_t q =
            unpacked(packed.subspan(at * static_cast<size_t>(bytes), static_cast<size_t>(bytes)),
                     static_cast<size_t>(k), bits);
        *y++ = static_cast<float>(q - zero) * scales[static_cast<size_t>(line * blocks + k / block)];
      }
    }
  }
  call.set(0, out);
}

constexpr Op kOps[] = {
    {"Gelu", gelu, ir::kMicrosoftDomain},
    {"BiasGelu", bias_gelu, ir::kMicrosoftDomain},
    {"FastGelu", fast_gelu, ir::kMicrosoftDomain},
    {"QuickGelu", quick_gelu, ir::kMicrosoftDomain},
    {"SkipLayerNormalization", skip_layer_norm, ir::kMicrosoftDomain},
    {"SkipSimplifiedLayerNormalization", skip_rms_norm, ir::kMicrosoftDomain},
    {"RotaryEmbedding", rotary_embedding, ir::kMicrosoftDomain},
    {"FusedMatMul", fused_matmul, ir::kMicrosoftDomain},
    {"MatMulNBits", matmul_nbits, ir::kMicrosoftDomain},
    {"GatherBlockQuantized", gather_block_quantized, ir::kMicrosoftDomain},
};

}  // namespace

std::span<const Op> microsoft_ops() {
  return kOps;
}

}  // namespace ferry::reference
