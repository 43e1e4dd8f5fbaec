// Gemma: Llama with scaled embeddings and norms stored as distances from 1.
// Source: transformers 4.57.6, models/gemma/modeling_gemma.py.
#include <cmath>

#include "models/architectures.h"
#include "models/gemma2.h"

namespace ferry::models::gemma {
using namespace nn;

struct GemmaConfig : gemma2::GemmaBaseConfig {
  explicit GemmaConfig(ConfigReader& r) {
    vocab_size = 256000;
    hidden_size = 3072;
    intermediate_size = 24576;
    num_hidden_layers = 28;
    num_attention_heads = num_key_value_heads = 16;
    hidden_act = "gelu_pytorch_tanh";
    max_position_embeddings = 8192;
    read(r);
    r.ignore("hidden_activation");  // transformers reads hidden_act alone.
  }
};

Architecture arch() {
  using Layer = llama::LlamaDecoderLayer<llama::LlamaAttention, llama::LlamaMLP, GemmaConfig>;
  return llama::decoder_arch<llama::LlamaModel<Layer, GemmaConfig>>("gemma", "Gemma")
      .decoder([](const GemmaConfig& c) { return c.signature(); });
}

}  // namespace ferry::models::gemma
