// Gemma 2: capped scores and logits, a window in every other layer.
// Source: transformers 4.57.6, models/gemma2/modeling_gemma2.py.
#include "models/gemma2.h"

#include <cmath>

#include "models/architectures.h"

namespace ferry::models::gemma2 {
using namespace nn;
namespace op = ir::op;

void GemmaBaseConfig::read(ConfigReader& r) {
  LlamaConfig::read(r);
  read_attention_bias(r);
  embedding_scale = std::sqrt(static_cast<double>(hidden_size));
}

DecoderSignature GemmaBaseConfig::signature() const {
  DecoderSignature out = LlamaConfig::signature();
  out.position_ids = false;
  out.cache_after = "attention_mask";
  return out;
}

float GemmaBaseConfig::query_scale() const {
  return static_cast<float>(1 / std::sqrt(query_pre_attn_scalar));
}

Tensor capped_logits(const Tensor& logits, const std::optional<double>& softcap) {
  return softcap ? op::unary("Tanh", logits / *softcap) * *softcap : logits;
}

struct Gemma2Config : GemmaBaseConfig {
  explicit Gemma2Config(ConfigReader& r) {
    vocab_size = 256000;
    hidden_size = 2304;
    intermediate_size = 9216;
    num_hidden_layers = 26;
    num_attention_heads = 8;
    num_key_value_heads = 4;
    hidden_act = "gelu_pytorch_tanh";
    max_position_embeddings = 8192;
    sliding_window = 4096;
    attn_logit_softcapping = 50;
    final_logit_softcapping = 30;
    read(r);
    r.read_choice("hidden_activation", hidden_act, activation_names());
    r.read("query_pre_attn_scalar", query_pre_attn_scalar);
    r.read_nullable("sliding_window", sliding_window, 1);
    r.read_nullable("attn_logit_softcapping", attn_logit_softcapping);
    r.read_nullable("final_logit_softcapping", final_logit_softcapping);
    read_layer_types(r, [](int64_t layer) { return layer % 2 == 0; });
  }
};

// transformers drops the cap of scores with scaled dot product attention and keeps it with eager attention,
// as the model was trained.
struct Gemma2Attention : LayerModule<Gemma2Config> {
  using LayerModule::LayerModule;
  llama::LlamaAttention attention{scope, c, layer_idx};

  Tensor operator()(const Tensor& x, Decoding& run, const Rotary& rotary) const {
    const auto named = scope.named();
    return attention.attend(
        rotary(attention.queries(x)), rotary(attention.keys(x)), x, run,
        {.scale = c.query_scale(), .softcap = static_cast<float>(c.attn_logit_softcapping.value_or(0))});
  }
};

Architecture arch() {
  using Gemma2Model = llama::LlamaModel<Gemma2DecoderLayer<Gemma2Attention, Gemma2Config>, Gemma2Config>;
  return llama::decoder_arch<Gemma2Model, Gemma2ForCausalLM<Gemma2Model>>("gemma2", "Gemma2");
}

}  // namespace ferry::models::gemma2
