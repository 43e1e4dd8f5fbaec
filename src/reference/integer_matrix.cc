// Products of matrices and convolutions of integers of few bits. The sums are exact; what is not an integer
// operator scales them in f32 as ONNX Runtime does.
#include <algorithm>

#include "reference/elementwise.h"
#include "reference/quantization.h"
#include "reference/window.h"

namespace ferry::reference {
namespace {

// The numbers less their zero point: one for all, one a row (of A), or one a column (of B).
Tensor centered(Call& call, size_t input, size_t zero_point, bool by_row = false) {
  const Tensor& in = call.input(input);
  if (!call.has(zero_point)) return in;
  Tensor zero = call.input(zero_point);
  if (zero.rank() == 1 && zero.count() > 1 && by_row) zero = zero.with_dims({zero.dim(0), 1});
  if (zero.count() == 1) zero = zero.with_dims({});
  return combined<int64_t, int64_t, int64_t>(call, in, zero, [](int64_t x, int64_t z) { return x - z; });
}

// Batches of products; the leading dimensions broadcast.
Tensor product_of(Call& call, const Tensor& a, const Tensor& b) {
  call.require(a.rank() >= 2 && b.rank() >= 2, "products of integers want matrices");
  const int64_t rows = a.dim(a.rank() - 2), inner = a.dims().back(), columns = b.dims().back();
  call.require(b.dim(b.rank() - 2) == inner, "inner dimensions differ");
  const Dims batch_a(a.dims().begin(), a.dims().end() - 2), batch_b(b.dims().begin(), b.dims().end() - 2);
  Dims dims = call.broadcast(batch_a, batch_b);
  const Dims batch = dims, places = row_major(dims);
  const Dims strides_a = broadcast_strides(batch_a, dims), strides_b = broadcast_strides(batch_b, dims);
  const int64_t batches = element_count(dims);
  dims.insert(dims.end(), {rows, columns});
  Tensor out = Tensor::make<int64_t>(dims);
  const int64_t* x = a.get<int64_t>().data();
  const int64_t* y = b.get<int64_t>().data();
  int64_t* to = out.edit<int64_t>().data();
  in_blocks(batches * rows, inner * columns, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t at_a = 0, at_b = 0;
      for (size_t d = 0; d < batch.size(); ++d) {
        const int64_t place = i / rows / places[d] % batch[d];
        at_a += place * strides_a[d];
        at_b += place * strides_b[d];
      }
      const int64_t* left = x + (at_a * rows + i % rows) * inner;
      const int64_t* right = y + at_b * inner * columns;
      int64_t* row = to + i * columns;
      std::fill_n(row, columns, 0);
      for (int64_t k = 0; k < inner; ++k) {
        for (int64_t j = 0; j < columns; ++j) row[j] += left[k] * right[k * columns + j];
      }
    }
  });
  return out;
}

// Factors for sums: a's scale times b's, which is one, or one a column.
std::vector<float> factors(Call& call, const Tensor& a_scale, const Tensor& b_scale, float by) {
  call.require(a_scale.count() == 1, "one scale for all of the left side");
  std::vector<float> out;
  for (const float scale : b_scale.get<float>()) out.push_back(a_scale.get<float>()[0] * scale * by);
  return out;
}

float factor_at(const std::vector<float>& factors, size_t element) {
  return factors.size() == 1 ? factors[0] : factors[element % factors.size()];
}

Tensor scaled(const Tensor& sums, const std::vector<float>& by) {
  Tensor out = Tensor::make<float>(sums.dims());
  const auto from = sums.get<int64_t>();
  const auto to = out.edit<float>();
  for (size_t i = 0; i < from.size(); ++i) to[i] = static_cast<float>(from[i]) * factor_at(by, i);
  return out;
}

// Sums times factors over the result's scale, whose zero point follows it.
Tensor requantized(Call& call, const Tensor& sums, std::vector<float> by, size_t y_scale) {
  const auto scale = static_cast<float>(call.number(y_scale, 1));
  for (float& factor : by) factor /= scale;
  const int64_t zero = call.integer(y_scale + 1, 0);
  Tensor out = Tensor::make<int64_t>(sums.dims());
  const auto from = sums.get<int64_t>();
  const auto to = out.edit<int64_t>();
  for (size_t i = 0; i < from.size(); ++i)
    to[i] = quantized(static_cast<float>(from[i]) * factor_at(by, i), zero, call.output_dtype(0));
  return out;
}

void set_with_bias(Call& call, const Tensor& out, size_t bias) {
  if (!call.has(bias)) return call.set(0, out);
  call.set(
      0, combined<float, float, float>(call, out, call.input(bias), [](float x, float y) { return x + y; }));
}

void matmul_integer(Call& call) {
  call.set(0, product_of(call, centered(call, 0, 2, true), centered(call, 1, 3)));
}

void qlinear_matmul(Call& call) {
  const Tensor sums = product_of(call, centered(call, 0, 2, true), centered(call, 3, 5));
  call.set(0, requantized(call, sums, factors(call, call.input(1), call.input(4), 1), 6));
}

void matmul_integer_to_float(Call& call) {
  const Tensor sums = product_of(call, centered(call, 0, 4, true), centered(call, 1, 5));
  set_with_bias(call, scaled(sums, factors(call, call.input(2), call.input(3), 1)), 6);
}

void dynamic_quantize_matmul(Call& call) {
  const Tensor& a = call.input(0);
  const DynamicRange range = dynamic_range(a);
  const Tensor left = mapped<float, int64_t>(a, [range](float x) {
    return quantized(x / range.scale, range.zero_point, DType::u8) - range.zero_point;
  });
  const Tensor sums = product_of(call, left, centered(call, 1, 3));
  set_with_bias(call, scaled(sums, factors(call, Tensor::scalar(range.scale), call.input(2), 1)), 4);
}

void qgemm(Call& call) {
  Tensor a = centered(call, 0, 2), b = centered(call, 3, 5, call.attribute("transB", int64_t{0}) != 0);
  if (call.attribute("transA", int64_t{0}) != 0) a = transposed(a, {1, 0});
  if (call.attribute("transB", int64_t{0}) != 0) b = transposed(b, {1, 0});
  Tensor sums = product_of(call, a, b);
  if (call.has(6)) {
    sums = combined<int64_t, int64_t, int64_t>(call, sums, call.input(6),
                                               [](int64_t x, int64_t y) { return x + y; });
  }
  const auto by = factors(call, call.input(1), call.input(4), call.attribute("alpha", 1.0f));
  call.set(0, call.has(7) ? requantized(call, sums, by, 7) : scaled(sums, by));
}

// Padding is the zero point, which is 0 once centered.
Tensor convolution_of(Call& call, const Tensor& in, const Tensor& weight) {
  call.require(in.rank() >= 3 && weight.rank() == in.rank(),
               "input and weight have the same rank, 3 or more");
  const int64_t groups = call.attribute("group", int64_t{1});
  const Windows windows = windows_of(call, in.dims(), Dims(weight.dims().begin() + 2, weight.dims().end()));
  call.require(groups > 0 && in.dim(1) == weight.dim(1) * groups && weight.dim(0) % groups == 0,
               "the weight is for other channels or groups");
  const int64_t filters = weight.dim(0), channels = weight.dim(1), taps = element_count(windows.kernel);
  const int64_t plane = element_count(windows.in), places = element_count(windows.out);
  Dims dims = {in.dim(0), filters};
  dims.insert(dims.end(), windows.out.begin(), windows.out.end());
  Tensor out = Tensor::make<int64_t>(dims);
  const int64_t* image = in.get<int64_t>().data();
  const int64_t* kernel = weight.get<int64_t>().data();
  int64_t* to = out.edit<int64_t>().data();
  std::fill_n(to, out.count(), 0);
  for (int64_t tap = 0; tap < taps; ++tap) {
    const auto sources = tap_sources(windows, tap, 0, places);
    in_blocks(in.dim(0) * filters, channels * places, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / filters, f = i % filters, group = f / (filters / groups);
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t* from = image + ((n * groups + group) * channels + c) * plane;
          const int64_t factor = kernel[(f * channels + c) * taps + tap];
          for (int64_t p = 0; p < places; ++p) {
            const int64_t source = sources[static_cast<size_t>(p)];
            if (source >= 0) to[i * places + p] += factor * from[source];
          }
        }
      }
    });
  }
  return out;
}

// The weight at `input` less its zero point: one, or one a filter.
Tensor centered_filters(Call& call, size_t input, size_t zero_point) {
  const Tensor& weight = call.input(input);
  if (!call.has(zero_point) || call.input(zero_point).count() == 1) return centered(call, input, zero_point);
  Dims dims(weight.rank(), 1);
  dims[0] = weight.dim(0);
  return combined<int64_t, int64_t, int64_t>(call, weight, call.input(zero_point).with_dims(dims),
                                             [](int64_t x, int64_t z) { return x - z; });
}

void conv_integer(Call& call) {
  call.set(0, convolution_of(call, centered(call, 0, 2), centered_filters(call, 1, 3)));
}

void qlinear_conv(Call& call) {
  Tensor sums = convolution_of(call, centered(call, 0, 2), centered_filters(call, 3, 5));
  const auto by = factors(call, call.input(1), call.input(4), 1);
  const int64_t filters = sums.dim(1), places = product(sums.dims(), 2, sums.rank());
  const auto scale = static_cast<float>(call.number(6, 1));
  const int64_t zero = call.integer(7, 0);
  const auto bias = call.has(8) ? call.integers(8) : std::vector<int64_t>(static_cast<size_t>(filters), 0);
  Tensor out = Tensor::make<int64_t>(sums.dims());
  const auto from = sums.get<int64_t>();
  const auto to = out.edit<int64_t>();
  for (size_t i = 0; i < from.size(); ++i) {
    const auto filter = i / static_cast<size_t>(places) % static_cast<size_t>(filters);
    const float factor = by.at(by.size() == 1 ? 0 : filter) / scale;
    to[i] = quantized(static_cast<float>(from[i] + bias.at(filter)) * factor, zero, call.output_dtype(0));
  }
  call.set(0, out);
}

constexpr Op kOps[] = {
    {"MatMulInteger", matmul_integer},
    {"QLinearMatMul", qlinear_matmul},
    {"ConvInteger", conv_integer},
    {"QLinearConv", qlinear_conv},
    {"MatMulIntegerToFloat", matmul_integer_to_float, ir::kMicrosoftDomain},
    {"DynamicQuantizeMatMul", dynamic_quantize_matmul, ir::kMicrosoftDomain},
    {"QGemm", qgemm, ir::kMicrosoftDomain},
};

}  // namespace

std::span<const Op> integer_matrix_ops() {
  return kOps;
}

}  // namespace ferry::reference
