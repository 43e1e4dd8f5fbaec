// Qwen2: Llama with biased queries, keys and values, and a sliding window in its upper layers.
// Source: transformers 4.57.6, models/qwen2/modeling_qwen2.py.
#include "models/architectures.h"
#include "models/llama.h"

namespace ferry::models::qwen2 {
using namespace nn;

struct Qwen2Config : llama::LlamaConfig {
  explicit Qwen2Config(ConfigReader& r) {
    vocab_size = 151936;
    intermediate_size = 22016;
    max_position_embeddings = 32768;
    qkv_bias = true;
    read(r);
    read_qwen_windows(r);
  }
};

Architecture arch() {
  using Layer = llama::LlamaDecoderLayer<llama::LlamaAttention, llama::LlamaMLP, Qwen2Config>;
  using Qwen2Model = llama::LlamaModel<Layer, Qwen2Config>;
  return llama::decoder_arch<Qwen2Model>("qwen2", "Qwen2")
      .task<ForTokenClassification<Qwen2Model>>("token-classification", "Qwen2ForTokenClassification");
}

}  // namespace ferry::models::qwen2
