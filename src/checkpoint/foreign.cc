// The rules that need all names of a checkpoint, or its architecture.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "checkpoint/tf_names.h"

namespace ferry::checkpoint {
namespace {

// Variables that only TensorFlow's classes have: copies of what PyTorch ties, or parts that its class leaves
// out. "Model" in `unless` keeps them for the body alone.
struct Ignored {
  std::string_view model_type;
  std::string_view name;  // A suffix, on a level's boundary.
  std::string_view unless_architecture;
};
constexpr std::array<Ignored, 8> kIgnored = {{
    {"mobilebert", "cls.predictions.decoder.weight", ""},
    {"xglm", "lm_head.weight", ""},
    {"speech_to_text", "lm_head.weight", ""},
    {"mpnet", "pooler.dense.weight", "MPNetModel"},
    {"mpnet", "pooler.dense.bias", "MPNetModel"},
    {"marian", "encoder.embed_positions.weight", ""},
    {"marian", "decoder.embed_positions.weight", ""},
    {"esm", "embeddings.position_embeddings.weight", ""},  // Of rotary models only; see is_ignored.
}};

bool is_suffix(std::string_view name, std::string_view suffix) {
  if (!ends_with(name, suffix)) return false;
  return name.size() == suffix.size() || name[name.size() - suffix.size() - 1] == '.';
}

bool is_ignored(std::string_view name, const ModelFacts& facts) {
  for (const Ignored& row : kIgnored) {
    if (row.model_type != facts.model_type || !is_suffix(name, row.name)) continue;
    if (!row.unless_architecture.empty() && ends_with(facts.architecture, row.unless_architecture)) continue;
    if (row.model_type == "esm" && !facts.rotary) continue;
    return true;
  }
  return false;
}

// TensorFlow's ALBERT uses "predictions/decoder/bias" and ignores "predictions/bias"; PyTorch ties the two
// under the second name.
void fix_albert(TensorMap& tensors) {
  const auto used = tensors.find("predictions.decoder.bias");
  if (used == tensors.end()) return;
  tensors.insert_or_assign("predictions.bias", used->second);
  tensors.erase(used);
}

// The level after `prefix` that all names below it share; "" if there is none.
std::string shared_level(const TensorMap& tensors, std::string_view prefix) {
  std::string level;
  for (auto it = tensors.lower_bound(prefix); it != tensors.end() && starts_with(it->first, prefix); ++it) {
    const std::string_view rest = std::string_view(it->first).substr(prefix.size());
    const size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return "";
    if (level.empty()) level = rest.substr(0, dot);
    if (rest.substr(0, dot) != level) return "";
  }
  return level;
}

void drop_level(TensorMap& tensors, const std::string& prefix, const std::string& level) {
  TensorMap moved;
  const std::string from = prefix + level + ".";
  for (auto it = tensors.lower_bound(from); it != tensors.end() && starts_with(it->first, from);) {
    auto node = tensors.extract(it++);
    node.key() = prefix + node.key().substr(from.size());
    moved.insert(std::move(node));
  }
  tensors.merge(moved);
}

// TensorFlow wraps the body of every model into a "main layer" that PyTorch's class does not have: below the
// parts of a composite model, and in a body without a head.
void drop_main_layers(TensorMap& tensors, const ModelFacts& facts) {
  const auto drop = [&](const std::string& prefix) {
    const std::string level = shared_level(tensors, prefix);
    if (!level.empty()) drop_level(tensors, prefix, level);
  };
  if (facts.model_type == "encoder-decoder" || facts.model_type == "vision-encoder-decoder")
    return drop("encoder.");
  if (facts.model_type == "vision-text-dual-encoder") {
    drop("vision_model.");
    return drop("text_model.");
  }
  const bool is_body =
      ends_with(facts.architecture, "Model") && !ends_with(facts.architecture, "HeadModel") &&
      !ends_with(facts.architecture, "HeadsModel") && !ends_with(facts.architecture, "EncoderModel");
  if (is_body) drop("");
}

}  // namespace

ModelFacts read_model_facts(const std::filesystem::path& folder) {
  ModelFacts out;
  if (!ferry::is_regular_file(folder / "config.json")) return out;
  const auto config = read_json(folder / "config.json");
  if (!config.is_object()) return out;
  const auto text = [&](const char* key) {
    const auto found = config.find(key);
    return found != config.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  out.model_type = text("model_type");
  out.rotary = text("position_embedding_type") == "rotary";
  const auto architectures = config.find("architectures");
  if (architectures != config.end() && architectures->is_array() && !architectures->empty() &&
      (*architectures)[0].is_string())
    out.architecture = (*architectures)[0].get<std::string>();
  return out;
}

TensorMap to_torch_names(const TensorFile& file, const ModelFacts& facts, std::string_view origin) {
  TensorMap out;
  std::map<std::string, std::string, std::less<>> variables;  // For the message.
  for (const auto& [variable, weight] : file.tensors) {
    const size_t rank = weight.dims().size();
    TorchName to;
    if (starts_with(file.format, "flax")) {
      std::string path = variable;
      if (file.format == "flax safetensors") std::replace(path.begin(), path.end(), '.', '/');
      to = name_of_flax(path, rank);
    } else if (file.format == "tf1") {
      to = name_of_tf1(variable, rank);
    } else {
      // A name that holds "model." keeps its first level in every format.
      const bool has_first_level = !file.first_level_dropped || variable.find("model.") != std::string::npos;
      to = name_of_keras(variable, rank, has_first_level);
    }
    if (is_ignored(to.name, facts)) continue;
    const auto [place, is_new] = variables.emplace(to.name, variable);
    if (!is_new) {
      throw_invalid(origin, fmt::format("the variables {} and {} would both be {} in PyTorch",
                                        in_quotes(place->second), in_quotes(variable), in_quotes(to.name)));
    }
    out.emplace(to.name, to_torch_layout(weight, to.layout));
  }
  if (facts.model_type == "albert") fix_albert(out);
  if (!starts_with(file.format, "flax")) drop_main_layers(out, facts);
  return out;
}

}  // namespace ferry::checkpoint
