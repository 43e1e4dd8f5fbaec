#pragma once
// Encoders with decoders: texts, recordings or pictures in, text out.
//
//   auto tokenizer = ferry::AutoTokenizer::from_pretrained("out/");
//   auto model = ferry::ORTModelForSeq2SeqLM::from_pretrained("out/");
//   auto output = model.generate(tokenizer("translate English to German: How old are you?"));
//   tokenizer.decode(output.tokens(0), {.skip_special_tokens = true});
#include <memory>
#include <string>
#include <string_view>

#include "ferry/generation.h"

namespace ferry {

/// What the three have in common.
///
/// Inputs    those of encoder_model.onnx (input_ids and attention_mask i64[B, E]; input_features f32[B, mels,
///           frames]; pixel_values f32[B, C, H, W]); decoder_input_ids i64[B, S], if the text is to begin
///           with other tokens than decoder_start_token_id
/// Folders   Those of Optimum and ferry: encoder_model.onnx with decoder_model_merged.onnx, or with
///           decoder_model.onnx and decoder_with_past_model.onnx, or with decoder_model.onnx alone, which
///           computes all tokens again at each step
/// Errors    those of ORTModel and of ORTModelForCausalLM::generate; Error{usage} where no token is known to
///           begin with
/// Threads   generate is const and may be called from several threads at once
/// Source    optimum-onnx 0.1.0, modeling_seq2seq.py; transformers 4.57.6, generation/utils.py
class ORTModelForConditionalGeneration {
 public:
  [[nodiscard]] GenerateOutput generate(const ModelInputs& inputs, const GenerationConfig& config,
                                        const GenerateOptions& options = {}) const;
  [[nodiscard]] GenerateOutput generate(const ModelInputs& inputs) const {
    return generate(inputs, generation_config());
  }
  /// As the folder says.
  [[nodiscard]] const GenerationConfig& generation_config() const;
  /// config.json as text; "{}" if there is none.
  [[nodiscard]] const std::string& config_json() const;
  [[nodiscard]] const std::filesystem::path& folder() const;

 protected:
  ORTModelForConditionalGeneration(std::string_view model, const LoadOptions& options, std::string_view task);

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// T5, BART, Marian: text to text.
class ORTModelForSeq2SeqLM : public ORTModelForConditionalGeneration {
 public:
  static ORTModelForSeq2SeqLM from_pretrained(std::string_view model, const LoadOptions& options = {}) {
    return {model, options, "text2text-generation-with-past"};
  }

 private:
  using ORTModelForConditionalGeneration::ORTModelForConditionalGeneration;
};

/// Whisper: recordings to text.
class ORTModelForSpeechSeq2Seq : public ORTModelForConditionalGeneration {
 public:
  static ORTModelForSpeechSeq2Seq from_pretrained(std::string_view model, const LoadOptions& options = {}) {
    return {model, options, "automatic-speech-recognition-with-past"};
  }

 private:
  using ORTModelForConditionalGeneration::ORTModelForConditionalGeneration;
};

/// TrOCR: pictures to text.
class ORTModelForVision2Seq : public ORTModelForConditionalGeneration {
 public:
  static ORTModelForVision2Seq from_pretrained(std::string_view model, const LoadOptions& options = {}) {
    return {model, options, "image-to-text-with-past"};
  }

 private:
  using ORTModelForConditionalGeneration::ORTModelForConditionalGeneration;
};

}  // namespace ferry
