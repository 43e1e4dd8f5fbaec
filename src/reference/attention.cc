// Attention of opset 24, by its definition:
//   scores = softcap(scale * Q K^T) + bias;  Y = softmax(scores) V
// where the bias is the mask (a boolean one: 0 or -inf), -inf after the last key that a causal query sees,
// and -inf at and after nonpad_kv_seqlen. A query whose bias is -inf everywhere gives 0.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "base/parallel.h"
#include "reference/call.h"
#include "reference/gemm.h"
#include "reference/kernels.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// A tensor [B, S, heads * size] or [B, heads, S, size] as a matrix [S, size] for each batch and head.
struct Heads {
  Tensor tensor;
  int64_t batch = 0, heads = 0, length = 0, size = 0;
  int64_t batch_stride = 0, head_stride = 0, row_stride = 0;

  [[nodiscard]] Matrix at(int64_t b, int64_t h) const {
    return {tensor.get<float>().data() + b * batch_stride + h * head_stride, length, size, row_stride, 1};
  }
};

Heads as_heads(Call& call, const Tensor& in, const char* attribute) {
  if (in.rank() == 4) {
    const int64_t b = in.dim(0), h = in.dim(1), s = in.dim(2), d = in.dim(3);
    return {in, b, h, s, d, h * s * d, s * d, d};
  }
  const int64_t heads = call.attribute(attribute, int64_t{0});
  call.require(
      in.rank() == 3 && heads > 0 && in.dim(2) % heads == 0,
      "queries, keys and values have rank 4, or rank 3 and a number of heads that divides the width");
  const int64_t b = in.dim(0), s = in.dim(1), width = in.dim(2);
  return {in, b, heads, s, width / heads, s * width, width / heads, width};
}

// [B, heads, past + S, size] of a cache and what comes after it; what comes alone, if there is no cache.
Heads with_past(Call& call, const Heads& in, size_t past_input) {
  const bool has_past = call.has(past_input);
  const int64_t past = has_past ? call.input(past_input).dim(2) : 0;
  if (has_past) {
    const Dims& dims = call.input(past_input).dims();
    call.require(dims == Dims({in.batch, in.heads, past, in.size}), "the cache does not fit keys or values");
  }
  const int64_t total = past + in.length;
  Tensor out = Tensor::make<float>({in.batch, in.heads, total, in.size});
  float* to = out.edit<float>().data();
  for (int64_t b = 0; b < in.batch; ++b) {
    for (int64_t h = 0; h < in.heads; ++h) {
      if (has_past) {
        const float* from = call.input(past_input).get<float>().data();
        to = std::copy_n(from + (b * in.heads + h) * past * in.size, past * in.size, to);
      }
      const Matrix rows = in.at(b, h);
      for (int64_t s = 0; s < in.length; ++s) to = std::copy_n(rows.data + s * rows.row_stride, in.size, to);
    }
  }
  return {out, in.batch, in.heads, total, in.size, in.heads * total * in.size, total * in.size, in.size};
}

// What is added to the scores.
class Bias {
 public:
  Bias(Call& call, const Heads& q, const Heads& k, int64_t past) : total_(k.length) {
    causal_ = call.attribute("is_causal", int64_t{0}) != 0;
    offsets_.assign(static_cast<size_t>(q.batch), past);
    lengths_.assign(static_cast<size_t>(q.batch), total_);
    if (call.has(6)) {
      lengths_ = call.integers(6);
      call.require(static_cast<int64_t>(lengths_.size()) == q.batch, "there is not one length a batch");
      for (size_t b = 0; b < lengths_.size(); ++b) offsets_[b] = lengths_[b] - q.length;
    }
    if (!call.has(3)) return;
    mask_ = call.input(3);
    call.require(mask_.kind() != Kind::integer, "the mask is boolean or floating");
    Dims dims = mask_.dims();
    call.require(!dims.empty() && dims.size() <= 4 && dims.back() <= total_, "the mask has another shape");
    masked_ = dims.back() == 1 && total_ != 1 ? total_ : dims.back();
    Dims wanted = {q.batch, q.heads, q.length, masked_};
    call.require(call.broadcast(dims, wanted) == wanted, "the mask does not broadcast to the scores");
    strides_ = broadcast_strides(dims, wanted);
  }

  // Adds it to the scores of query `s`; false if nothing may be attended to.
  bool add(int64_t b, int64_t h, int64_t s, float* scores) const {
    const int64_t visible = std::clamp<int64_t>(visible_keys(b, s), 0, total_);
    // Keys beyond a shorter mask are not attended to.
    const int64_t open = mask_ ? std::min(visible, masked_) : visible;
    for (int64_t t = open; t < total_; ++t) scores[t] += kNever;
    if (!mask_) return open > 0;
    const int64_t at = b * strides_[0] + h * strides_[1] + s * strides_[2], step = strides_[3];
    bool any = false;
    if (mask_.kind() == Kind::boolean) {
      const bool* attends = mask_.get<bool>().data() + at;
      for (int64_t t = 0; t < open; ++t) {
        any = any || attends[t * step];
        if (!attends[t * step]) scores[t] += kNever;
      }
      return any;
    }
    const float* bias = mask_.get<float>().data() + at;
    for (int64_t t = 0; t < open; ++t) {
      any = any || bias[t * step] != kNever;
      scores[t] += bias[t * step];
    }
    return any;
  }

 private:
  [[nodiscard]] int64_t visible_keys(int64_t b, int64_t s) const {
    const int64_t length = lengths_[static_cast<size_t>(b)];
    return causal_ ? std::min(length, s + offsets_[static_cast<size_t>(b)] + 1) : length;
  }

  int64_t total_;
  bool causal_ = false;
  std::vector<int64_t> offsets_, lengths_;  // By batch: keys before the first query; keys that are there.
  Tensor mask_;
  int64_t masked_ = 0;
  Dims strides_;
};

struct Settings {
  float scale = 1, softcap = 0;
  int64_t mode = 0;  // Which scores the fourth result holds: 0 products, 1 capped, 2 biased, 3 softmax.
};

// A block of queries of one head. `shown` is where the scores are copied to, or null.
void attend(const Settings& settings, const Bias& bias, const Matrix& q, const Matrix& k, const Matrix& v,
            int64_t b, int64_t h, int64_t first, float* out, int64_t out_stride, float* shown) {
  const int64_t total = k.rows;
  const auto scores = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(q.rows * total));
  multiply(q, k.transposed(), scores.get(), total);
  const auto show = [&](int64_t mode, const float* row, int64_t i) {
    if (shown != nullptr && settings.mode == mode) std::copy_n(row, total, shown + i * total);
  };
  for (int64_t i = 0; i < q.rows; ++i) {
    float* row = scores.get() + i * total;
    for (int64_t t = 0; t < total; ++t) row[t] *= settings.scale;
    show(0, row, i);
    for (int64_t t = 0; settings.softcap > 0 && t < total; ++t)
      row[t] = settings.softcap * std::tanh(row[t] / settings.softcap);
    show(1, row, i);
    const bool any = bias.add(b, h, first + i, row);
    show(2, row, i);
    if (any) {
      kernels().softmax(row, total);
    } else {
      std::fill_n(row, total, 0.0f);
    }
    show(3, row, i);
  }
  multiply({scores.get(), q.rows, total, total, 1}, v, out, out_stride);
}

void check(Call& call, const Heads& q, const Heads& k, const Heads& v) {
  call.require(q.batch == k.batch && q.batch == v.batch, "the batches differ");
  call.require(q.size == k.size, "queries and keys have different head sizes");
  call.require(k.length == v.length && k.heads == v.heads, "keys and values have different shapes");
  call.require(k.heads > 0 && q.heads % k.heads == 0, "the key heads do not divide the query heads");
  call.require(call.has(4) == call.has(5), "past keys and values come together");
}

void attention(Call& call) {
  const Heads q = as_heads(call, call.input(0), "q_num_heads");
  Heads k = as_heads(call, call.input(1), "kv_num_heads");
  Heads v = as_heads(call, call.input(2), "kv_num_heads");
  check(call, q, k, v);
  const int64_t past = call.has(4) ? call.input(4).dim(2) : 0;
  if (call.has(4) || call.wants(1)) k = with_past(call, k, 4);
  if (call.has(5) || call.wants(2)) v = with_past(call, v, 5);
  call.set(1, k.tensor);
  call.set(2, v.tensor);

  Settings settings;
  settings.scale = call.attribute("scale", static_cast<float>(1 / std::sqrt(static_cast<double>(q.size))));
  settings.softcap = call.attribute("softcap", 0.0f);
  settings.mode = call.attribute("qk_matmul_output_mode", int64_t{0});
  const Bias bias(call, q, k, past);
  const bool flat = q.tensor.rank() == 3;
  Tensor out = Tensor::make<float>(flat ? Dims{q.batch, q.length, q.heads * v.size}
                                        : Dims{q.batch, q.heads, q.length, v.size});
  Tensor shown = Tensor::make<float>(call.wants(3) ? Dims{q.batch, q.heads, q.length, k.length} : Dims{0});
  float* to = out.edit<float>().data();
  float* scores = call.wants(3) ? shown.edit<float>().data() : nullptr;
  // Blocks of queries bound the memory that scores take.
  constexpr int64_t kBlock = 128;
  const int64_t blocks = (q.length + kBlock - 1) / kBlock;
  in_blocks(
      q.batch * q.heads * blocks, std::min(kBlock, q.length) * k.length * 8, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t b = i / blocks / q.heads, h = i / blocks % q.heads, first = i % blocks * kBlock;
          const int64_t kv = h / (q.heads / k.heads);
          const int64_t stride = flat ? q.heads * v.size : v.size;
          const int64_t place =
              flat ? b * q.length * stride + h * v.size : (b * q.heads + h) * q.length * v.size;
          const Matrix rows = q.at(b, h).row_range(first, std::min(q.length, first + kBlock));
          attend(settings, bias, rows, k.at(b, kv), v.at(b, kv), b, h, first, to + place + first * stride,
                 stride,
                 scores == nullptr ? nullptr : scores + ((b * q.heads + h) * q.length + first) * k.length);
        }
      });
  call.set(0, out);
  call.set(3, shown);
}

constexpr Op kOps[] = {{"Attention", attention}};

}  // namespace

std::span<const Op> attention_ops() {
  return kOps;
}

}  // namespace ferry::reference
