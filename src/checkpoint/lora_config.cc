#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "checkpoint/lora.h"

namespace ferry::checkpoint {
namespace {
using Json = nlohmann::ordered_json;

// Options that change the numbers in ways that are not implemented. Each is off when absent, null, false or
// empty.
constexpr std::array<std::string_view, 10> kRefused = {
    "use_dora",        "use_qalora", "trainable_token_indices", "target_parameters", "layer_replication",
    "megatron_config", "lora_bias",  "alora_invocation_tokens", "arrow_config",      "use_bdlora"};

class ConfigReader {
 public:
  explicit ConfigReader(const std::filesystem::path& file)
      : file_(printable(file.string(), 300)), json_(read_json(file)) {
    if (!json_.is_object())
      throw Error(ErrorCode::invalid_config, fmt::format("{}: not a JSON object", file_));
  }

  LoraConfig read() const {
    const std::string type = text("peft_type", "");
    if (to_lower(type) != "lora") {
      throw Error(ErrorCode::unsupported,
                  fmt::format("{}: peft_type {} is not supported, only LORA is", file_, in_quotes(type)))
          .with_hint("merge it in PEFT: model.merge_and_unload().save_pretrained(folder)");
    }
    for (const auto option : kRefused) {
      if (!is_set(option)) continue;
      throw Error(ErrorCode::unsupported,
                  fmt::format("{}: {} is set, which ferry does not merge", file_, option))
          .with_hint("merge it in PEFT: model.merge_and_unload().save_pretrained(folder)");
    }
    LoraConfig out;
    out.base = text("base_model_name_or_path", "");
    out.rank = static_cast<int64_t>(positive("r", json_, 8));
    out.alpha = positive("lora_alpha", json_, 8);
    out.rank_stabilized = flag("use_rslora");
    out.fan_in_fan_out = flag("fan_in_fan_out");
    for (const auto& [key, value] : pattern("rank_pattern"))
      out.rank_pattern.emplace_back(key, static_cast<int64_t>(value));
    out.alpha_pattern = pattern("alpha_pattern");
    return out;
  }

 private:
  [[noreturn]] void fail(std::string_view key, std::string_view expected) const {
    throw Error(ErrorCode::invalid_config, fmt::format("{}: {} is not {}", file_, in_quotes(key), expected));
  }

  [[nodiscard]] const Json* find(std::string_view key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

  [[nodiscard]] bool is_set(std::string_view key) const {
    const Json* value = find(key);
    return value != nullptr && !(value->is_boolean() && !value->get<bool>()) &&
           !(value->is_structured() && value->empty());
  }

  [[nodiscard]] std::string text(std::string_view key, const std::string& otherwise) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) fail(key, "a string");
    return value->get<std::string>();
  }

  [[nodiscard]] bool flag(std::string_view key) const {
    const Json* value = find(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) fail(key, "true or false");
    return value->get<bool>();
  }

  [[nodiscard]] double positive(std::string_view key, const Json& object, double otherwise) const {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return otherwise;
    if (!found->is_number()) fail(key, "a number");
    const auto value = found->get<double>();
    if (!(value > 0 && value < 1e9)) fail(key, "a number between 0 and 1e9");
    return value;
  }

  // PEFT takes regular expressions here; plain ends of names are what is in use.
  [[nodiscard]] std::vector<std::pair<std::string, double>> pattern(std::string_view key) const {
    std::vector<std::pair<std::string, double>> out;
    const Json* object = find(key);
    if (object == nullptr) return out;
    if (!object->is_object()) fail(key, "an object");
    for (const auto& [name, value] : object->items()) {
      const std::string_view plain =
          starts_with(name, "^") ? std::string_view(name).substr(1) : std::string_view(name);
      for (const char c : plain) {
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                              c == '_' || c == '.' || c == '-';
        if (is_plain) continue;
        throw Error(ErrorCode::unsupported,
                    fmt::format("{}: {} holds the regular expression {}; only names are supported", file_,
                                key, in_quotes(name)));
      }
      out.emplace_back(name, positive(name, *object, 0));
    }
    return out;
  }

  std::string file_;
  Json json_;
};

}  // namespace

bool is_adapter(const std::filesystem::path& folder) {
  return ferry::is_regular_file(folder / "adapter_config.json");
}

LoraConfig read_lora_config(const std::filesystem::path& folder) {
  return ConfigReader(folder / "adapter_config.json").read();
}

}  // namespace ferry::checkpoint
