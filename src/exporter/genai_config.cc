#include "exporter/genai_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "exporter/decoder_cache.h"

namespace ferry::exporter {
namespace {
using Json = nlohmann::ordered_json;

constexpr std::string_view kPast = "past_key_values";
constexpr int64_t kLongestOfUnlimited = 2048;

// Decoders that GenAI knows by name and runs as any other. The rest is "decoder"; so is GPT-2, for which it
// expects a cache of keys and values in one tensor.
constexpr std::array kTypes = {"gemma", "gemma2", "gemma3_text", "llama", "mistral", "olmo",
                               "phi",   "phi3",   "qwen2",       "qwen3", "smollm3"};

// A JSON object and what messages call it.
struct Named {
  Json json = Json::object();
  std::string name;

  [[nodiscard]] const Json* find(const char* key) const {
    const auto found = json.find(key);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  }
  [[noreturn]] void refuse(const char* key, const char* wanted) const {
    throw Error(ErrorCode::invalid_config, fmt::format("{}: \"{}\" is {}, not {}", name, key,
                                                       printable(json.at(key).dump(), 80), wanted));
  }
  [[nodiscard]] std::optional<int64_t> integer(std::initializer_list<const char*> keys) const {
    for (const char* key : keys) {
      const Json* value = find(key);
      if (value == nullptr) continue;
      if (!value->is_number_integer()) refuse(key, "a whole number");
      return value->get<int64_t>();
    }
    return std::nullopt;
  }
};

Named generation_config_of(const ModelSource& source) {
  for (const auto& folder : {source.folder, source.root}) {
    const auto file = folder / "generation_config.json";
    if (!ferry::is_regular_file(file)) continue;
    Named out{read_json(file), printable(file.string())};
    if (!out.json.is_object())
      throw Error(ErrorCode::invalid_config, fmt::format("{}: not a JSON object", out.name));
    return out;
  }
  return {Json::object(), "generation_config.json"};
}

bool are_tokens(const Json& value) {
  const auto is_token = [](const Json& token) { return token.is_number_integer(); };
  return is_token(value) || (value.is_array() && std::all_of(value.begin(), value.end(), is_token));
}

class GenaiConfig {
 public:
  GenaiConfig(const ModelSource& source, const ir::Graph& graph, const std::string& file)
      : graph_(graph),
        file_(file),
        type_(source.model_type),
        config_{*source.config, printable((source.folder / "config.json").string())},
        generation_(generation_config_of(source)) {
    for (const ir::Value* input : graph.inputs) {
      if (starts_with(input->name, kPast)) pasts_.push_back(input);
    }
    check_internal(!pasts_.empty(), "a decoder without a cache");
    vocabulary_ = size_of(*output("logits"), 2);
  }

  Json make() {
    const int64_t context = context_length();
    Json model = Json::object();
    set_token(model, "bos_token_id");
    model["context_length"] = context;
    model["decoder"] = decoder();
    set_end(model);
    set_token(model, "pad_token_id");
    if (!model.contains("pad_token_id") && model.contains("eos_token_id")) {
      const Json& eos = model.at("eos_token_id");
      model["pad_token_id"] = eos.is_array() ? eos.front() : eos;
    }
    model["type"] = std::find(kTypes.begin(), kTypes.end(), type_) != kTypes.end() ? type_ : "decoder";
    model["vocab_size"] = vocabulary_;
    return {{"model", model}, {"search", search(context)}};
  }

 private:
  [[nodiscard]] const ir::Value* output(const std::string& name) const {
    for (const ir::Value* value : graph_.outputs) {
      if (value->name == name) return value;
    }
    throw Error(ErrorCode::unsupported, fmt::format("--genai-config: the model gives no {}", name));
  }

  static int64_t size_of(const ir::Value& value, size_t axis) {
    const auto size = value.shape && axis < value.rank() ? (*value.shape)[axis].constant() : std::nullopt;
    if (!size) {
      throw Error(ErrorCode::unsupported, fmt::format("--genai-config: axis {} of {} has no fixed size", axis,
                                                      printable(value.name)));
    }
    return *size;
  }

  [[nodiscard]] int64_t context_length() const {
    const auto longest =
        config_.integer({"max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"});
    return longest.value_or(0) > 0 ? *longest : kLongestOfUnlimited;
  }

  // GenAI refuses a model with special tokens beyond its vocabulary, which some name for "none".
  [[nodiscard]] bool is_known(const Json& token) const {
    return token.get<int64_t>() >= 0 && token.get<int64_t>() < vocabulary_;
  }

  void set_token(Json& model, const char* key) const {
    for (const Named* named : {&generation_, &config_}) {
      const Json* value = named->find(key);
      if (value == nullptr) continue;
      if (!value->is_number_integer()) named->refuse(key, "a token");
      if (!is_known(*value)) continue;
      model[key] = *value;
      return;
    }
  }

  void set_end(Json& model) const {
    constexpr const char* kKey = "eos_token_id";
    for (const Named* named : {&generation_, &config_}) {
      const Json* value = named->find(kKey);
      if (value == nullptr) continue;
      if (!are_tokens(*value)) named->refuse(kKey, "a token or a list of tokens");
      Json known = Json::array();
      for (const Json& token : value->is_array() ? *value : Json::array({*value})) {
        if (is_known(token)) known.push_back(token);
      }
      if (known.empty()) continue;
      model[kKey] = value->is_array() ? known : known.front();
      return;
    }
  }

  [[nodiscard]] Json decoder() const {
    const ir::Value& past = *pasts_.front();
    const int64_t heads = config_.integer({"num_attention_heads", "n_head", "num_heads"}).value_or(0);
    const int64_t hidden = config_.integer({"hidden_size", "n_embd", "n_embed", "d_model"}).value_or(0);
    const int64_t kv_heads = size_of(past, 1), head_size = size_of(past, 3);
    return {{"session_options", {{"log_id", "onnxruntime-genai"}, {"provider_options", Json::array()}}},
            {"filename", file_},
            {"head_size", head_size},
            {"hidden_size", hidden > 0 ? hidden : head_size * std::max(heads, kv_heads)},
            {"inputs", inputs()},
            {"outputs",
             {{"logits", "logits"},
              {"present_key_names", "present.%d.key"},
              {"present_value_names", "present.%d.value"}}},
            {"num_attention_heads", heads > 0 ? heads : kv_heads},
            {"num_hidden_layers", pasts_.size() / 2},
            {"num_key_value_heads", kv_heads}};
  }

  [[nodiscard]] Json inputs() const {
    Json out = Json::object();
    for (const ir::Value* input : graph_.inputs) {
      if (starts_with(input->name, kPast)) continue;
      if (input->name != "input_ids" && input->name != "attention_mask" && input->name != "position_ids") {
        throw Error(
            ErrorCode::unsupported,
            fmt::format("--genai-config: ONNX Runtime GenAI gives a decoder no {}", printable(input->name)));
      }
      out[input->name] = input->name;
    }
    out["past_key_names"] = "past_key_values.%d.key";
    out["past_value_names"] = "past_key_values.%d.value";
    return out;
  }

  [[nodiscard]] Json search(int64_t context) const {
    Json out = {{"diversity_penalty", 0.0},
                {"do_sample", false},
                {"early_stopping", false},
                {"length_penalty", 1.0},
                {"max_length", context},
                {"min_length", 0},
                {"no_repeat_ngram_size", 0},
                {"num_beams", 1},
                {"num_return_sequences", 1},
                {"past_present_share_buffer", has_shared_cache(graph_)},
                {"repetition_penalty", 1.0},
                {"temperature", 1.0},
                {"top_k", 50},
                {"top_p", 1.0}};
    for (auto& [key, value] : out.items()) {
      const Json* given = generation_.find(key.c_str());
      if (given == nullptr || key == "max_length" || key == "past_present_share_buffer") continue;
      if (key == "early_stopping" && given->is_string()) continue;  // "never" is no choice of GenAI's.
      const bool fits = value.is_boolean()          ? given->is_boolean()
                        : value.is_number_integer() ? given->is_number_integer()
                                                    : given->is_number();
      if (!fits) generation_.refuse(key.c_str(), value.is_boolean() ? "true or false" : "a number");
      value = *given;
    }
    return out;
  }

  const ir::Graph& graph_;
  const std::string& file_;
  std::string type_;
  Named config_, generation_;
  std::vector<const ir::Value*> pasts_;
  int64_t vocabulary_ = 0;
};

}  // namespace

void check_genai_config(const MainExportOptions& options, const std::string& task) {
  if (!options.genai_config) return;
  if (task != "text-generation-with-past") {
    throw Error(ErrorCode::unsupported,
                fmt::format("--genai-config is for the task text-generation-with-past, not {}", task))
        .with_hint("ONNX Runtime GenAI runs decoders with a cache");
  }
  if (!options.dtypes.empty())
    throw Error(ErrorCode::usage, "--genai-config is for one model, --dtypes writes several");
  if (!options.dynamic_axes)
    throw Error(ErrorCode::usage, "--genai-config needs dynamic axes: the cache grows with the text");
}

std::string genai_config(const ModelSource& source, const ir::Graph& graph, const std::string& file) {
  return GenaiConfig(source, graph, file).make().dump(4, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace ferry::exporter
