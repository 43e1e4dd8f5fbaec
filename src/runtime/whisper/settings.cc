#include "runtime/whisper/settings.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace ferry::whisper {
namespace {
using Json = nlohmann::ordered_json;

// Values of one of the two files, by key; null is "not given".
class Reader {
 public:
  Reader(const Json& json, std::string_view file) : json_(json), file_(file) {
    if (!json.is_object()) throw Error(ErrorCode::invalid_config, fmt::format("{} is no object", file));
  }
  [[nodiscard]] const Json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  [[noreturn]] void refuse(const char* key, std::string_view wanted) const {
    throw Error(ErrorCode::invalid_config, fmt::format("{}: {} is {}, expected {}", file_, key,
                                                       printable(json_.at(key).dump(), 80), wanted));
  }
  [[nodiscard]] std::optional<int64_t> integer(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    // A list of ends is Whisper's one, too.
    if (value->is_array() && value->size() == 1) value = &value->at(0);
    if (!value->is_number_integer() || value->get<int64_t>() < 0 || value->get<int64_t>() > (1 << 24))
      refuse(key, "a token or a small number");
    return value->get<int64_t>();
  }
  [[nodiscard]] std::optional<bool> boolean(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) refuse(key, "true or false");
    return value->get<bool>();
  }
  [[nodiscard]] std::optional<double> number(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) refuse(key, "a number");
    return value->get<double>();
  }
  [[nodiscard]] std::string text(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return "";
    if (!value->is_string()) refuse(key, "a text");
    return value->get<std::string>();
  }
  [[nodiscard]] std::map<std::string, int64_t> tokens(const char* key) const {
    std::map<std::string, int64_t> out;
    const Json* value = find(key);
    if (value == nullptr) return out;
    if (!value->is_object()) refuse(key, "an object of tokens");
    for (const auto& [name, id] : value->items()) {
      if (!id.is_number_integer() || id.get<int64_t>() < 0) refuse(key, "an object of tokens");
      out[name] = id.get<int64_t>();
    }
    return out;
  }
  [[nodiscard]] std::vector<int64_t> list(const char* key) const {
    std::vector<int64_t> out;
    const Json* value = find(key);
    if (value == nullptr) return out;
    if (!value->is_array()) refuse(key, "a list of tokens");
    for (const Json& id : *value) {
      if (!id.is_number_integer()) refuse(key, "a list of tokens");
      out.push_back(id.get<int64_t>());
    }
    return out;
  }

 private:
  const Json& json_;
  std::string_view file_;
};

// [[1, null], [2, 50359]]: the place counts from 1.
std::vector<std::optional<int64_t>> read_forced(const Reader& reader) {
  constexpr const char* kKey = "forced_decoder_ids";
  std::vector<std::optional<int64_t>> out;
  const Json* list = reader.find(kKey);
  if (list == nullptr) return out;
  if (!list->is_array()) reader.refuse(kKey, "a list of pairs");
  for (const Json& pair : *list) {
    const bool valid = pair.is_array() && pair.size() == 2 && pair[0].is_number_integer() &&
                       (pair[1].is_null() || pair[1].is_number_integer());
    if (!valid || pair[0].get<int64_t>() != static_cast<int64_t>(out.size()) + 1)
      reader.refuse(kKey, "pairs of a place, counted from 1, and a token");
    out.push_back(pair[1].is_null() ? std::nullopt : std::optional(pair[1].get<int64_t>()));
  }
  return out;
}

}  // namespace

Settings Settings::read(const Json& generation_config, const Json& config) {
  const Reader generation(generation_config, "generation_config.json"), model(config, "config.json");
  const auto either = [&](const char* key) {
    const auto found = generation.integer(key);
    return found ? found : model.integer(key);
  };
  Settings out;
  out.is_multilingual = generation.boolean("is_multilingual");
  out.lang_to_id = generation.tokens("lang_to_id");
  out.task_to_id = generation.tokens("task_to_id");
  out.no_timestamps_token_id = generation.integer("no_timestamps_token_id");
  out.prev_sot_token_id = generation.integer("prev_sot_token_id");
  out.max_initial_timestamp_index = generation.integer("max_initial_timestamp_index");
  out.return_timestamps = generation.boolean("return_timestamps");
  out.condition_on_prev_tokens = generation.boolean("condition_on_prev_tokens").value_or(false);
  out.compression_ratio_threshold = generation.number("compression_ratio_threshold");
  out.logprob_threshold = generation.number("logprob_threshold");
  out.no_speech_threshold = generation.number("no_speech_threshold");
  out.language = generation.text("language");
  out.task = generation.text("task");
  out.forced_decoder_ids = read_forced(generation);
  if (out.forced_decoder_ids.empty()) out.forced_decoder_ids = read_forced(model);
  out.decoder_start_token_id = either("decoder_start_token_id").value_or(0);
  out.eos_token_id = either("eos_token_id").value_or(0);
  out.pad_token_id = either("pad_token_id").value_or(out.eos_token_id);
  out.suppress_tokens = generation.list("suppress_tokens");
  out.vocab_size = model.integer("vocab_size").value_or(51865);
  out.max_source_positions = model.integer("max_source_positions").value_or(1500);
  out.max_target_positions = model.integer("max_target_positions").value_or(448);
  return out;
}

}  // namespace ferry::whisper
