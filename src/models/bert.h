#pragma once
// BERT's parts that other encoders share.
#include <string>
#include <vector>

#include "nn/architecture.h"
#include "nn/layers.h"

namespace ferry::models::bert {

struct BertConfig {
  explicit BertConfig(nn::ConfigReader& r);

  int64_t vocab_size = 30522;
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  std::string hidden_act = "gelu";
  int64_t max_position_embeddings = 512;
  int64_t type_vocab_size = 2;
  float layer_norm_eps = 1e-12f;
  std::string position_embedding_type = "absolute";
  bool is_decoder = false;
  bool tie_word_embeddings = true;
  int64_t num_labels = 2;

  [[nodiscard]] int64_t head_size() const { return hidden_size / num_attention_heads; }
};

/// The transformer layers with their mask: what RoBERTa, ELECTRA and others call with embeddings of their
/// own.
struct BertEncoder : nn::Module<BertConfig> {
  BertEncoder(nn::Scope place, const BertConfig& config);
  ~BertEncoder();
  BertEncoder(BertEncoder&&) noexcept;
  /// x [B, S, H], attention_mask i64[B, S] -> [B, S, H]
  nn::Tensor operator()(const nn::Tensor& x, const nn::Tensor& attention_mask) const;

 private:
  struct Layers;
  std::unique_ptr<Layers> layers_;
};

nn::Architecture arch();

}  // namespace ferry::models::bert
