#include "nn/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace ferry::nn {
namespace {

// Keys of PretrainedConfig (transformers 4.x and 5.x) that do not change the numbers of an exported graph:
// generation settings, training settings, bookkeeping.
constexpr std::array kInert = {"_attn_implementation",
                               "_attn_implementation_autoset",
                               "_commit_hash",
                               "_name_or_path",
                               "architectures",
                               "attn_implementation",
                               "attention_dropout",
                               "attention_probs_dropout_prob",
                               "attn_pdrop",
                               "bad_words_ids",
                               "begin_suppress_tokens",
                               "bos_token_id",
                               "chunk_size_feed_forward",
                               "classifier_dropout",
                               "classifier_dropout_prob",
                               "cls_token_id",
                               "cross_attention_hidden_size",
                               "decoder_start_token_id",
                               "diversity_penalty",
                               "do_sample",
                               "dropout",
                               "dtype",
                               "early_stopping",
                               "embd_pdrop",
                               "encoder_no_repeat_ngram_size",
                               "eos_token_id",
                               "exponential_decay_length_penalty",
                               "finetuning_task",
                               "forced_bos_token_id",
                               "forced_eos_token_id",
                               "forced_decoder_ids",
                               "gradient_checkpointing",
                               "hidden_dropout_prob",
                               "id2label",
                               "initializer_factor",
                               "initializer_range",
                               "is_encoder_decoder",
                               "label2id",
                               "language",
                               "length_penalty",
                               "mask_token_id",
                               "max_length",
                               "min_length",
                               "model_type",
                               "name",
                               "name_or_path",
                               "no_repeat_ngram_size",
                               "num_beam_groups",
                               "num_beams",
                               "num_labels",
                               "num_return_sequences",
                               "output_attentions",
                               "output_hidden_states",
                               "output_past",
                               "output_scores",
                               "pad_token_id",
                               "prefix",
                               "problem_type",
                               "pretraining_tp",
                               "remove_invalid_values",
                               "repetition_penalty",
                               "resid_pdrop",
                               "return_dict",
                               "return_dict_in_generate",
                               "sep_token_id",
                               "suppress_tokens",
                               "task_specific_params",
                               "temperature",
                               "tf_legacy_loss",
                               "tie_encoder_decoder",
                               "tokenizer_class",
                               "top_k",
                               "top_p",
                               "torch_dtype",
                               "torchscript",
                               "transformers.js_config",
                               "transformers_version",
                               "typical_p",
                               "use_bfloat16",
                               "use_cache",
                               "export_model_type",
                               "unk_token_id",
                               "_num_labels",
                               "directionality",
                               "_flax_parameters",
                               "bos_token",
                               "eos_token",
                               "pad_token",
                               "seq_classif_dropout",
                               "qa_dropout",
                               "sentence_transformers",
                               "auto_map",
                               "model_max_length",
                               "trained_by",
                               "license"};

std::string shown(const nlohmann::ordered_json& value) {
  return printable(value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), 60);
}

}  // namespace

ConfigReader::ConfigReader(const nlohmann::ordered_json& json, std::string origin)
    : json_(&json), origin_(std::move(origin)) {
  if (!json.is_object()) throw Error(ErrorCode::invalid_config, origin_ + ": not a JSON object");
}
ConfigReader::~ConfigReader() = default;
ConfigReader::ConfigReader(ConfigReader&&) noexcept = default;
ConfigReader& ConfigReader::operator=(ConfigReader&&) noexcept = default;

const nlohmann::ordered_json* ConfigReader::find(std::string_view key) {
  asked_.emplace(key);
  const auto found = json_->find(key);
  return found == json_->end() || found->is_null() ? nullptr : &*found;
}

void ConfigReader::fail(std::string_view key, std::string_view expected) const {
  const auto found = json_->find(key);
  throw Error(ErrorCode::invalid_config,
              fmt::format("{}: \"{}\" is {}, expected {}", origin_, key,
                          found == json_->end() ? "missing" : shown(*found), expected));
}

void ConfigReader::read(std::string_view key, int64_t& value, int64_t least, int64_t most) {
  std::optional<int64_t> read_value;
  read(key, read_value, least, most);
  if (read_value) value = *read_value;
}

void ConfigReader::read(std::string_view key, std::optional<int64_t>& value, int64_t least, int64_t most) {
  const auto* found = find(key);
  if (found == nullptr) return;
  const bool too_large = found->is_number_unsigned() && found->get<uint64_t>() > static_cast<uint64_t>(most);
  const bool whole = found->is_number_integer() && !too_large && found->get<int64_t>() >= least &&
                     found->get<int64_t>() <= most;
  if (!whole) fail(key, fmt::format("a whole number from {} to {}", least, most));
  value = found->get<int64_t>();
}

void ConfigReader::read(std::string_view key, std::optional<double>& value) {
  const auto* found = find(key);
  if (found == nullptr) return;
  if (!found->is_number()) fail(key, "a number");
  value = found->get<double>();
}

void ConfigReader::read(std::string_view key, double& value) {
  std::optional<double> read_value;
  read(key, read_value);
  if (read_value) value = *read_value;
}

void ConfigReader::read(std::string_view key, std::optional<float>& value) {
  std::optional<double> read_value;
  read(key, read_value);
  if (read_value) value = static_cast<float>(*read_value);
}

void ConfigReader::read(std::string_view key, float& value) {
  std::optional<float> read_value;
  read(key, read_value);
  if (read_value) value = *read_value;
}

void ConfigReader::read(std::string_view key, bool& value) {
  const auto* found = find(key);
  if (found == nullptr) return;
  if (!found->is_boolean()) fail(key, "true or false");
  value = found->get<bool>();
}

void ConfigReader::read(std::string_view key, std::string& value) {
  const auto* found = find(key);
  if (found == nullptr) return;
  if (!found->is_string()) fail(key, "a string");
  value = found->get<std::string>();
}

void ConfigReader::read(std::string_view key, std::vector<int64_t>& value) {
  const auto* found = find(key);
  if (found == nullptr) return;
  const bool valid = found->is_array() && std::all_of(found->begin(), found->end(), [](const auto& item) {
                       return item.is_number_integer();
                     });
  if (!valid) fail(key, "a list of whole numbers");
  value = found->get<std::vector<int64_t>>();
}

void ConfigReader::read(std::string_view key, std::vector<float>& value) {
  const auto* found = find(key);
  if (found == nullptr) return;
  const bool valid = found->is_array() && std::all_of(found->begin(), found->end(),
                                                      [](const auto& item) { return item.is_number(); });
  if (!valid) fail(key, "a list of numbers");
  value = found->get<std::vector<float>>();
}

void ConfigReader::read(std::string_view key, std::vector<std::string>& value) {
  const auto* found = find(key);
  if (found == nullptr) return;
  const bool valid = found->is_array() && std::all_of(found->begin(), found->end(),
                                                      [](const auto& item) { return item.is_string(); });
  if (!valid) fail(key, "a list of strings");
  value = found->get<std::vector<std::string>>();
}

void ConfigReader::read_nullable(std::string_view key, std::optional<int64_t>& value, int64_t least,
                                 int64_t most) {
  if (json_->contains(key)) value.reset();
  read(key, value, least, most);
}

void ConfigReader::read_nullable(std::string_view key, std::optional<double>& value) {
  if (json_->contains(key)) value.reset();
  read(key, value);
}

void ConfigReader::read_choice(std::string_view key, std::string& value,
                               const std::vector<std::string>& choices) {
  read(key, value);
  if (std::find(choices.begin(), choices.end(), value) == choices.end()) fail(key, "one of " + join(choices));
}

void ConfigReader::only(std::string_view key, bool only) {
  bool value = only;
  read(key, value);
  if (value == only) return;
  throw Error(ErrorCode::unsupported,
              fmt::format("{}: \"{}\": {} is not implemented for this architecture", origin_, key, value));
}

void ConfigReader::must_be_empty(std::string_view key) {
  const auto* found = find(key);
  if (found == nullptr || ((found->is_object() || found->is_array()) && found->empty())) return;
  throw Error(ErrorCode::unsupported, fmt::format("{}: \"{}\": {} is not implemented for this architecture",
                                                  origin_, key, shown(*found)));
}

bool ConfigReader::has(std::string_view key) const {
  const auto found = json_->find(key);
  return found != json_->end() && !found->is_null();
}

std::optional<ConfigReader> ConfigReader::object(std::string_view key) {
  const auto* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_object()) fail(key, "an object");
  return ConfigReader(*found, fmt::format("{}: {}", origin_, key));
}

void ConfigReader::ignore(std::string_view key) {
  asked_.emplace(key);
}

int64_t ConfigReader::num_labels() {
  if (const auto* labels = find("id2label")) {
    if (!labels->is_object()) fail("id2label", "an object from numbers to names");
    return static_cast<int64_t>(labels->size());
  }
  int64_t count = 2;
  read("num_labels", count, 1);
  return count;
}

void ConfigReader::adopt_unknown(std::string_view key, const ConfigReader& nested) {
  for (const auto& name : nested.unknown_keys()) adopted_.push_back(fmt::format("{}.{}", key, name));
}

std::vector<std::string> ConfigReader::unknown_keys() const {
  std::vector<std::string> out = adopted_;
  for (const auto& [key, value] : json_->items()) {
    const bool inert = std::find(kInert.begin(), kInert.end(), key) != kInert.end();
    if (!inert && asked_.count(key) == 0 && !value.is_null()) out.push_back(printable(key, 60));
  }
  return out;
}

const nlohmann::ordered_json& ConfigReader::json() const {
  return *json_;
}

}  // namespace ferry::nn
