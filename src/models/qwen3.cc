// Qwen3: Qwen2 with normalized queries and keys. Source: transformers 4.57.6, models/qwen3/modeling_qwen3.py.
#include "models/qwen3.h"

#include "models/architectures.h"

namespace ferry::models::qwen3 {
using namespace nn;

struct Qwen3Config : llama::LlamaConfig {
  explicit Qwen3Config(ConfigReader& r) {
    vocab_size = 151936;
    intermediate_size = 22016;
    head_dim = 128;
    max_position_embeddings = 32768;
    read(r);
    read_attention_bias(r);
    read_qwen_windows(r);
  }
};

Architecture arch() {
  using Layer = llama::LlamaDecoderLayer<Qwen3Attention, llama::LlamaMLP, Qwen3Config>;
  return llama::decoder_arch<llama::LlamaModel<Layer, Qwen3Config>>("qwen3", "Qwen3");
}

}  // namespace ferry::models::qwen3
