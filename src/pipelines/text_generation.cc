// Source: transformers 4.57.6, pipelines/text_generation.py.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"
#include "runtime/generation/inputs.h"

namespace ferry {
namespace {
constexpr int64_t kMaxNewTokens = 256;
constexpr double kTemperature = 0.7;

// The pipeline's own defaults go before the folder's.
GenerationConfig pipeline_config(GenerationConfig config, const std::string& model_config,
                                 const Tokenizer& tokenizer) {
  config.do_sample = true;
  config.temperature = kTemperature;
  config.max_new_tokens = kMaxNewTokens;
  if (config.max_length) config.max_new_tokens.reset();
  const auto json = parse_json(model_config, "config.json");
  const auto specific = json.is_object() ? json.find("task_specific_params") : json.end();
  if (json.is_object() && specific != json.end() && specific->is_object() &&
      specific->contains("text-generation") && specific->at("text-generation").is_object())
    static_cast<void>(config.update(specific->at("text-generation").dump(), "config.json"));
  if (!config.pad_token_id) {
    if (const auto pad = tokenizer.special_token_id("pad_token")) config.pad_token_id = *pad;
  }
  return config;
}

// `text` after its first `count` code points.
std::string after(const std::string& text, const std::string& prompt) {
  const auto begins = [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; };
  auto left = std::count_if(prompt.begin(), prompt.end(), begins);
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (begins(text[at]) && left-- == 0) break;
  }
  return text.substr(at);
}

ModelInputs inputs_of(const std::vector<int64_t>& ids) {
  const Dims dims = {1, static_cast<int64_t>(ids.size())};
  ModelInputs out;
  out.set("input_ids", HostTensor::i64(dims, ids));
  out.set("attention_mask", HostTensor::i64(dims, std::vector<int64_t>(ids.size(), 1)));
  return out;
}

}  // namespace

TextGenerationPipeline::TextGenerationPipeline(Tokenizer tokenizer, ORTModelForCausalLM model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForCausalLM>(std::move(model))),
      config_(pipeline_config(model_->generation_config(), model_->config_json(), tokenizer_)) {}

std::vector<GeneratedText> TextGenerationPipeline::operator()(std::string_view prompt,
                                                              const GenerationConfig& given,
                                                              const TextGenerationOptions& options) const {
  EncodeOptions encode;
  encode.add_special_tokens = options.add_special_tokens;
  if (options.truncation) encode.truncation = Truncation::longest_first;
  const auto encoded = tokenizer_(options.prefix + std::string(prompt), encode);
  const auto& prompt_ids = encoded.encodings[0].ids;
  std::vector<int64_t> ids(prompt_ids.begin(), prompt_ids.end());
  if (ids.empty() && given.bos_token_id) ids = {*given.bos_token_id};

  GenerationConfig config = given;
  // Room for the default number of tokens is nobody's wish.
  const auto context = generation::context_length(model_->config_json());
  if (context && config.max_new_tokens == kMaxNewTokens)
    config.max_new_tokens =
        std::clamp(*context - static_cast<int64_t>(ids.size()), int64_t{1}, kMaxNewTokens);
  GenerateOptions generate;
  generate.seed = options.seed;
  generate.tokenizer = &tokenizer_;
  if (options.stream) {
    generate.streamer =
        [stream = std::make_shared<TextStreamer>(tokenizer_, options.stream, options.skip_special_tokens)](
            std::span<const int64_t> tokens) { (*stream)(tokens); };
  }
  const auto output = model_->generate(inputs_of(ids), config, generate);

  const DecodeOptions decode = {options.skip_special_tokens, options.clean_up_tokenization_spaces};
  const std::string shown_prompt = tokenizer_.decode(prompt_ids, decode);
  std::vector<GeneratedText> out;
  for (size_t row = 0; row < output.sequences.size(); ++row) {
    std::string text = after(tokenizer_.decode(output.tokens(row), decode), shown_prompt);
    if (options.return_full_text) text.insert(0, prompt);
    out.push_back({std::move(text), output.sequences[row]});
  }
  return out;
}

namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

// A list of {"role", "content"}, alone or as "messages".
const Json* chat_of(const Json& input) {
  if (input.is_object() && input.contains("messages")) return &input.at("messages");
  return input.is_array() && !input.empty() && input[0].is_object() ? &input : nullptr;
}

struct Call {
  TextGenerationOptions options;
  GenerationConfig config;
  std::optional<bool> continue_final_message;
  bool return_tensors = false;
};

struct TextGenerationRunner final : Pipeline::Runner {
  TextGenerationRunner(Tokenizer tokenizer, ORTModelForCausalLM model)
      : pipeline(std::move(tokenizer), std::move(model)) {}

  Json run(const Json& input, const Json& given) const override { return stream(input, given, nullptr); }

  Json stream(const Json& input, const Json& given,
              const std::function<void(std::string_view)>& write) const override {
    Call call = read(given);
    call.options.stream = write;
    if (const Json* chat = chat_of(input)) return answer(*chat, call);
    if (!input.is_array()) return continued(text_of(task, input), call);
    Json out = Json::array();
    for (const Json& item : input) out.push_back(continued(text_of(task, item), call));
    return out;
  }

 private:
  // The pipeline's own options, and those of generate().
  [[nodiscard]] Call read(const Json& given) const {
    Call call;
    call.config = pipeline.generation_config();
    OptionReader reader(task, given);
    std::string stop_sequence;
    reader.read("prefix", call.options.prefix);
    reader.read("return_full_text", call.options.return_full_text);
    reader.read("add_special_tokens", call.options.add_special_tokens);
    reader.read("truncation", call.options.truncation);
    reader.read("skip_special_tokens", call.options.skip_special_tokens);
    reader.read("clean_up_tokenization_spaces", call.options.clean_up_tokenization_spaces);
    reader.read("seed", call.options.seed);
    reader.read("continue_final_message", call.continue_final_message);
    reader.read("return_tensors", call.return_tensors);
    reader.read("stop_sequence", stop_sequence);
    Json rest = Json::object();
    for (const auto& [name, value] : given.items()) {
      if (!reader.knows(name)) rest[name] = value;
    }
    const auto unknown = call.config.update(rest.dump(), task);
    if (!unknown.empty()) refuse(task, fmt::format("there is no option \"{}\"", printable(unknown[0])));
    if (call.config.temperature == 0) {
      call.config.temperature = 1;
      call.config.do_sample = false;
    }
    if (!stop_sequence.empty()) {
      EncodeOptions plain;
      plain.add_special_tokens = false;
      const auto ids = pipeline.tokenizer()(stop_sequence, plain).encodings[0].ids;
      call.config.eos_token_id.assign(ids.begin(), ids.end());
    }
    return call;
  }

  [[nodiscard]] Json continued(const std::string& text, const Call& call) const {
    Json out = Json::array();
    for (auto& result : pipeline(text, call.config, call.options)) {
      out.push_back(call.return_tensors ? Json{{"generated_token_ids", result.token_ids}}
                                        : Json{{"generated_text", std::move(result.text)}});
    }
    return out;
  }

  // The conversation with the answer at its end.
  [[nodiscard]] Json answer(const Json& chat, Call call) const {
    if (!chat.is_array() || chat.empty() || !chat.back().is_object())
      refuse(task, "a chat is a list of {\"role\", \"content\"}");
    const std::string role = string_member(task, chat.back(), "role");
    const bool continues = call.continue_final_message.value_or(role == "assistant");
    const bool whole = call.options.return_full_text;
    call.options.return_full_text = false;
    call.options.add_special_tokens = false;
    Json out = Json::array();
    for (Json& result : continued(prompt_of(chat, continues), call)) {
      if (whole && !call.return_tensors) {
        Json messages = chat;
        const std::string text = result.at("generated_text").get<std::string>();
        if (continues) {
          messages.back()["content"] = string_member(task, chat.back(), "content") + text;
        } else {
          messages.push_back({{"role", "assistant"}, {"content", text}});
        }
        result["generated_text"] = std::move(messages);
      }
      out.push_back(std::move(result));
    }
    return out;
  }

  [[nodiscard]] std::string prompt_of(const Json& chat, bool continues) const {
    std::string prompt = pipeline.tokenizer().apply_chat_template(chat.dump(), !continues);
    if (!continues) return prompt;
    // What the template writes after the last message is cut off; templates may have stripped it.
    std::string last = string_member(task, chat.back(), "content");
    last.erase(0, last.find_first_not_of(" \t\r\n"));
    const std::string stripped = last.substr(0, last.find_last_not_of(" \t\r\n") + 1);
    const size_t place = prompt.rfind(stripped);
    if (place == std::string::npos) refuse(task, "the chat template changes the message to be continued");
    const bool whole = prompt.compare(place, last.size(), last) == 0;
    prompt.erase(place + (whole ? last.size() : stripped.size()));
    return prompt;
  }

  TextGenerationPipeline pipeline;
};

}  // namespace

std::shared_ptr<Pipeline::Runner> pipelines::text_generation(std::string_view folder,
                                                             const LoadOptions& options) {
  return open_runner<TextGenerationRunner, ORTModelForCausalLM>(folder, options);
}

}  // namespace ferry
