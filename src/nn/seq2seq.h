#pragma once
// What encoders with decoders share: the files that their tasks are exported to, and the signatures of those.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nn/decoder.h"

namespace ferry::nn {

/// What the inputs of an encoder with a decoder depend on.
struct Seq2SeqSignature {
  /// Of the encoder. With an attention_mask among them, the decoder gets an encoder_attention_mask.
  std::vector<InputSpec> encoder;
  int64_t encoder_size = 0;        ///< The last dimension of the encoder's results.
  int64_t vocab_size = 0;          ///< Of the decoder.
  int64_t layers = 0;              ///< Of the decoder.
  int64_t heads = 0;               ///< In the decoder's cache.
  int64_t head_dim = 0;            ///< Likewise.
  int64_t max_length = 0;          ///< The longest text of the decoder, cache included; 0: any.
  int64_t max_encoder_length = 0;  ///< Of the encoder's results; 0: any.
  Cache cache = Cache::tokens_and_encoder;
  /// Whether a single file gives the encoder's results, too.
  bool encoder_last_hidden_state = false;
};

/// input_ids and attention_mask over [batch_size, encoder_sequence_length].
std::vector<InputSpec> encoder_text_inputs(int64_t vocab_size, int64_t max_length);

/// A model as its parts see it; definitions are templates over their own configuration.
struct Seq2SeqModel {
  std::function<Seq2SeqSignature(const AnyConfig&)> signature;
  /// The inputs of the signature -> [B, E, encoder_size]
  std::function<Tensor(const Scope& root, const AnyConfig&, const Inputs&)> encode;
  /// -> [B, S, ...]
  std::function<Tensor(const Scope& root, const AnyConfig&, Decoding&)> decode;
  std::string result;  ///< What the decoder gives: "logits".
};

/// The files of a task: with a cache, encoder_model.onnx, decoder_model.onnx, decoder_with_past_model.onnx;
/// without, the first two, or model.onnx for feature-extraction. Source: optimum-onnx 0.1.0,
/// exporters/onnx/config.py TextSeq2SeqOnnxConfig, AudioToTextOnnxConfig.
TaskEntry seq2seq_task(std::string task, std::string hf_class, const Seq2SeqModel& model);

/// What seq2seq_task() asks for, from a Module with encode(Inputs) -> Tensor and decode(Decoding&) -> Tensor,
/// that lies at `place`.
template <typename Model, typename C = typename Model::ConfigType>
Seq2SeqModel seq2seq_model(std::function<Seq2SeqSignature(const C&)> signature, std::string result,
                           const std::string& place = "") {
  const auto typed = [](const AnyConfig& config) -> const C& { return *static_cast<const C*>(config.get()); };
  const auto model = [typed, place](const Scope& root, const AnyConfig& config) {
    return Model(place.empty() ? root : root / place, typed(config));
  };
  return {
      [signature = std::move(signature), typed](const AnyConfig& c) { return signature(typed(c)); },
      [model](const Scope& root, const AnyConfig& c, const Inputs& in) { return model(root, c).encode(in); },
      [model](const Scope& root, const AnyConfig& c, Decoding& run) { return model(root, c).decode(run); },
      std::move(result)};
}

/// The tasks of a body and of the same with a language model's head, each with and without a cache. The
/// configuration has signature().
template <typename Body, typename LanguageModel, typename C>
void add_seq2seq_tasks(ArchBuilder<C>& arch, const std::string& prefix, const std::string& body_class,
                       const std::string& lm_class, const std::string& lm_task) {
  const std::function<Seq2SeqSignature(const C&)> signature = [](const C& c) { return c.signature(); };
  for (const std::string past : {"", "-with-past"}) {
    arch.add(seq2seq_task("feature-extraction" + past, body_class,
                          seq2seq_model<Body, C>(signature, "last_hidden_state", prefix)));
    arch.add(seq2seq_task(lm_task + past, lm_class, seq2seq_model<LanguageModel, C>(signature, "logits")));
  }
}

}  // namespace ferry::nn
