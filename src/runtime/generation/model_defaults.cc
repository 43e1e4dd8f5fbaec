#include "runtime/generation/model_defaults.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

namespace ferry::generation {
namespace {

struct Defaults {
  std::string_view model_type;
  std::optional<int64_t> pad, bos, eos, decoder_start, forced_eos;
};

constexpr Defaults kDefaults[] = {
    {"bart", 1, 0, 2, 2, 2},          {"bert", 0, {}, {}, {}, {}},        {"camembert", 1, 0, 2, {}, {}},
    {"electra", 0, {}, {}, {}, {}},   {"gpt2", {}, 50256, 50256, {}, {}}, {"marian", 58100, {}, 0, 58100, 0},
    {"mbart", 1, 0, 2, {}, 2},        {"roberta", 1, 0, 2, {}, {}},       {"trocr", 1, 0, 2, 2, {}},
    {"xlm-roberta", 1, 0, 2, {}, {}},
};

}  // namespace

nlohmann::ordered_json model_defaults(std::string_view model_type) {
  auto out = nlohmann::ordered_json::object();
  const auto* const found =
      std::find_if(std::begin(kDefaults), std::end(kDefaults),
                   [&](const Defaults& defaults) { return defaults.model_type == model_type; });
  if (found == std::end(kDefaults)) return out;
  const auto set = [&](const char* name, const std::optional<int64_t>& value) {
    if (value) out[name] = *value;
  };
  set("pad_token_id", found->pad);
  set("bos_token_id", found->bos);
  set("eos_token_id", found->eos);
  set("decoder_start_token_id", found->decoder_start);
  set("forced_eos_token_id", found->forced_eos);
  return out;
}

}  // namespace ferry::generation
