// data2vec for sound: wav2vec 2.0 with several convolutions for the positions.
// Source: transformers 4.57.6, models/data2vec/modular_data2vec_audio.py.
#include "models/audio_encoders.h"
#include "models/wav2vec2.h"

namespace ferry::models::data2vec_audio {
using namespace nn;
namespace op = ir::op;

struct Data2VecAudioConfig : wav2vec2::Wav2Vec2Config {
  explicit Data2VecAudioConfig(ConfigReader& r) {
    num_conv_pos_embeddings = 5;
    read(r);
    read_adapter(r);
    r.read("conv_pos_kernel_size", conv_pos_kernel_size);
    // Whatever these say: the source's parts do not ask.
    feat_extract_norm = "layer";
    do_stable_layer_norm = false;
  }
  static constexpr const char* prefix = "data2vec_audio";
  int64_t conv_pos_kernel_size = 19;
};

// "layers": each a convolution, a norm without parameters and an activation. [B, T, H] -> [B, T, H]
struct PositionalConvEmbedding : Module<Data2VecAudioConfig> {
  using Module::Module;

  Tensor operator()(Tensor x) const {
    const auto named = scope.named();
    const int64_t kernel = c.conv_pos_kernel_size, groups = c.num_conv_pos_embedding_groups;
    const std::vector<float> ones(static_cast<size_t>(c.hidden_size), 1.0f);
    const Weight even = Weight::from_f32({c.hidden_size}, ones).cast(x.dtype());
    for (int64_t i = 0; i < c.num_conv_pos_embeddings; ++i) {
      const Scope layer = at("layers") / i, conv = layer / "conv", function = layer / "activation";
      const Tensor weight = conv.parameter("weight", {c.hidden_size, c.hidden_size / groups, kernel});
      const Tensor bias = conv.parameter("bias", {c.hidden_size});
      x = op::transpose(wav2vec2::same_length_conv(op::transpose(x, {0, 2, 1}), weight, bias, kernel, groups),
                        {0, 2, 1});
      x = op::layer_norm(x, layer.constant("layer_norm", even), Tensor(), 1e-5f);
      x = activation(c.feat_extract_activation, x, &function);
    }
    return x;
  }
};

Architecture arch() {
  using Body = wav2vec2::Model<Data2VecAudioConfig, wav2vec2::Wav2Vec2Attention, PositionalConvEmbedding>;
  return wav2vec2::speaker_arch<Body>("data2vec-audio", "Data2VecAudio");
}

}  // namespace ferry::models::data2vec_audio
