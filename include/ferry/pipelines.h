#pragma once
// From text to answer: transformers' pipelines over exported folders.
//
//   auto qa = ferry::pipeline("question-answering", "out/");
//   auto answer = qa({.question = "What am I using?", .context = "Using DistilBERT with ONNX Runtime!"});
//   answer.text;   // "DistilBERT with ONNX Runtime"
//
// Results equal those of transformers 4.57.6 on the same folder. All pipelines may be called from several
// threads. Errors: those of AutoTokenizer and ORTModel; Error{usage} for inputs that a pipeline cannot take.
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/generation.h"
#include "ferry/modeling.h"
#include "ferry/seq2seq.h"
#include "ferry/tokenizer.h"

namespace ferry {

/// A label with its probability, or raw score where the model's problem_type asks for none.
struct Classification {
  std::string label;
  float score = 0;
};

struct TextClassificationOptions {
  std::optional<int64_t> top_k = 1;  ///< Nothing: all labels, best first.
  std::string
      function_to_apply;    ///< "sigmoid", "softmax", "none"; "": as the configuration's problem_type says.
  bool truncation = false;  ///< Cut texts that are longer than the model takes.
};
class TextClassificationPipeline {
 public:
  TextClassificationPipeline(Tokenizer tokenizer, ORTModelForSequenceClassification model);
  [[nodiscard]] std::vector<Classification> operator()(std::string_view text,
                                                       const TextClassificationOptions& options = {}) const;
  [[nodiscard]] std::vector<Classification> operator()(std::string_view text, std::string_view text_pair,
                                                       const TextClassificationOptions& options = {}) const;

 private:
  Tokenizer tokenizer_;
  std::shared_ptr<const ORTModelForSequenceClassification> model_;
};

struct QuestionAnsweringInput {
  std::string question;
  std::string context;
};
struct QuestionAnsweringOptions {
  int64_t top_k = 1;
  int64_t doc_stride =
      0;  ///< Tokens that neighbouring spans of a long context share; 0: min(max_seq_len / 2, 128).
  int64_t max_answer_len = 15;
  int64_t max_seq_len = 0;  ///< Tokens of question and span; 0: min(model_max_length, 384).
  bool handle_impossible_answer = false;
  bool align_to_words = true;
};
struct Answer {
  std::string text;
  float score = 0;
  uint32_t start = 0, end = 0;  ///< Code points of the context.
};
class QuestionAnsweringPipeline {
 public:
  QuestionAnsweringPipeline(Tokenizer tokenizer, ORTModelForQuestionAnswering model);
  /// The best answers, best first; at most top_k.
  [[nodiscard]] std::vector<Answer> operator()(const QuestionAnsweringInput& input,
                                               const QuestionAnsweringOptions& options = {}) const;

 private:
  Tokenizer tokenizer_;
  std::shared_ptr<const ORTModelForQuestionAnswering> model_;
};

struct FillMaskOptions {
  int64_t top_k = 5;
  std::vector<std::string> targets;  ///< Only these tokens; empty: the whole vocabulary.
};
struct MaskPrediction {
  float score = 0;
  uint32_t token = 0;
  std::string token_str;
  std::string sequence;  ///< The text with the token in the mask's place.
};
class FillMaskPipeline {
 public:
  FillMaskPipeline(Tokenizer tokenizer, ORTModelForMaskedLM model);
  /// For each mask of the text, its predictions, best first.
  [[nodiscard]] std::vector<std::vector<MaskPrediction>> operator()(
      std::string_view text, const FillMaskOptions& options = {}) const;

 private:
  Tokenizer tokenizer_;
  std::shared_ptr<const ORTModelForMaskedLM> model_;
};

enum class AggregationStrategy : uint8_t { none, simple, first, average, max };
struct TokenClassificationOptions {
  AggregationStrategy aggregation_strategy = AggregationStrategy::none;
  std::vector<std::string> ignore_labels = {"O"};
  std::optional<uint64_t> stride;  ///< Tokens that chunks of a long text share; nothing: a long text is cut.
};
struct Entity {
  std::string entity;  ///< The label, or with aggregation the group ("PER" of "B-PER").
  float score = 0;
  int64_t index = -1;  ///< Of the token; -1 with aggregation.
  std::string word;
  uint32_t start = 0, end = 0;  ///< Code points.
};
class TokenClassificationPipeline {
 public:
  TokenClassificationPipeline(Tokenizer tokenizer, ORTModelForTokenClassification model);
  [[nodiscard]] std::vector<Entity> operator()(std::string_view text,
                                               const TokenClassificationOptions& options = {}) const;

 private:
  Tokenizer tokenizer_;
  std::shared_ptr<const ORTModelForTokenClassification> model_;
};

struct FeatureExtractionOptions {
  bool truncation = true;
  bool token_embeddings = false;  ///< One vector a token even where the folder gives one a sentence.
};
class FeatureExtractionPipeline {
 public:
  FeatureExtractionPipeline(Tokenizer tokenizer, ORTModelForFeatureExtraction model);
  /// f32[1, S, H], or f32[B, D] of a sentence-transformers folder.
  [[nodiscard]] HostTensor operator()(std::span<const std::string> texts,
                                      const FeatureExtractionOptions& options = {}) const;
  /// Whether the model gives one vector a sentence.
  [[nodiscard]] bool gives_sentences() const;

 private:
  Tokenizer tokenizer_;
  std::shared_ptr<const ORTModelForFeatureExtraction> model_;
};

struct ZeroShotOptions {
  std::string hypothesis_template = "This example is {}.";
  bool multi_label = false;
};
class ZeroShotClassificationPipeline {
 public:
  ZeroShotClassificationPipeline(Tokenizer tokenizer, ORTModelForSequenceClassification model);
  /// The labels, likeliest first. The model was trained on natural language inference: one of its labels
  /// begins with "entail".
  [[nodiscard]] std::vector<Classification> operator()(std::string_view text,
                                                       std::span<const std::string> candidate_labels,
                                                       const ZeroShotOptions& options = {}) const;

 private:
  Tokenizer tokenizer_;
  std::shared_ptr<const ORTModelForSequenceClassification> model_;
};

struct RankedDocument {
  size_t index = 0;
  float score = 0;
};
/// Cross-encoders: how well each document answers a query, as CrossEncoder.rank() of sentence-transformers.
class TextRankingPipeline {
 public:
  /// What becomes of a score is what the configuration says ("activation_fn"), else the sigmoid. Errors:
  /// Error{unsupported} for another function of torch's than Identity, Sigmoid, Tanh and ReLU.
  TextRankingPipeline(Tokenizer tokenizer, ORTModelForSequenceClassification model);
  /// Best first; equal ones in order. Pairs are cut to the length that the model takes. Errors:
  /// Error{usage} if the model has more than one label.
  [[nodiscard]] std::vector<RankedDocument> operator()(std::string_view query,
                                                       std::span<const std::string> documents) const;

 private:
  Tokenizer tokenizer_;
  std::shared_ptr<const ORTModelForSequenceClassification> model_;
  std::string activation_;
  std::optional<uint64_t> max_length_;
};

struct TextGenerationOptions {
  std::string prefix;              ///< Before the prompt; no part of the result.
  bool return_full_text = true;    ///< The prompt before what was generated.
  bool add_special_tokens = true;  ///< A chat's template has its own.
  bool truncation = false;         ///< Cut prompts that are longer than the tokenizer's model_max_length.
  bool skip_special_tokens = true;
  bool clean_up_tokenization_spaces = true;
  std::optional<uint64_t> seed;
  std::function<void(std::string_view)> stream;  ///< New text as it comes, of one sequence.
};
struct GeneratedText {
  std::string text;
  std::vector<int64_t> token_ids;  ///< The prompt's, too.
};
class TextGenerationPipeline {
 public:
  TextGenerationPipeline(Tokenizer tokenizer, ORTModelForCausalLM model);
  /// What the pipeline does unless told otherwise: 256 new tokens sampled at temperature 0.7, and what the
  /// folder says besides. Fewer where the model has no room for as many.
  [[nodiscard]] const GenerationConfig& generation_config() const { return config_; }
  /// num_return_sequences results. A prompt without tokens is the beginning token, where the model has one.
  [[nodiscard]] std::vector<GeneratedText> operator()(std::string_view prompt, const GenerationConfig& config,
                                                      const TextGenerationOptions& options = {}) const;
  [[nodiscard]] std::vector<GeneratedText> operator()(std::string_view prompt,
                                                      const TextGenerationOptions& options = {}) const {
    return (*this)(prompt, config_, options);
  }
  [[nodiscard]] const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  Tokenizer tokenizer_;
  std::shared_ptr<const ORTModelForCausalLM> model_;
  GenerationConfig config_;
};

struct Text2TextGenerationOptions {
  bool truncation = false;                           ///< Cut texts that are longer than the model takes.
  std::optional<bool> clean_up_tokenization_spaces;  ///< Nothing: as the tokenizer says.
  std::optional<uint64_t> seed;
};
/// Text to text: "text2text-generation", "summarization", "translation". The task decides what the
/// configuration's task_specific_params say: a prefix, lengths.
class Text2TextGenerationPipeline {
 public:
  Text2TextGenerationPipeline(Tokenizer tokenizer, ORTModelForSeq2SeqLM model,
                              const std::string& task = "text2text-generation");
  /// What the pipeline does unless told otherwise: what the folder says, else four beams and 256 tokens,
  /// which go before a max_length that the task or the caller names, as in transformers.
  [[nodiscard]] const GenerationConfig& generation_config() const { return config_; }
  /// num_return_sequences results.
  [[nodiscard]] std::vector<GeneratedText> operator()(std::string_view text, const GenerationConfig& config,
                                                      const Text2TextGenerationOptions& options = {}) const;
  [[nodiscard]] std::vector<GeneratedText> operator()(std::string_view text,
                                                      const Text2TextGenerationOptions& options = {}) const {
    return (*this)(text, config_, options);
  }

 private:
  Tokenizer tokenizer_;
  ORTModelForSeq2SeqLM model_;
  GenerationConfig config_;
  std::string prefix_;
};

/// Any of the pipelines, by the name of its task; inputs and results as transformers' JSON.
class Pipeline {
 public:
  struct Runner;
  explicit Pipeline(std::shared_ptr<const Runner> runner) : runner_(std::move(runner)) {}

  /// question-answering alone: the best answer. Errors: Error{usage} for another task, or if there is no
  /// answer.
  [[nodiscard]] Answer operator()(const QuestionAnsweringInput& input,
                                  const QuestionAnsweringOptions& options = {}) const;
  /// A text, or an object of the task's inputs ({"question", "context"}, {"text", "text_pair"}, ...), with
  /// options of the names that transformers uses ({"top_k": 3}). Errors: Error{usage} that names an unknown
  /// option.
  [[nodiscard]] nlohmann::ordered_json operator()(const nlohmann::ordered_json& input,
                                                  const nlohmann::ordered_json& options) const;
  /// text-generation alone: as above, and the new text as it comes. Errors: Error{usage} for another task.
  nlohmann::ordered_json stream(const nlohmann::ordered_json& input, const nlohmann::ordered_json& options,
                                const std::function<void(std::string_view)>& write) const;
  /// One result an input, in order. An input that cannot be taken gives {"error": message} in its place; the
  /// others are not affected. Sentence embeddings are computed for the whole batch at once, everything else
  /// one after the other.
  [[nodiscard]] std::vector<nlohmann::ordered_json> batch(std::span<const nlohmann::ordered_json> inputs,
                                                          const nlohmann::ordered_json& options) const;
  [[nodiscard]] std::string_view task() const;

 private:
  std::shared_ptr<const Runner> runner_;
};

/// The tasks that have a pipeline, sorted.
std::vector<std::string> pipeline_tasks();

/// Opens tokenizer and model of a folder or hub id. Tasks: those of
/// pipeline_tasks() and transformers' other names of them (sentiment-analysis, ner). Errors:
/// Error{unsupported} that lists them.
Pipeline pipeline(std::string_view task, std::string_view model, const LoadOptions& options = {});

}  // namespace ferry
