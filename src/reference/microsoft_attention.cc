// ONNX Runtime's attention operators (com.microsoft), by its documentation.
#include <cmath>
#include <limits>

#include "reference/elementwise.h"

namespace ferry::reference {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// [B, S, heads * size] -> [B, heads, S, size]
Tensor by_head(Call& call, const Tensor& in, int64_t heads) {
  call.require(in.rank() == 3 && heads > 0 && in.dim(2) % heads == 0, "the heads do not divide the width");
  return transposed(in.with_dims({in.dim(0), in.dim(1), heads, in.dim(2) / heads}), {0, 2, 1, 3});
}

// Columns [begin, begin + width) of the last dimension.
Tensor columns(const Tensor& in, int64_t begin, int64_t width) {
  return strided(in, {in.dim(0), in.dim(1), width}, {in.dim(1) * in.dim(2), in.dim(2), 1}, begin);
}

// An optional bias [B or 1, heads or 1, S, T], which may lack its first axes.
class AttentionBias {
 public:
  AttentionBias(Call& call, size_t input, const Dims& scores) {
    if (!call.has(input)) return;
    tensor_ = call.input(input);
    call.require(tensor_.rank() == 4 && tensor_.dim(2) == scores[2] && tensor_.dim(3) >= scores[3],
                 "attention_bias is [batch or 1, heads or 1, length, total length]");
    Dims wide = scores;
    wide[3] = tensor_.dim(3);
    call.require(call.broadcast(tensor_.dims(), wide) == wide, "attention_bias does not fit the scores");
    strides_ = broadcast_strides(tensor_.dims(), wide);
  }
  [[nodiscard]] float at(int64_t b, int64_t h, int64_t s, int64_t t) const {
    if (!tensor_) return 0;
    return tensor_.get<float>()[static_cast<size_t>(b * strides_[0] + h * strides_[1] + s * strides_[2] +
                                                    t * strides_[3])];
  }

 private:
  Tensor tensor_;
  Dims strides_;
};

struct Scores {
  double scale = 1, softcap = 0;
  std::function<float(int64_t b, int64_t h, int64_t s, int64_t t)> bias;  // -inf: not attended to.
};

void softmax(std::vector<double>& row) {
  double top = kNever, sum = 0;
  for (const double x : row) top = std::max(top, x);
  if (top == kNever) return std::fill(row.begin(), row.end(), 0.0);
  for (double& x : row) sum += x = std::exp(x - top);
  for (double& x : row) x /= sum;
}

double dot(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// q [B, h, S, d], k [B, g, T, d], v [B, g, T, e] -> [B, S, h * e]
Tensor attended(Call& call, const Scores& scores, const Tensor& q, const Tensor& k, const Tensor& v) {
  const int64_t heads = q.dim(1), length = q.dim(2), size = q.dim(3), total = k.dim(2), width = v.dim(3);
  call.require(k.dim(0) == q.dim(0) && v.dim(0) == q.dim(0) && k.dim(3) == size && v.dim(2) == total &&
                   heads % k.dim(1) == 0,
               "queries, keys and values do not fit each other");
  const int64_t group = heads / k.dim(1);
  Tensor out = Tensor::make<float>({q.dim(0), length, heads * width});
  float* to = out.edit<float>().data();
  in_blocks(q.dim(0) * heads * length, total * (size + width) * 4, [&](int64_t begin, int64_t end) {
    std::vector<double> row(static_cast<size_t>(total));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / length / heads, h = i / length % heads, s = i % length;
      const int64_t shared = b * k.dim(1) + h / group;
      const float* query = q.get<float>().data() + i * size;
      for (int64_t t = 0; t < total; ++t) {
        const double raw =
            scores.scale * dot(query, k.get<float>().data() + (shared * total + t) * size, size);
        const double capped = scores.softcap > 0 ? scores.softcap * std::tanh(raw / scores.softcap) : raw;
        // As a sum of floats: the lowest number stays what it is.
        row[static_cast<size_t>(t)] = static_cast<float>(capped) + scores.bias(b, h, s, t);
      }
      softmax(row);
      float* result = to + (b * length + s) * heads * width + h * width;
      for (int64_t e = 0; e < width; ++e) {
        double sum = 0;
        for (int64_t t = 0; t < total; ++t)
          sum += row[static_cast<size_t>(t)] *
                 v.get<float>()[static_cast<size_t>((shared * total + t) * width + e)];
        result[e] = static_cast<float>(sum);
      }
    }
  });
  return out;
}

double scale_of(const Call& call, int64_t size) {
  const float given = call.attribute("scale", 0.0f);
  return given != 0 ? given : 1 / std::sqrt(static_cast<double>(size));
}

// past [B, heads, P, size] (or nothing) and new rows, which for row b of the batch come at offsets[b].
Tensor joined(Call& call, size_t past_input, const Tensor& now, const std::vector<int64_t>& offsets,
              int64_t total) {
  const int64_t heads = now.dim(1), length = now.dim(2), size = now.dim(3);
  Tensor out = Tensor::make<float>({now.dim(0), heads, total, size});
  const auto to = out.edit<float>();
  std::fill(to.begin(), to.end(), 0.0f);
  for (int64_t i = 0; i < now.dim(0) * heads; ++i) {
    const int64_t offset = offsets[static_cast<size_t>(i / heads)];
    float* rows = to.data() + i * total * size;
    call.require(offset >= 0 && offset + length <= total, "the new tokens do not fit behind the cache");
    if (call.has(past_input)) {
      const Tensor& past = call.input(past_input);
      call.require(past.rank() == 4 && past.dim(0) == now.dim(0) && past.dim(1) == heads &&
                       past.dim(3) == size && past.dim(2) >= offset,
                   "the cache does not fit keys or values");
      std::copy_n(past.get<float>().data() + i * past.dim(2) * size, offset * size, rows);
    }
    std::copy_n(now.get<float>().data() + i * length * size, length * size, rows + offset * size);
  }
  return out;
}

// Pairs of each head's first elements turned by the angles of their positions.
Tensor turned(Call& call, const Tensor& in, const std::function<int64_t(int64_t b, int64_t s)>& position) {
  const Tensor& cosines = call.input(7);
  const Tensor& sines = call.input(8);
  const bool interleaved = call.attribute("rotary_interleaved", int64_t{0}) != 0;
  const int64_t half = cosines.dim(1), heads = in.dim(1), length = in.dim(2), size = in.dim(3);
  Tensor out = Tensor::make<float>(in.dims());
  for (int64_t i = 0; i < in.dim(0) * heads * length; ++i) {
    const int64_t at = position(i / length / heads, i % length);
    call.require(at >= 0 && at < cosines.dim(0), "a position is not in the cache");
    const float* x = in.get<float>().data() + i * size;
    float* y = out.edit<float>().data() + i * size;
    std::copy_n(x, size, y);
    for (int64_t j = 0; j < half; ++j) {
      const float c = cosines.get<float>()[static_cast<size_t>(at * half + j)];
      const float d = sines.get<float>()[static_cast<size_t>(at * half + j)];
      const int64_t first = interleaved ? 2 * j : j, second = interleaved ? 2 * j + 1 : j + half;
      y[first] = c * x[first] - d * x[second];
      y[second] = d * x[first] + c * x[second];
    }
  }
  return out;
}

// Causal attention with a cache: row b has seqlens_k[b] + 1 tokens, the new ones last; a first prompt is
// padded at its end.
void group_query_attention(Call& call) {
  const int64_t heads = call.attribute("num_heads", int64_t{0}),
                kv_heads = call.attribute("kv_num_heads", int64_t{0});
  if (call.has(11) || call.attribute("smooth_softmax", int64_t{0}) > 0) call.unsupported("smoothed softmax");
  if (call.attribute("causal", int64_t{1}) == 0) call.unsupported("attention that is not causal");
  call.require(heads > 0 && kv_heads > 0, "num_heads and kv_num_heads are positive");
  const bool packed = !call.has(1);
  const Tensor all = call.input(0);
  const int64_t size = all.dims().back() / (packed ? heads + 2 * kv_heads : heads);
  const int64_t width = heads * size, kv_width = kv_heads * size;
  Tensor q = by_head(call, packed ? columns(all, 0, width) : all, heads);
  Tensor k = by_head(call, packed ? columns(all, width, kv_width) : call.input(1), kv_heads);
  const Tensor v = by_head(call, packed ? columns(all, width + kv_width, kv_width) : call.input(2), kv_heads);

  const int64_t length = q.dim(2), total = call.integer(6, 0);
  const int64_t buffer = std::max(total, call.has(3) ? call.input(3).dim(2) : int64_t{0});
  const bool first = length == total;
  std::vector<int64_t> past = call.integers(5);
  call.require(static_cast<int64_t>(past.size()) == q.dim(0), "there is not one seqlens_k a row");
  for (int64_t& offset : past) offset = first ? 0 : offset + 1 - length;
  if (call.attribute("do_rotary", int64_t{0}) != 0) {
    const auto given = call.integers(9, {});
    const auto position = [&](int64_t b, int64_t s) {
      if (given.empty()) return past[static_cast<size_t>(b)] + s;
      return first ? given[static_cast<size_t>(b * length)] + s : given[static_cast<size_t>(b * length + s)];
    };
    q = turned(call, q, position);
    k = turned(call, k, position);
  }
  const Tensor keys = joined(call, 3, k, past, buffer), values = joined(call, 4, v, past, buffer);
  const AttentionBias bias(call, 10, {q.dim(0), heads, length, total});
  const int64_t window = call.attribute("local_window_size", int64_t{-1});
  Scores scores{scale_of(call, size), call.attribute("softcap", 0.0f), {}};
  scores.bias = [&](int64_t b, int64_t h, int64_t s, int64_t t) {
    const int64_t here = past[static_cast<size_t>(b)] + s;
    if (t > here || (window > 0 && t <= here - window)) return kNever;
    return bias.at(b, h, s, t);
  };
  call.set(0, attended(call, scores, q, keys, values));
  call.set(1, keys);
  call.set(2, values);
}

// The key_padding_mask [B, T] (1: real), or nothing.
std::vector<int64_t> padding_of(Call& call, int64_t batch, int64_t total) {
  if (!call.has(4)) return {};
  if (call.input(4).rank() != 2) call.unsupported("a key_padding_mask that is not [batch, total length]");
  call.require(call.input(4).dims() == Dims({batch, total}), "key_padding_mask has another shape");
  return call.integers(4);
}

void multi_head_attention(Call& call) {
  const int64_t heads = call.attribute("num_heads", int64_t{0});
  call.require(call.input(0).rank() == 3 && call.has(1) && call.has(2), "queries, keys and values are apart");
  Tensor parts[3] = {call.input(0), call.input(1), call.input(2)};
  int64_t begin = 0;
  for (Tensor& part : parts) {
    const int64_t width = part.dims().back();
    if (call.has(3)) {
      const Tensor bias = strided(call.input(3), {width}, {1}, begin);
      part = combined<float, float, float>(call, part, bias, [](float a, float b) { return a + b; });
    }
    begin += width;
    part = by_head(call, part, heads);
  }
  const int64_t past = call.has(6) ? call.input(6).dim(2) : 0;
  const int64_t batch = parts[0].dim(0), total = past + parts[1].dim(2), length = parts[0].dim(2);
  const std::vector<int64_t> offsets(static_cast<size_t>(batch), past);
  const Tensor keys = joined(call, 6, parts[1], offsets, total),
               values = joined(call, 7, parts[2], offsets, total);
  const AttentionBias bias(call, 5, {batch, heads, length, total});
  const auto padding = padding_of(call, batch, total);
  const float filter = call.attribute("mask_filter_value", -10000.0f);
  const bool causal = call.attribute("unidirectional", int64_t{0}) != 0;
  Scores scores{scale_of(call, parts[0].dim(3)), 0, {}};
  scores.bias = [&](int64_t b, int64_t h, int64_t s, int64_t t) {
    if (causal && t > past + s) return kNever;
    const bool hidden = !padding.empty() && padding[static_cast<size_t>(b * total + t)] == 0;
    return bias.at(b, h, s, t) + (hidden ? filter : 0.0f);
  };
  call.set(0, attended(call, scores, parts[0], keys, values));
  call.set(1, keys);
  call.set(2, values);
}

constexpr Op kOps[] = {
    {"GroupQueryAttention", group_query_attention, ir::kMicrosoftDomain},
    {"MultiHeadAttention", multi_head_attention, ir::kMicrosoftDomain},
};

}  // namespace

std::span<const Op> microsoft_attention_ops() {
  return kOps;
}

}  // namespace ferry::reference
