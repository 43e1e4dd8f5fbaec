#pragma once
// What the Gemmas share. Source: transformers 4.57.6, models/gemma2/modeling_gemma2.py.
#include "models/llama.h"

namespace ferry::models::gemma2 {

struct GemmaBaseConfig : llama::LlamaConfig {
  GemmaBaseConfig() {
    head_dim = 256;
    rms_norm_offset = 1;
    tie_word_embeddings = true;
    pad_token_id = 0;
  }
  /// The keys that all have. Embeddings are multiplied by the root of their size.
  void read(nn::ConfigReader& r);
  /// Without position_ids: the graph counts.
  [[nodiscard]] nn::DecoderSignature signature() const;

  double query_pre_attn_scalar = 256;
  std::optional<double> attn_logit_softcapping, final_logit_softcapping;
  [[nodiscard]] float query_scale() const;
};

/// Norms before and after both parts of the layer.
template <typename Attention, typename Config>
struct Gemma2DecoderLayer : nn::LayerModule<Config> {
  using nn::LayerModule<Config>::LayerModule;
  Attention self_attn{this->at("self_attn"), this->c, this->layer_idx};
  llama::LlamaMLP mlp{this->at("mlp"), this->c};
  llama::LlamaRMSNorm input_layernorm{this->at("input_layernorm"), this->c};
  llama::LlamaRMSNorm post_attention_layernorm{this->at("post_attention_layernorm"), this->c};
  llama::LlamaRMSNorm pre_feedforward_layernorm{this->at("pre_feedforward_layernorm"), this->c};
  llama::LlamaRMSNorm post_feedforward_layernorm{this->at("post_feedforward_layernorm"), this->c};

  nn::Tensor operator()(const nn::Tensor& x, nn::Decoding& run, const nn::Rotary& rotary) const {
    const auto named = this->scope.named();
    const nn::Tensor y = x + post_attention_layernorm(self_attn(input_layernorm(x), run, rotary));
    return y + post_feedforward_layernorm(mlp(pre_feedforward_layernorm(y)));
  }
};

/// Logits that are kept within +-final_logit_softcapping.
nn::Tensor capped_logits(const nn::Tensor& logits, const std::optional<double>& softcap);

template <typename Model>
struct Gemma2ForCausalLM : nn::Module<typename Model::ConfigType> {
  using nn::Module<typename Model::ConfigType>::Module;
  Model model{this->at("model"), this->c};

  nn::Outputs operator()(const nn::Inputs& in) const {  // -> [B, S, vocab]
    nn::Decoding run(in);
    const nn::Tensor x = model(run);
    const nn::Tensor logits =
        nn::language_head(this->at("lm_head"), model.embed_tokens, this->c.tie_word_embeddings, x);
    return run.outputs("logits", capped_logits(logits, this->c.final_logit_softcapping));
  }
};

}  // namespace ferry::models::gemma2
