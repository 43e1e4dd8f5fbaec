#pragma once
// Text generation with exported decoders: Optimum's ORTModelForCausalLM and transformers' generate().
//
//   auto tokenizer = ferry::AutoTokenizer::from_pretrained("out/");
//   auto model = ferry::ORTModelForCausalLM::from_pretrained("out/");
//   auto config = model.generation_config();
//   config.max_new_tokens = 20;
//   auto output = model.generate(tokenizer("Once upon a time"), config);
//   tokenizer.decode(output.tokens(0), {.skip_special_tokens = true});
//
// Greedy and beam search give the tokens that transformers 4.57.6 gives; sampling draws from the same
// distribution, with random numbers of its own.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferry/modeling.h"
#include "ferry/tokenizer.h"

namespace ferry {

enum class EarlyStopping : uint8_t { no, yes, never };

/// transformers' GenerationConfig: its names, defaults and meaning.
struct GenerationConfig {
  // How long
  std::optional<int64_t> max_length;      ///< Tokens, the prompt included; nothing: 20 more than the prompt.
  std::optional<int64_t> max_new_tokens;  ///< Goes before max_length.
  int64_t min_length = 0;
  std::optional<int64_t> min_new_tokens;
  std::optional<double> max_time;                    ///< Seconds.
  std::vector<std::string> stop_strings;             ///< Need GenerateOptions::tokenizer.
  EarlyStopping early_stopping = EarlyStopping::no;  ///< Of beam search.

  // How tokens are chosen
  bool do_sample = false;
  int64_t num_beams = 1;
  int64_t num_beam_groups = 1;  ///< More than 1: diverse beam search.
  double diversity_penalty = 0;
  double length_penalty = 1;
  int64_t num_return_sequences = 1;
  std::optional<int64_t> prefill_chunk_size;  ///< Tokens of the prompt that are computed at once.

  // Sampling
  double temperature = 1;
  int64_t top_k = 50;  ///< 0: all.
  double top_p = 1;
  std::optional<double> min_p;
  double typical_p = 1;
  double epsilon_cutoff = 0;
  double eta_cutoff = 0;

  // Scores
  double repetition_penalty = 1;
  double encoder_repetition_penalty = 1;
  int64_t no_repeat_ngram_size = 0;
  int64_t encoder_no_repeat_ngram_size = 0;
  std::vector<std::vector<int64_t>> bad_words_ids;
  std::vector<std::pair<std::vector<int64_t>, double>> sequence_bias;
  std::vector<int64_t> suppress_tokens;
  std::vector<int64_t> begin_suppress_tokens;
  std::optional<int64_t> forced_bos_token_id;
  std::vector<int64_t> forced_eos_token_id;
  std::optional<std::pair<int64_t, double>> exponential_decay_length_penalty;  ///< Start, factor.
  bool remove_invalid_values = false;
  bool renormalize_logits = false;

  // Special tokens
  std::optional<int64_t> pad_token_id;
  std::optional<int64_t> bos_token_id;
  std::vector<int64_t> eos_token_id;  ///< Each of them ends a sequence.
  std::optional<int64_t> decoder_start_token_id;

  /// Reads generation_config.json of a model's folder, or where there is none the same names in config.json.
  /// A name of generation_config.json that means nothing is warned of.
  /// Errors: Error{invalid_file}; Error{invalid_config} for a value of the wrong kind; Error{unsupported} for
  /// a strategy that is not built (contrastive search, constraints, watermarks, ...), by its name.
  static GenerationConfig from_pretrained(const std::filesystem::path& folder, const Log* log = nullptr);
  /// Sets what a JSON object names; null is the default of a name. `what` begins error messages. Gives back
  /// the names that it does not know. Errors: as from_pretrained, Error{usage} instead of invalid_config.
  std::vector<std::string> update(std::string_view json, std::string_view what = "options");
  /// Errors: Error{usage} for values out of range or that contradict each other.
  void validate() const;
};

/// The beginning of one sequence, as processors and criteria see it.
struct Hypothesis {
  size_t input = 0;              ///< The row of the prompt.
  std::span<const int64_t> ids;  ///< The prompt and what was generated so far; a decoder's own tokens.
};
/// Changes the scores of the next token in place: logits, in beam search log probabilities.
using LogitsProcessor = std::function<void(const Hypothesis&, std::span<float> scores)>;
/// True ends the sequence, its last token included.
using StoppingCriteria = std::function<bool(const Hypothesis&)>;

/// What belongs to one call of generate() rather than to a configuration.
struct GenerateOptions {
  std::optional<uint64_t> seed;  ///< The same seed gives the same samples. Nothing: others each time.
  std::vector<LogitsProcessor> logits_processor;    ///< After those of the configuration.
  std::vector<StoppingCriteria> stopping_criteria;  ///< Besides those of the configuration.
  /// The tokens that may follow; the others get -inf.
  std::function<std::vector<int64_t>(const Hypothesis&)> prefix_allowed_tokens_fn;
  /// Sees the scores that the next token of a sequence is chosen by, after all that changes them.
  std::function<void(const Hypothesis&, std::span<const float> scores)> observer;
  /// Called after each step with the next token of every sequence. Not for beam search.
  std::function<void(std::span<const int64_t> tokens)> streamer;
  const Tokenizer* tokenizer = nullptr;  ///< For stop_strings; must outlive the call.
};

/// num_return_sequences rows for each row of the prompt, in its order.
struct GenerateOutput {
  std::vector<std::vector<int64_t>> sequences;  ///< All of one length: shorter ones end in pad_token_id.
  std::vector<float> sequences_scores;          ///< Of beam search: log probability by length_penalty.
  size_t prompt_length = 0;                     ///< What of each sequence is the prompt; 1 for decoders that
                                                ///< begin with decoder_start_token_id.
  /// A sequence as a tokenizer takes it.
  [[nodiscard]] std::vector<uint32_t> tokens(size_t row) const;
  /// What was generated alone.
  [[nodiscard]] std::vector<uint32_t> new_tokens(size_t row) const;
};

/// A decoder that continues its input.
///
/// Inputs    input_ids i64[B, S], S >= 1; attention_mask i64[B, S], padding on the left; without a mask,
///           tokens equal to pad_token_id are padding. position_ids and a cache that are missing are made.
/// Folders   Those of Optimum and ferry: model.onnx with or without position_ids and cache (without one each
///           step computes all tokens again), older decoder_model_merged.onnx, decoder_model.onnx
/// Errors    those of ORTModel; Error{usage} for a prompt that is empty, longer than the model takes, or has
///           ids beyond its vocabulary, for lengths that the model cannot reach; Error{unsupported} for a
///           cache of another layout
/// Threads   generate is const and may be called from several threads at once
/// Source    transformers 4.57.6, generation/utils.py; optimum-onnx 0.1.0, modeling_decoder.py
class ORTModelForCausalLM : public ORTModel {
 public:
  struct Output {
    HostTensor logits;                          ///< f32[B, S, vocabulary]
    std::map<std::string, HostTensor> present;  ///< "present.0.key", ... if the graph has a cache.
  };
  static ORTModelForCausalLM from_pretrained(std::string_view model, const LoadOptions& options = {});

  /// One run of the graph.
  [[nodiscard]] Output operator()(const ModelInputs& inputs) const;
  [[nodiscard]] GenerateOutput generate(const ModelInputs& inputs, const GenerationConfig& config,
                                        const GenerateOptions& options = {}) const;
  [[nodiscard]] GenerateOutput generate(const ModelInputs& inputs) const {
    return generate(inputs, generation_config());
  }
  /// As the folder says.
  [[nodiscard]] const GenerationConfig& generation_config() const { return generation_config_; }

 private:
  ORTModelForCausalLM(std::string_view model, const LoadOptions& options);
  GenerationConfig generation_config_;
};

/// Text for people as tokens arrive: hand its function to GenerateOptions::streamer. For one sequence.
/// Source    transformers 4.57.6, generation/streamers.py, TextStreamer with skip_prompt
class TextStreamer {
 public:
  TextStreamer(const Tokenizer& tokenizer, std::function<void(std::string_view text)> write,
               bool skip_special_tokens = true)
      : stream_(tokenizer.decode_stream(skip_special_tokens)), write_(std::move(write)) {}
  void operator()(std::span<const int64_t> tokens);

 private:
  DecodeStream stream_;
  std::function<void(std::string_view)> write_;
};

}  // namespace ferry
