// WavLM: wav2vec 2.0 with relative positions in its scores, as far as a gate lets them.
// Source: transformers 4.57.6, models/wavlm/modular_wavlm.py.
#include "models/audio_encoders.h"
#include "models/wav2vec2.h"
#include "nn/relative_positions.h"

namespace ferry::models::wavlm {
using namespace nn;
namespace op = ir::op;

struct WavLMConfig : wav2vec2::Wav2Vec2Config {
  explicit WavLMConfig(ConfigReader& r) : Wav2Vec2Config(r) {
    adapter_attn_dim.reset();  // The source's layers have no such adapters.
    r.read("num_buckets", num_buckets, 4, 1 << 20);
    r.read("max_bucket_distance", max_bucket_distance, 1, 1 << 20);
    if (max_bucket_distance <= num_buckets / 4) r.fail("max_bucket_distance", "more than num_buckets / 4");
  }
  static constexpr const char* prefix = "wavlm";
  int64_t num_buckets = 320;
  int64_t max_bucket_distance = 800;
};

struct WavLMAttention : Module<WavLMConfig> {
  using Module::Module;
  wav2vec2::Wav2Vec2Attention attention{scope, c};
  Linear gru_rel_pos_linear{at("gru_rel_pos_linear"), c.hidden_size / c.num_attention_heads, 8};
  Tensor gru_rel_pos_const{scope.parameter("gru_rel_pos_const", {1, c.num_attention_heads, 1, 1})};

  /// x [B, T, H], bias [1, h, T, T] -> [B, T, H]
  Tensor operator()(const Tensor& x, const Tensor& bias) const { return attention(x, gate(x) * bias); }

  /// The bias of every pair of frames, which the first layer has for all: [1, h, T, T]
  static Tensor shared_bias(const Scope& layers, const WavLMConfig& c, const Tensor& x) {
    const Scope place = layers / "0.attention.rel_attn_embed";
    const auto named = place.named();
    const Embedding table(place, c.num_buckets, c.num_attention_heads);
    const Tensor positions = op::range(op::scalar(x.graph(), int64_t{0}), op::size_of(x, 1));
    const Tensor distance = op::unsqueeze(positions, {0}) - op::unsqueeze(positions, {1});
    return bucketed_bias(table, distance, {.buckets = c.num_buckets, .max_distance = c.max_bucket_distance});
  }

 private:
  // How much of it each frame takes, for each head: [B, h, T, 1]
  [[nodiscard]] Tensor gate(const Tensor& x) const {
    const auto named = scope.named();
    const Tensor projected = gru_rel_pos_linear(split_heads(x, c.num_attention_heads));  // [B, h, T, 8]
    const Tensor sums = op::reduce("ReduceSum", op::reshape(projected, {0, 0, 0, 2, 4}), {4}, false);
    const auto gates = op::split(op::unary("Sigmoid", sums), -1, {1, 1});
    return op::add(gates[0] * op::add(gates[1] * gru_rel_pos_const, -1.0), 2.0);
  }
};

Architecture arch() {
  return wav2vec2::speaker_arch<wav2vec2::Model<WavLMConfig, WavLMAttention>>("wavlm", "WavLM");
}

}  // namespace ferry::models::wavlm
