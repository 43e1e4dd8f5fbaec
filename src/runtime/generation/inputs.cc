#include "runtime/generation/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace ferry::generation {
namespace {
using Json = nlohmann::ordered_json;

Rows rows_of(const HostTensor& tensor, const char* name) {
  if (tensor.dims.size() != 2)
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("{} is {}, not [batch, tokens]", name, tensor.describe()));
  const HostTensor wide = tensor.to_i64();
  const auto values = wide.as<int64_t>();
  const auto columns = static_cast<size_t>(tensor.dims[1]);
  Rows out;
  for (size_t r = 0; r < static_cast<size_t>(tensor.dims[0]); ++r) {
    const auto row = values.subspan(r * columns, columns);
    out.emplace_back(row.begin(), row.end());
  }
  return out;
}

Rows mask_of(const Rows& ids, const GenerationConfig& config) {
  Rows out;
  const auto& eos = config.eos_token_id;
  const auto pad = config.pad_token_id;
  const bool shows = pad && std::find(eos.begin(), eos.end(), *pad) == eos.end();
  for (const auto& row : ids) {
    auto& mask = out.emplace_back();
    for (const int64_t id : row) mask.push_back(shows && id == *pad ? 0 : 1);
  }
  return out;
}

std::optional<int64_t> whole_number(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<int64_t>();
}

// What the decoder's own part says, where a configuration has parts.
Json decoder_part(const std::string& config_json) {
  Json json = parse_json(config_json, "config.json");
  if (!json.is_object()) return Json::object();
  for (const char* part : {"decoder", "text_config"}) {
    if (json.contains(part) && json.at(part).is_object()) return json.at(part);
  }
  return json;
}

double rope_extension(const Json& json) {
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const auto rope = json.find(name);
    if (rope == json.end() || !rope->is_object()) continue;
    const auto kind = rope->contains("rope_type") ? rope->find("rope_type") : rope->find("type");
    const auto factor = rope->find("factor");
    const bool extends = kind != rope->end() && (*kind == "linear" || *kind == "dynamic");
    if (extends && factor != rope->end() && factor->is_number()) return std::max(1.0, factor->get<double>());
  }
  return 1;
}

}  // namespace

TokenInputs token_inputs(const ModelInputs& inputs, const GenerationConfig& config,
                         std::optional<int64_t> vocabulary) {
  const auto& tensors = inputs.tensors();
  for (const auto& [name, tensor] : tensors) {
    if (starts_with(name, "past_key_values")) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("generate() begins with an empty cache and takes no {}", printable(name)))
          .with_hint("give all tokens as input_ids, or run the model step by step");
    }
  }
  const auto ids = tensors.find("input_ids");
  if (ids == tensors.end()) throw Error(ErrorCode::not_found, "the input \"input_ids\" is missing");
  TokenInputs out;
  out.ids = rows_of(ids->second, "input_ids");
  if (out.ids.empty() || out.ids[0].empty()) throw Error(ErrorCode::usage, "the prompt has no tokens");
  const auto mask = tensors.find("attention_mask");
  out.mask = mask != tensors.end() ? rows_of(mask->second, "attention_mask") : mask_of(out.ids, config);
  if (out.mask.size() != out.ids.size() || out.mask[0].size() != out.ids[0].size()) {
    throw Error(ErrorCode::usage, fmt::format("attention_mask is {} and input_ids is {}",
                                              mask->second.describe(), ids->second.describe()));
  }
  for (size_t r = 0; r < out.ids.size(); ++r) {
    if (std::all_of(out.mask[r].begin(), out.mask[r].end(), [](int64_t attends) { return attends == 0; }))
      throw Error(ErrorCode::usage, fmt::format("row {} of the prompt is padding alone", r));
    for (const int64_t id : out.ids[r]) {
      if (id < 0 || (vocabulary && id >= *vocabulary)) {
        throw Error(ErrorCode::usage,
                    vocabulary
                        ? fmt::format("token {} is beyond the model's vocabulary of {}", id, *vocabulary)
                        : fmt::format("token {} is negative", id))
            .with_hint("does the tokenizer belong to the model?");
      }
    }
  }
  return out;
}

std::optional<int64_t> context_length(const std::string& config_json) {
  const Json json = decoder_part(config_json);
  // attribute_map of transformers' configurations names the same number so.
  for (const char* name : {"max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"}) {
    if (const auto value = whole_number(json, name); value && *value > 0)
      return static_cast<int64_t>(static_cast<double>(*value) * rope_extension(json));
  }
  return std::nullopt;
}

std::optional<int64_t> vocabulary_size(const std::string& config_json) {
  return whole_number(decoder_part(config_json), "vocab_size");
}

}  // namespace ferry::generation
