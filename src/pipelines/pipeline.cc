// One object for every task: transformers' JSON in and out.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "nn/task.h"

namespace ferry {

/// What a task does with JSON.
struct Pipeline::Runner {
  virtual ~Runner() = default;
  [[nodiscard]] virtual nlohmann::ordered_json run(const nlohmann::ordered_json& input,
                                                   const nlohmann::ordered_json& options) const = 0;
  /// All inputs at once, or nothing if the task has no such form for them.
  [[nodiscard]] virtual std::optional<std::vector<nlohmann::ordered_json>> run_batch(
      std::span<const nlohmann::ordered_json>, const nlohmann::ordered_json&) const {
    return std::nullopt;
  }
  [[nodiscard]] virtual const QuestionAnsweringPipeline* question_answering() const { return nullptr; }
  std::string task;
};

namespace {
using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(std::string_view task, std::string_view what) {
  throw Error(ErrorCode::usage, fmt::format("{}: {}", task, what));
}

// Options by name, each read once; what nobody asked for is refused.
class Options {
 public:
  Options(std::string_view task, const Json& json) : task_(task), json_(json) {
    if (!json.is_object() && !json.is_null()) refuse(task, "options are not a JSON object");
  }

  template <typename T>
  void read(const char* name, T& value) {
    known_.insert(name);
    const Json* found = find(name);
    if (found == nullptr) return;
    try {
      value = found->get<T>();
    } catch (const nlohmann::json::exception&) {
      refuse(task_, fmt::format("option \"{}\" has another type than it should", name));
    }
  }

  template <typename T>
  void read(const char* name, std::optional<T>& value) {
    known_.insert(name);
    if (json_.is_object() && json_.contains(name) && json_.at(name).is_null()) {
      value.reset();
    } else if (find(name) != nullptr) {
      T inner{};
      read(name, inner);
      value = inner;
    }
  }

  [[nodiscard]] bool has(const char* name) const { return json_.is_object() && json_.contains(name); }

  void check() const {
    if (!json_.is_object()) return;
    for (const auto& [name, value] : json_.items()) {
      if (known_.count(name) > 0) continue;
      const std::vector<std::string> names(known_.begin(), known_.end());
      throw Error(ErrorCode::usage, fmt::format("{}: there is no option \"{}\"", task_, printable(name)))
          .with_hint("options: " + join(names));
    }
  }

 private:
  const Json* find(const char* name) const {
    if (!json_.is_object()) return nullptr;
    const auto found = json_.find(name);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

  std::string_view task_;
  const Json& json_;
  std::set<std::string, std::less<>> known_;
};

std::string string_member(std::string_view task, const Json& input, const char* name) {
  const auto found = input.is_object() ? input.find(name) : input.end();
  if (!input.is_object() || found == input.end() || !found->is_string())
    refuse(task, fmt::format("the input has no text \"{}\"", name));
  return found->get<std::string>();
}

std::string text_of(std::string_view task, const Json& input) {
  return input.is_string() ? input.get<std::string>() : string_member(task, input, "text");
}

std::vector<std::string> strings_member(std::string_view task, const Json& input, const char* name) {
  const auto found = input.is_object() ? input.find(name) : input.end();
  const bool valid =
      input.is_object() && found != input.end() && found->is_array() &&
      std::all_of(found->begin(), found->end(), [](const Json& item) { return item.is_string(); });
  if (!valid) refuse(task, fmt::format("the input has no list of texts \"{}\"", name));
  return found->get<std::vector<std::string>>();
}

Json to_json(const Classification& result) {
  return {{"label", result.label}, {"score", result.score}};
}
Json to_json(const Answer& answer) {
  return {{"score", answer.score}, {"start", answer.start}, {"end", answer.end}, {"answer", answer.text}};
}

struct TextClassificationRunner final : Pipeline::Runner {
  explicit TextClassificationRunner(TextClassificationPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    TextClassificationOptions options;
    Options reader(task, given);
    reader.read("top_k", options.top_k);
    reader.read("function_to_apply", options.function_to_apply);
    reader.read("truncation", options.truncation);
    reader.check();
    options.function_to_apply = to_lower(options.function_to_apply);
    const std::string text = text_of(task, input);
    const bool pair = input.is_object() && input.contains("text_pair");
    const auto results =
        pair ? pipeline(text, string_member(task, input, "text_pair"), options) : pipeline(text, options);
    // Without top_k transformers gives the best alone, not a list.
    if (!reader.has("top_k")) return to_json(results.at(0));
    Json out = Json::array();
    for (const auto& result : results) out.push_back(to_json(result));
    return out;
  }
  TextClassificationPipeline pipeline;
};

struct QuestionAnsweringRunner final : Pipeline::Runner {
  explicit QuestionAnsweringRunner(QuestionAnsweringPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    QuestionAnsweringOptions options;
    Options reader(task, given);
    reader.read("top_k", options.top_k);
    reader.read("doc_stride", options.doc_stride);
    reader.read("max_answer_len", options.max_answer_len);
    reader.read("max_seq_len", options.max_seq_len);
    reader.read("handle_impossible_answer", options.handle_impossible_answer);
    reader.read("align_to_words", options.align_to_words);
    reader.check();
    const auto answers =
        pipeline({string_member(task, input, "question"), string_member(task, input, "context")}, options);
    if (answers.size() == 1) return to_json(answers[0]);
    Json out = Json::array();
    for (const auto& answer : answers) out.push_back(to_json(answer));
    return out;
  }
  [[nodiscard]] const QuestionAnsweringPipeline* question_answering() const override { return &pipeline; }
  QuestionAnsweringPipeline pipeline;
};

struct FillMaskRunner final : Pipeline::Runner {
  explicit FillMaskRunner(FillMaskPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    FillMaskOptions options;
    Options reader(task, given);
    reader.read("top_k", options.top_k);
    reader.read("targets", options.targets);
    reader.check();
    Json out = Json::array();
    for (const auto& row : pipeline(text_of(task, input), options)) {
      Json predictions = Json::array();
      for (const auto& p : row) {
        predictions.push_back(
            {{"score", p.score}, {"token", p.token}, {"token_str", p.token_str}, {"sequence", p.sequence}});
      }
      out.push_back(std::move(predictions));
    }
    return out.size() == 1 ? out[0] : out;
  }
  FillMaskPipeline pipeline;
};

AggregationStrategy aggregation_strategy(std::string_view task, const std::string& name) {
  const std::vector<std::string> names = {"none", "simple", "first", "average", "max"};
  const auto found = std::find(names.begin(), names.end(), to_lower(name));
  if (found == names.end())
    refuse(task, fmt::format("aggregation_strategy \"{}\" is not one of {}", printable(name), join(names)));
  return static_cast<AggregationStrategy>(found - names.begin());
}

struct TokenClassificationRunner final : Pipeline::Runner {
  explicit TokenClassificationRunner(TokenClassificationPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    TokenClassificationOptions options;
    std::string strategy = "none";
    Options reader(task, given);
    reader.read("aggregation_strategy", strategy);
    reader.read("ignore_labels", options.ignore_labels);
    reader.read("stride", options.stride);
    reader.check();
    options.aggregation_strategy = aggregation_strategy(task, strategy);
    Json out = Json::array();
    for (const auto& entity : pipeline(text_of(task, input), options)) {
      const bool grouped = options.aggregation_strategy != AggregationStrategy::none;
      Json row = {{grouped ? "entity_group" : "entity", entity.entity}, {"score", entity.score}};
      if (!grouped) row["index"] = entity.index;
      row["word"] = entity.word;
      row["start"] = entity.start;
      row["end"] = entity.end;
      out.push_back(std::move(row));
    }
    return out;
  }
  TokenClassificationPipeline pipeline;
};

// Nested lists of a tensor's numbers from axis `axis` on.
Json nested(std::span<const float>& values, const Dims& dims, size_t axis) {
  Json out = Json::array();
  for (int64_t i = 0; i < dims[axis]; ++i) {
    if (axis + 1 < dims.size()) {
      out.push_back(nested(values, dims, axis + 1));
    } else {
      out.push_back(values.front());
      values = values.subspan(1);
    }
  }
  return out;
}

struct FeatureExtractionRunner final : Pipeline::Runner {
  explicit FeatureExtractionRunner(FeatureExtractionPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    const std::vector<std::string> texts = {text_of(task, input)};
    const HostTensor features = pipeline(texts, read_options(given)).to_f32();
    auto values = features.as<float>();
    Json out = nested(values, features.dims, 0);
    // A sentence has one vector: not a list of one.
    return features.dims.size() == 2 ? out.at(0) : out;
  }

  std::optional<std::vector<Json>> run_batch(std::span<const Json> inputs, const Json& given) const override {
    const auto options = read_options(given);
    std::vector<std::string> texts;
    for (const Json& input : inputs) {
      if (!input.is_string()) return std::nullopt;
      texts.push_back(input.get<std::string>());
    }
    if (texts.size() < 2 || options.token_embeddings || !pipeline.gives_sentences()) return std::nullopt;
    const HostTensor features = pipeline(texts, options).to_f32();
    auto values = features.as<float>();
    Json rows = nested(values, features.dims, 0);
    return std::vector<Json>(std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
  }
  FeatureExtractionPipeline pipeline;

 private:
  [[nodiscard]] FeatureExtractionOptions read_options(const Json& given) const {
    FeatureExtractionOptions options;
    Options reader(task, given);
    reader.read("truncation", options.truncation);
    reader.read("token_embeddings", options.token_embeddings);
    reader.check();
    return options;
  }
};

struct ZeroShotRunner final : Pipeline::Runner {
  explicit ZeroShotRunner(ZeroShotClassificationPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    ZeroShotOptions options;
    std::vector<std::string> labels;
    Options reader(task, given);
    reader.read("candidate_labels", labels);
    reader.read("hypothesis_template", options.hypothesis_template);
    reader.read("multi_label", options.multi_label);
    reader.check();
    if (labels.empty() && input.is_object()) labels = strings_member(task, input, "candidate_labels");
    const std::string text = input.is_object() && input.contains("sequence")
                                 ? string_member(task, input, "sequence")
                                 : text_of(task, input);
    Json out = {{"sequence", text}, {"labels", Json::array()}, {"scores", Json::array()}};
    for (const auto& result : pipeline(text, labels, options)) {
      out["labels"].push_back(result.label);
      out["scores"].push_back(result.score);
    }
    return out;
  }
  ZeroShotClassificationPipeline pipeline;
};

struct TextRankingRunner final : Pipeline::Runner {
  explicit TextRankingRunner(TextRankingPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    Options(task, given).check();
    const auto documents = strings_member(task, input, "documents");
    Json out = Json::array();
    for (const auto& ranked : pipeline(string_member(task, input, "query"), documents)) {
      out.push_back(
          {{"corpus_id", ranked.index}, {"score", ranked.score}, {"text", documents[ranked.index]}});
    }
    return out;
  }
  TextRankingPipeline pipeline;
};

template <typename Runner, typename Pipe, typename Model>
std::shared_ptr<Pipeline::Runner> make(std::string_view folder, const LoadOptions& options) {
  Model model = Model::from_pretrained(folder, options);
  Tokenizer tokenizer = AutoTokenizer::from_pretrained(model.folder());
  return std::make_shared<Runner>(Pipe(std::move(tokenizer), std::move(model)));
}

using Maker = std::shared_ptr<Pipeline::Runner> (*)(std::string_view, const LoadOptions&);

const std::vector<std::pair<std::string, Maker>>& makers() {
  static const std::vector<std::pair<std::string, Maker>> table = {
      {"feature-extraction",
       make<FeatureExtractionRunner, FeatureExtractionPipeline, ORTModelForFeatureExtraction>},
      {"fill-mask", make<FillMaskRunner, FillMaskPipeline, ORTModelForMaskedLM>},
      {"question-answering",
       make<QuestionAnsweringRunner, QuestionAnsweringPipeline, ORTModelForQuestionAnswering>},
      {"text-classification",
       make<TextClassificationRunner, TextClassificationPipeline, ORTModelForSequenceClassification>},
      {"text-ranking", make<TextRankingRunner, TextRankingPipeline, ORTModelForSequenceClassification>},
      {"token-classification",
       make<TokenClassificationRunner, TokenClassificationPipeline, ORTModelForTokenClassification>},
      {"zero-shot-classification",
       make<ZeroShotRunner, ZeroShotClassificationPipeline, ORTModelForSequenceClassification>},
  };
  return table;
}

// transformers' other names for the same pipelines.
std::string pipeline_name(std::string_view task) {
  if (task == "sentiment-analysis") return "text-classification";
  if (task == "ner") return "token-classification";
  if (task == "zero-shot-classification") return std::string(task);
  return canonical_task(task);
}

}  // namespace

Answer Pipeline::operator()(const QuestionAnsweringInput& input,
                            const QuestionAnsweringOptions& options) const {
  const auto* qa = runner_->question_answering();
  if (qa == nullptr) refuse(runner_->task, "takes no question and context");
  auto answers = (*qa)(input, options);
  if (answers.empty()) refuse(runner_->task, "there is no answer");
  return std::move(answers.front());
}

Json Pipeline::operator()(const Json& input, const Json& options) const {
  return runner_->run(input, options);
}
std::string_view Pipeline::task() const {
  return runner_->task;
}

std::vector<Json> Pipeline::batch(std::span<const Json> inputs, const Json& options) const {
  try {
    if (auto results = runner_->run_batch(inputs, options)) return std::move(*results);
  } catch (const Error&) {
    // One of the inputs cannot be taken: the walk below says which.
  }
  std::vector<Json> out;
  for (const Json& input : inputs) {
    try {
      out.push_back(runner_->run(input, options));
    } catch (const Error& error) {
      out.push_back({{"error", error.what()}});
    }
  }
  return out;
}

Pipeline pipeline(std::string_view task, std::string_view model, const LoadOptions& options) {
  const std::string name = pipeline_name(task);
  std::vector<std::string> names;
  for (const auto& [known, maker] : makers()) {
    if (known == name) {
      auto runner = maker(model, options);
      runner->task = name;
      return Pipeline(std::move(runner));
    }
    names.push_back(known);
  }
  throw Error(ErrorCode::unsupported, fmt::format("there is no pipeline for the task {}", printable(task)))
      .with_hint("pipelines: " + join(names));
}

}  // namespace ferry
