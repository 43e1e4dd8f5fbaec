#include "nn/encoder.h"

namespace ferry::nn {
namespace op = ir::op;

Tensor positions_without_padding(const Tensor& input_ids, int64_t pad_token_id) {
  const Tensor pad = op::scalar(input_ids.graph(), pad_token_id);
  const Tensor is_text = op::cast(op::unary("Not", op::emit("Equal", {input_ids, pad})), DType::i64);
  const Tensor counted = op::emit("CumSum", {is_text, op::scalar(input_ids.graph(), int64_t{1})});
  return op::add(counted * is_text, static_cast<double>(pad_token_id));
}

Tensor vocabulary_logits(const Scope& place, const Embedding& embeddings, bool tied, int64_t vocab_size,
                         int64_t width, const Tensor& x) {
  const auto named = (place / "decoder").named();
  const Tensor logits = tied ? embeddings.project(x) : Linear(place / "decoder", width, vocab_size, false)(x);
  place.ignore("decoder");
  place.ignore("bias");
  // 4.x keeps one bias under either name; an untied checkpoint of 5.x has both and adds the decoder's.
  const bool decoder_bias = place.has("decoder.bias") && (!tied || !place.has("bias"));
  return logits + place.parameter(decoder_bias ? "decoder.bias" : "bias", {vocab_size});
}

ClassificationHead::ClassificationHead(const Scope& scope, int64_t hidden_size, int64_t labels,
                                       std::string function)
    : scope_(scope),
      dense_(scope / "dense", hidden_size, hidden_size),
      out_proj_(scope / "out_proj", hidden_size, labels),
      function_(std::move(function)) {}

Tensor ClassificationHead::operator()(const Tensor& hidden) const {
  const auto named = scope_.named();
  return out_proj_(activation(function_, dense_(select(hidden, 1, 0))));
}

}  // namespace ferry::nn
