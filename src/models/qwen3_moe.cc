// Qwen3 with a mixture of experts in most layers. Source: transformers 4.57.6,
// models/qwen3_moe/modeling_qwen3_moe.py.
#include <algorithm>
#include <variant>

#include "models/architectures.h"
#include "models/qwen3.h"
#include "nn/experts.h"

namespace ferry::models::qwen3_moe {
using namespace nn;

struct Qwen3MoeConfig : llama::LlamaConfig {
  explicit Qwen3MoeConfig(ConfigReader& r) {
    vocab_size = 151936;
    hidden_size = 2048;
    intermediate_size = 6144;
    num_hidden_layers = 24;
    num_key_value_heads = 4;
    max_position_embeddings = 32768;
    read(r);
    read_attention_bias(r);
    read_used_window(r);
    r.read("decoder_sparse_step", decoder_sparse_step);
    r.read("moe_intermediate_size", moe_intermediate_size);
    r.read("num_experts_per_tok", num_experts_per_tok);
    r.read("num_experts", num_experts, 0, 1 << 16);
    r.read("norm_topk_prob", norm_topk_prob);
    r.read("mlp_only_layers", mlp_only_layers);
    if (num_experts > 0 && num_experts_per_tok > num_experts)
      r.fail("num_experts_per_tok", "at most num_experts");
    for (const char* key : {"output_router_logits", "router_aux_loss_coef", "max_window_layers"})
      r.ignore(key);
  }

  int64_t decoder_sparse_step = 1;
  int64_t moe_intermediate_size = 768;
  int64_t num_experts_per_tok = 8;
  int64_t num_experts = 128;
  bool norm_topk_prob = false;
  std::vector<int64_t> mlp_only_layers;

  [[nodiscard]] bool is_sparse(int64_t layer) const {
    const bool dense = std::count(mlp_only_layers.begin(), mlp_only_layers.end(), layer) > 0;
    return !dense && num_experts > 0 && (layer + 1) % decoder_sparse_step == 0;
  }
};

// Qwen3MoeSparseMoeBlock or Qwen3MoeMLP.
struct FeedForward : LayerModule<Qwen3MoeConfig> {
  using LayerModule::LayerModule;
  std::variant<llama::LlamaMLP, Experts> network = make();

  [[nodiscard]] std::variant<llama::LlamaMLP, Experts> make() const {
    if (!c.is_sparse(layer_idx)) return llama::LlamaMLP(scope, c);
    return Experts(scope, {.hidden_size = c.hidden_size,
                           .intermediate_size = c.moe_intermediate_size,
                           .count = c.num_experts,
                           .per_token = c.num_experts_per_tok,
                           .normalize = c.norm_topk_prob,
                           .activation = c.hidden_act});
  }

  Tensor operator()(const Tensor& x) const {
    return std::visit([&](const auto& n) { return n(x); }, network);
  }
};

Architecture arch() {
  using Layer = llama::LlamaDecoderLayer<qwen3::Qwen3Attention, FeedForward, Qwen3MoeConfig>;
  using Qwen3MoeModel = llama::LlamaModel<Layer, Qwen3MoeConfig>;
  return llama::decoder_arch<Qwen3MoeModel>("qwen3_moe", "Qwen3Moe")
      .task<ForTokenClassification<Qwen3MoeModel>>("token-classification", "Qwen3MoeForTokenClassification");
}

}  // namespace ferry::models::qwen3_moe
