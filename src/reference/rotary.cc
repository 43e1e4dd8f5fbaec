// RotaryEmbedding: pairs of elements turned by an angle that depends on their position.
#include "reference/call.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

// Where element (b, s, h, i) of [B, S, H * D] or [B, H, S, D] lies.
struct Heads {
  int64_t batch, length, heads, size;
  int64_t batch_stride, length_stride, head_stride;
};

Heads heads_of(Call& call, const Tensor& in) {
  if (in.rank() == 4) {
    const int64_t b = in.dim(0), h = in.dim(1), s = in.dim(2), d = in.dim(3);
    return {b, s, h, d, h * s * d, d, s * d};
  }
  call.require(in.rank() == 3, "the input has rank 3 or 4");
  const int64_t heads = call.attribute("num_heads", int64_t{0});
  call.require(heads > 0 && in.dim(2) % heads == 0, "rank 3 wants num_heads, which divides the width");
  const int64_t b = in.dim(0), s = in.dim(1), width = in.dim(2);
  return {b, s, heads, width / heads, s * width, width, width / heads};
}

// The row of the cosines and sines for position s of batch b.
int64_t cache_row(Call& call, int64_t b, int64_t s, int64_t length, int64_t rows) {
  if (!call.has(3)) return b * length + s;
  const Tensor& positions = call.input(3);
  const int64_t at = positions.get<int64_t>()[static_cast<size_t>(b * length + s)];
  call.require(at >= 0 && at < rows, "a position is not in the cache");
  return at;
}

void turn(const float* in, float* out, int64_t half, bool interleaved, const float* cosines,
          const float* sines) {
  for (int64_t i = 0; i < half; ++i) {
    const int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + half;
    out[first] = cosines[i] * in[first] - sines[i] * in[second];
    out[second] = sines[i] * in[first] + cosines[i] * in[second];
  }
}

void rotary_embedding(Call& call) {
  const Tensor& in = call.input(0);
  const Tensor& cosines = call.input(1);
  const Tensor& sines = call.input(2);
  const Heads at = heads_of(call, in);
  const bool interleaved = call.attribute("interleaved", int64_t{0}) != 0;
  int64_t turned = call.attribute("rotary_embedding_dim", int64_t{0});
  if (turned == 0) turned = at.size;
  const int64_t half = turned / 2;
  call.require(turned % 2 == 0 && turned <= at.size, "the turned part does not fit the head");
  call.require(cosines.rank() == (call.has(3) ? 2u : 3u) && cosines.dims() == sines.dims() &&
                   cosines.dims().back() == half,
               "cosines and sines are [positions, half] with position_ids, else [batch, length, half]");
  const int64_t rows = element_count(cosines.dims()) / std::max<int64_t>(1, half);
  call.require(call.has(3) ? static_cast<int64_t>(call.input(3).count()) == at.batch * at.length
                           : rows == at.batch * at.length,
               "there is not one position an element of the sequence");
  Tensor out = Tensor::make<float>(in.dims());
  const float* from = in.get<float>().data();
  float* to = out.edit<float>().data();
  for (int64_t b = 0; b < at.batch; ++b) {
    for (int64_t s = 0; s < at.length; ++s) {
      const int64_t row = cache_row(call, b, s, at.length, rows) * half;
      for (int64_t h = 0; h < at.heads; ++h) {
        const int64_t place = b * at.batch_stride + s * at.length_stride + h * at.head_stride;
        turn(from + place, to + place, half, interleaved, cosines.get<float>().data() + row,
             sines.get<float>().data() + row);
        std::copy_n(from + place + turned, at.size - turned, to + place + turned);
      }
    }
  }
  call.set(0, out);
}

constexpr Op kOps[] = {{"RotaryEmbedding", rotary_embedding}};

}  // namespace

std::span<const Op> rotary_ops() {
  return kOps;
}

}  // namespace ferry::reference
