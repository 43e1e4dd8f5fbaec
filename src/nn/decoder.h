#pragma once
// What decoders share: the cache of keys and values, attention over it and over an encoder's tokens, the
// masks, and the heads that transformers has for decoder-only models.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/architecture.h"
#include "nn/layers.h"

namespace ferry::nn {

/// Which keys a query sees, beside those that are padding.
struct MaskOptions {
  std::optional<int64_t> window;  ///< The last so many up to its own; nothing: all.
  bool bidirectional = false;     ///< Also those after it, as far as before it.
  auto operator<=>(const MaskOptions&) const = default;
};

/// What the cache of a decoder holds.
enum class Cache {
  none,                ///< Nothing: every step computes all tokens again.
  tokens,              ///< Its own tokens' keys and values: past_key_values.0.key, ...
  tokens_and_encoder,  ///< Also those of the encoder's: past_key_values.0.decoder.key, .0.encoder.key, ...
};

/// One run of a decoder: new tokens, what the cache holds of the tokens before them, and who sees whom.
///
/// Axes: B batch, S new tokens, P tokens in the cache (0 without one), T = P + S, E tokens of the encoder,
/// h heads, k key-value heads, d head size.
class Decoding {
 public:
  explicit Decoding(const Inputs& in, Cache cache = Cache::tokens);

  [[nodiscard]] const Inputs& inputs() const { return in_; }
  [[nodiscard]] const Tensor& input_ids() const { return input_ids_; }  ///< i64[B, S]
  /// i64[B, T]; empty for a decoder that takes none: it has no padding.
  [[nodiscard]] const Tensor& attention_mask() const { return attention_mask_; }
  /// P, a scalar i64.
  [[nodiscard]] const Tensor& past_length() const { return past_length_; }
  [[nodiscard]] bool has_position_ids() const { return static_cast<bool>(in_.find("position_ids")); }
  /// The input of that name, else P, P + 1, ... in every row: i64[B, S].
  [[nodiscard]] const Tensor& position_ids();
  /// T, a scalar i64.
  [[nodiscard]] Tensor total_length() const;
  /// True where a query sees a key: bool[B, 1, S, T], without padding bool[S, T]. A query that sees nothing
  /// attends to nothing: its result is 0. Source: transformers 4.57.6 masking_utils.py, as its scaled dot
  /// product attention reads it.
  [[nodiscard]] Tensor mask(MaskOptions options = {});
  /// 0 where a query sees a key, else the lowest number: [B, 1, S, T] or [S, T]. A query that sees nothing
  /// attends to everything alike, as in the models that make their own masks.
  [[nodiscard]] Tensor additive_mask(DType dtype);

  /// Attention of the queries [B, h, S, d] over the cache of `layer` and the keys and values [B, k, S, d],
  /// which join the cache. -> [B, S, h * d]. Without a mask in the options, mask() is taken.
  Tensor attend(int64_t layer, const Tensor& query, const Tensor& key, const Tensor& value,
                ir::op::AttentionOptions options = {});

  /// [B, E, size] -> [B, k, E, d]
  using Projection = std::function<Tensor(const Tensor&)>;
  /// Attention of the queries [B, h, S, d] over the encoder's tokens: the keys and values of the cache of
  /// `layer`, else those made from encoder_hidden_states, which join it. -> [B, S, h * d]. Without a mask in
  /// the options, encoder_mask() is taken.
  Tensor attend_encoder(int64_t layer, const Tensor& query, const Projection& key, const Projection& value,
                        ir::op::AttentionOptions options = {});
  /// Whether there is an encoder to attend to: its results, or the cache of them.
  [[nodiscard]] bool attends_encoder() const;
  /// The encoder's results, [B, E, size].
  [[nodiscard]] const Tensor& encoder_hidden_states() const { return in_["encoder_hidden_states"]; }
  /// Puts what `project` makes of the encoder's results in their place; nothing where the cache has them all.
  void project_encoder(const Projection& project);
  /// 0 for the encoder's tokens, the lowest number for its padding: [B, 1, 1, E]; empty without padding.
  [[nodiscard]] Tensor encoder_mask(DType dtype);

  /// `result` by that name, and the cache: present.0.key, present.0.value, ...
  [[nodiscard]] Outputs outputs(std::string name, const Tensor& result) const;

 private:
  Tensor with_past(const std::string& which, const Tensor& now);
  Tensor visible(const MaskOptions& options) const;

  Inputs in_;
  Cache cache_;
  bool has_past_ = false;
  Tensor input_ids_, attention_mask_, past_length_, position_ids_, additive_, encoder_mask_;
  std::map<MaskOptions, Tensor> masks_;  // Layers share them.
  Outputs present_;
};

/// An additive mask with ALiBi: a key counts the more, by head, the later it comes among the tokens of its
/// row that are not padding. [B, h, S, T]. `scale` is of these numbers, `rounded` says that they are
/// bfloat16's.
Tensor alibi_mask(Decoding& run, int64_t heads, DType dtype, float scale = 1, bool rounded = false);

/// 1 / (2^(8 / n)), ... : how fast each head forgets. Heads beyond a power of two take the odd steps between.
/// Source: transformers 4.57.6 modeling_bloom.py build_alibi_tensor.
std::vector<float> alibi_slopes(int64_t heads);

/// hidden [B, S, size] at the last token of each row that is not padding: [B, size].
/// Errors: Error{invalid_config} without a pad_token_id.
Tensor last_token(const Tensor& hidden, const Tensor& input_ids, std::optional<int64_t> pad_token_id);

/// The logits of a language model: by the input embeddings if they are tied, else by "<scope>.weight".
Tensor language_head(const Scope& scope, const Embedding& embeddings, bool tied, const Tensor& hidden);

/// The body of a decoder as a model of its own. `Model` is a Module that is called with a Decoding.
template <typename Model>
struct DecoderBody : Model {
  using Model::Model;

  Outputs operator()(const Inputs& in) const {
    Decoding run(in);
    return run.outputs("last_hidden_state", Model::operator()(run));
  }
};

/// transformers' GenericForSequenceClassification. The body lies at Model::base_model_prefix.
template <typename Model>
struct ForSequenceClassification : Module<typename Model::ConfigType> {
  using Module<typename Model::ConfigType>::Module;
  Model model{this->at(Model::base_model_prefix), this->c};
  Linear score{this->at("score"), this->c.hidden_size, this->c.num_labels, false};

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    Decoding run(in);
    return {{"logits", score(last_token(model(run), run.input_ids(), this->c.pad_token_id))}};
  }
};

/// transformers' GenericForTokenClassification.
template <typename Model>
struct ForTokenClassification : Module<typename Model::ConfigType> {
  using Module<typename Model::ConfigType>::Module;
  Model model{this->at(Model::base_model_prefix), this->c};
  Linear score{this->at("score"), this->c.hidden_size, this->c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, labels]
    Decoding run(in);
    return {{"logits", score(model(run))}};
  }
};

}  // namespace ferry::nn
