#pragma once
// What an architecture gives to composites, models of an encoder and a decoder that are architectures of
// their own (encoder-decoder, vision-encoder-decoder): one line of a row makes it the encoder or the decoder
// of all.
#include <memory>
#include <string>
#include <type_traits>

#include "nn/seq2seq.h"

namespace ferry::nn {

/// A body as an encoder.
struct EncoderSide {
  std::string main_input;  ///< "input_ids", with attention_mask; or "pixel_values"
  std::function<int64_t(const AnyConfig&)> size;
  /// Of the body at `place`, from these inputs: [B, E, size]
  std::function<Tensor(const Scope& place, const AnyConfig&, const Inputs&)> states;
};

/// A language model as a decoder with cross attention.
struct DecoderSide {
  /// Without an encoder's inputs; encoder_size is that of the states that keys are made of.
  /// Errors: Error{invalid_config} for one without cross attention.
  std::function<Seq2SeqSignature(const AnyConfig&)> signature;
  /// Of the language model at `place`: [B, S, vocab]
  std::function<Tensor(const Scope& place, const AnyConfig&, Decoding&)> logits;
};

/// `Body` is a Module whose first output is its last hidden states, of `size`, hidden_size if not given.
template <typename Body, typename C = typename Body::ConfigType>
std::shared_ptr<const EncoderSide> encoder_side(
    std::string main_input,
    std::type_identity_t<int64_t (*)(const C&)> size = [](const C& c) { return c.hidden_size; }) {
  return std::make_shared<const EncoderSide>(
      EncoderSide{std::move(main_input),
                  [size](const AnyConfig& config) { return size(*static_cast<const C*>(config.get())); },
                  [](const Scope& place, const AnyConfig& config, const Inputs& in) {
                    return Body(place, *static_cast<const C*>(config.get()))(in).front().second;
                  }});
}

/// `LanguageModel` is a Module with logits(Decoding&) -> Tensor; its configuration has decoder_side(), the
/// signature.
template <typename LanguageModel, typename C = typename LanguageModel::ConfigType>
std::shared_ptr<const DecoderSide> decoder_side() {
  return std::make_shared<const DecoderSide>(
      DecoderSide{[](const AnyConfig& config) { return static_cast<const C*>(config.get())->decoder_side(); },
                  [](const Scope& place, const AnyConfig& config, Decoding& run) {
                    return LanguageModel(place, *static_cast<const C*>(config.get())).logits(run);
                  }});
}

/// Errors: Error{invalid_config} unless a decoder's configuration gives it cross attention.
void require_cross_attention(bool has_it, const char* keys);

}  // namespace ferry::nn
