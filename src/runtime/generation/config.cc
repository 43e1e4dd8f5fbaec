// Source: transformers 4.57.6, generation/configuration_utils.py.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/generation.h"
#include "runtime/generation/model_defaults.h"

namespace ferry {
namespace {
using Json = nlohmann::ordered_json;

struct WrongKind {
  const char* wanted;
};

void read(const Json& json, bool& value) {
  if (!json.is_boolean()) throw WrongKind{"true or false"};
  value = json.get<bool>();
}
void read(const Json& json, int64_t& value) {
  if (!json.is_number_integer()) throw WrongKind{"a whole number"};
  value = json.get<int64_t>();
}
void read(const Json& json, double& value) {
  if (!json.is_number()) throw WrongKind{"a number"};
  value = json.get<double>();
}
void read(const Json& json, std::string& value) {
  if (!json.is_string()) throw WrongKind{"a text"};
  value = json.get<std::string>();
}
void read(const Json& json, EarlyStopping& value) {
  if (json.is_boolean()) {
    value = json.get<bool>() ? EarlyStopping::yes : EarlyStopping::no;
  } else if (json == "never") {
    value = EarlyStopping::never;
  } else {
    throw WrongKind{"true, false or \"never\""};
  }
}
// Of what a value is made of: each may hold the others.
template <typename A, typename B>
void read(const Json& json, std::pair<A, B>& value);
template <typename T>
void read(const Json& json, std::vector<T>& value);
void read(const Json& json, std::vector<std::vector<int64_t>>& value);

template <typename A, typename B>
void read(const Json& json, std::pair<A, B>& value) {
  if (!json.is_array() || json.size() != 2) throw WrongKind{"a pair"};
  read(json[0], value.first);
  read(json[1], value.second);
}
// One item stands for a list of it.
template <typename T>
void read(const Json& json, std::vector<T>& value) {
  value.clear();
  if (!json.is_array()) {
    read(json, value.emplace_back());
    return;
  }
  for (const Json& item : json) read(item, value.emplace_back());
}
void read(const Json& json, std::vector<std::vector<int64_t>>& value) {
  if (!json.is_array()) throw WrongKind{"a list of lists of token ids"};
  value.clear();
  for (const Json& item : json) read(item, value.emplace_back());
}
template <typename T>
void read(const Json& json, std::optional<T>& value) {
  read(json, value.emplace());
}

using Setter = std::function<void(GenerationConfig&, const Json&)>;

template <typename T>
Setter field(T GenerationConfig::*member) {
  return [member](GenerationConfig& config, const Json& json) {
    if (json.is_null()) {
      config.*member = GenerationConfig{}.*member;
    } else {
      read(json, config.*member);
    }
  };
}

const std::map<std::string, Setter, std::less<>>& fields() {
  using C = GenerationConfig;
  static const std::map<std::string, Setter, std::less<>> table = {
      {"max_length", field(&C::max_length)},
      {"max_new_tokens", field(&C::max_new_tokens)},
      {"min_length", field(&C::min_length)},
      {"min_new_tokens", field(&C::min_new_tokens)},
      {"max_time", field(&C::max_time)},
      {"stop_strings", field(&C::stop_strings)},
      {"early_stopping", field(&C::early_stopping)},
      {"do_sample", field(&C::do_sample)},
      {"num_beams", field(&C::num_beams)},
      {"num_beam_groups", field(&C::num_beam_groups)},
      {"diversity_penalty", field(&C::diversity_penalty)},
      {"length_penalty", field(&C::length_penalty)},
      {"num_return_sequences", field(&C::num_return_sequences)},
      {"prefill_chunk_size", field(&C::prefill_chunk_size)},
      {"temperature", field(&C::temperature)},
      {"top_k",
       [](C& config, const Json& json) {
         // None is all tokens, unlike the default.
         config.top_k = 0;
         if (!json.is_null()) read(json, config.top_k);
       }},
      {"top_p", field(&C::top_p)},
      {"min_p", field(&C::min_p)},
      {"typical_p", field(&C::typical_p)},
      {"epsilon_cutoff", field(&C::epsilon_cutoff)},
      {"eta_cutoff", field(&C::eta_cutoff)},
      {"repetition_penalty", field(&C::repetition_penalty)},
      {"encoder_repetition_penalty", field(&C::encoder_repetition_penalty)},
      {"no_repeat_ngram_size", field(&C::no_repeat_ngram_size)},
      {"encoder_no_repeat_ngram_size", field(&C::encoder_no_repeat_ngram_size)},
      {"bad_words_ids", field(&C::bad_words_ids)},
      {"sequence_bias", field(&C::sequence_bias)},
      {"suppress_tokens", field(&C::suppress_tokens)},
      {"begin_suppress_tokens", field(&C::begin_suppress_tokens)},
      {"forced_bos_token_id", field(&C::forced_bos_token_id)},
      {"forced_eos_token_id", field(&C::forced_eos_token_id)},
      {"exponential_decay_length_penalty", field(&C::exponential_decay_length_penalty)},
      {"remove_invalid_values", field(&C::remove_invalid_values)},
      {"renormalize_logits", field(&C::renormalize_logits)},
      {"pad_token_id", field(&C::pad_token_id)},
      {"bos_token_id", field(&C::bos_token_id)},
      {"eos_token_id", field(&C::eos_token_id)},
      {"decoder_start_token_id", field(&C::decoder_start_token_id)},
  };
  return table;
}

// Names that change no tokens, and names of what is not built with the values that ask for it.
using Asks = bool (*)(const Json& value);
const std::map<std::string_view, Asks>& other_names() {
  const Asks never = [](const Json&) { return false; };
  const Asks always = [](const Json&) { return true; };
  const Asks if_true = [](const Json& value) { return value != false; };
  static const std::map<std::string_view, Asks> table = {
      {"_commit_hash", never},
      {"_from_model_config", never},
      {"_original_object_hash", never},
      {"assistant_confidence_threshold", never},
      {"assistant_early_exit", always},
      {"assistant_lookbehind", never},
      {"cache_config", never},
      {"cache_implementation", [](const Json& value) { return value == "quantized"; }},
      {"compile_config", never},
      {"constraints", always},
      {"disable_compile", never},
      {"dola_layers", always},
      {"force_words_ids", always},
      {"guidance_scale", [](const Json& value) { return value != 1; }},
      {"is_assistant", never},
      {"low_memory", if_true},
      {"max_matching_ngram_size", never},
      {"num_assistant_tokens", never},
      {"num_assistant_tokens_schedule", never},
      {"output_attentions", never},
      {"output_hidden_states", never},
      {"output_logits", never},
      {"output_scores", never},
      {"penalty_alpha", [](const Json& value) { return value != 0; }},
      {"prompt_lookup_num_tokens", always},
      {"return_dict_in_generate", never},
      {"return_legacy_cache", never},
      {"target_lookbehind", never},
      {"token_healing", if_true},
      {"transformers_version", never},
      {"use_cache", never},
      {"watermarking_config", always},
  };
  return table;
}

// Gives back the names that nobody knows.
std::vector<std::string> apply(GenerationConfig& config, const Json& json, std::string_view what,
                               ErrorCode wrong_kind) {
  if (!json.is_object()) throw Error(wrong_kind, fmt::format("{} is not a JSON object", what));
  std::vector<std::string> unknown;
  for (const auto& [name, value] : json.items()) {
    const auto found = fields().find(name);
    if (found != fields().end()) {
      try {
        found->second(config, value);
      } catch (const WrongKind& error) {
        throw Error(wrong_kind, fmt::format("{}: {} is {}, not {}", what, name, printable(value.dump(), 60),
                                            error.wanted));
      }
      continue;
    }
    const auto other = other_names().find(name);
    if (other == other_names().end()) {
      unknown.push_back(name);
    } else if (!value.is_null() && other->second(value)) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("{}: {} ({}) is not built", what, name, printable(value.dump(), 60)))
          .with_hint("leave it out to generate without it");
    }
  }
  return unknown;
}

// What a model's configuration and its class say; null is nothing, even where the class says something.
Json with_defaults(const Json& config) {
  const auto type = config.find("model_type");
  Json all = type != config.end() && type->is_string() ? generation::model_defaults(type->get<std::string>())
                                                       : Json::object();
  all.update(config);
  Json out = Json::object();
  for (const auto& [name, value] : all.items()) {
    if (!value.is_null()) out[name] = value;
  }
  return out;
}

void require(bool condition, std::string_view message) {
  if (!condition) throw Error(ErrorCode::usage, std::string(message));
}

}  // namespace

GenerationConfig GenerationConfig::from_pretrained(const std::filesystem::path& folder, const Log* log) {
  GenerationConfig out;
  if (const auto file = folder / "generation_config.json"; ferry::is_regular_file(file)) {
    for (const auto& name :
         apply(out, read_json(file), "generation_config.json", ErrorCode::invalid_config)) {
      if (log != nullptr)
        log->warning(fmt::format("generation_config.json: {} is not known and is ignored", printable(name)));
    }
  } else if (const auto config = folder / "config.json"; ferry::is_regular_file(config)) {
    // transformers reads the same names of the model's configuration, and of its decoder where that is apart.
    const Json json = read_json(config);
    if (json.is_object()) {
      for (const char* part : {"decoder", "text_config"}) {
        if (json.contains(part) && json.at(part).is_object())
          apply(out, with_defaults(json.at(part)), "config.json", ErrorCode::invalid_config);
      }
      apply(out, with_defaults(json), "config.json", ErrorCode::invalid_config);
    }
  }
  // transformers takes its default, written down, for the default.
  if (out.max_length == 20) out.max_length.reset();
  return out;
}

std::vector<std::string> GenerationConfig::update(std::string_view json, std::string_view what) {
  return apply(*this, parse_json(json, what), what, ErrorCode::usage);
}

void GenerationConfig::validate() const {
  const auto within = [](double value, double low, double high) { return value >= low && value <= high; };
  require(!max_new_tokens || *max_new_tokens > 0, "max_new_tokens is at least 1");
  require(!prefill_chunk_size || *prefill_chunk_size > 0, "prefill_chunk_size is at least 1");
  require(num_beams >= 1 && num_beams <= 4096, "num_beams is between 1 and 4096");
  require(num_return_sequences >= 1 && num_return_sequences <= 4096,
          "num_return_sequences is between 1 and 4096");
  if (num_beams > 1) {
    require(num_return_sequences <= num_beams, "num_return_sequences is at most num_beams");
  } else {
    require(do_sample || num_return_sequences == 1,
            "greedy search gives one sequence: num_return_sequences is 1 without num_beams or do_sample");
  }
  require(num_beam_groups >= 1 && num_beam_groups <= num_beams && num_beams % num_beam_groups == 0,
          "num_beams is a multiple of num_beam_groups");
  if (num_beam_groups > 1) {
    require(!do_sample, "diverse beam search cannot sample: num_beam_groups is 1 with do_sample");
    require(diversity_penalty > 0, "diversity_penalty is above 0 with num_beam_groups");
  }
  require(!do_sample || temperature > 0,
          "temperature is above 0; without do_sample the likeliest token is taken");
  require(top_k >= 0, "top_k is not negative");
  require(within(top_p, 0, 1), "top_p is between 0 and 1");
  require(!min_p || within(*min_p, 0, 1), "min_p is between 0 and 1");
  require(typical_p > 0 && typical_p <= 1, "typical_p is above 0 and at most 1");
  require(epsilon_cutoff >= 0 && epsilon_cutoff < 1, "epsilon_cutoff is at least 0 and below 1");
  require(eta_cutoff >= 0 && eta_cutoff < 1, "eta_cutoff is at least 0 and below 1");
  require(repetition_penalty > 0, "repetition_penalty is above 0");
  require(encoder_repetition_penalty > 0, "encoder_repetition_penalty is above 0");
  require(no_repeat_ngram_size >= 0, "no_repeat_ngram_size is not negative");
  require(encoder_no_repeat_ngram_size >= 0, "encoder_no_repeat_ngram_size is not negative");
  require(std::isfinite(length_penalty), "length_penalty is a finite number");
  require(
      std::none_of(bad_words_ids.begin(), bad_words_ids.end(), [](const auto& word) { return word.empty(); }),
      "bad_words_ids holds an empty word");
  require(std::none_of(sequence_bias.begin(), sequence_bias.end(),
                       [](const auto& bias) { return bias.first.empty(); }),
          "sequence_bias holds an empty sequence");
  require(
      std::none_of(stop_strings.begin(), stop_strings.end(), [](const auto& text) { return text.empty(); }),
      "stop_strings holds an empty text");
}

}  // namespace ferry
