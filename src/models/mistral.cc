// Mistral: Llama with a sliding window. Source: transformers 4.57.6, models/mistral/modeling_mistral.py.
#include "models/architectures.h"
#include "models/llama.h"

namespace ferry::models::mistral {
using namespace nn;

struct MistralConfig : llama::LlamaConfig {
  explicit MistralConfig(ConfigReader& r) {
    intermediate_size = 14336;
    num_key_value_heads = 8;
    max_position_embeddings = 131072;
    sliding_window = 4096;
    read(r);
    r.read_nullable("sliding_window", sliding_window, 1);
  }
};

Architecture arch() {
  using Layer = llama::LlamaDecoderLayer<llama::LlamaAttention, llama::LlamaMLP, MistralConfig>;
  return llama::decoder_arch<llama::LlamaModel<Layer, MistralConfig>>("mistral", "Mistral");
}

}  // namespace ferry::models::mistral
