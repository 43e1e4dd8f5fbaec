#include "checkpoint/tf_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"

namespace ferry::checkpoint {
namespace {

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

// '/a___b/' -> '/b/': Keras scopes that exist in one framework only. Matches do not share a slash, as in the
// regular expression of the source.
void drop_scopes(std::string& text) {
  size_t at = text.find('/');
  while (at != std::string::npos) {
    const size_t end = text.find('/', at + 1);
    if (end == std::string::npos) return;
    const std::string_view part = std::string_view(text).substr(at + 1, end - at - 1);
    const size_t bar = part.rfind("___");
    if (bar == std::string_view::npos) {
      at = end;
      continue;
    }
    text.erase(at + 1, bar + 3);
    at = text.find('/', end - bar - 3 + 1);
  }
}

Layout keras_layout(const std::vector<std::string>& parts, size_t rank) {
  const std::string& last = parts.back();
  if (last == "kernel" && rank == 4) return Layout::conv2d;
  if (last == "kernel" && rank == 3) return Layout::conv1d;
  const auto has = [&](const char* name) {
    return std::find(parts.begin(), parts.end(), name) != parts.end();
  };
  const bool is_kernel = last == "kernel" || last == "pointwise_kernel" || last == "depthwise_kernel";
  return is_kernel || has("emb_projs") || has("out_projs") ? Layout::reversed : Layout::same;
}

struct Renamed {
  std::string_view from, to;
};

// The last level, Keras to PyTorch. Batch statistics are ferry's addition: from_pretrained(from_tf=True)
// leaves them at 0 and 1.
constexpr std::array<Renamed, 10> kKerasLast = {{
    {"kernel", "weight"},
    {"embeddings", "weight"},
    {"gamma", "weight"},
    {"beta", "bias"},
    {"pointwise_kernel", "pointwise.weight"},
    {"depthwise_kernel", "depthwise.weight"},
    {"moving_mean", "running_mean"},
    {"moving_variance", "running_var"},
    {"weight_g", "parametrizations.weight.original0"},
    {"weight_v", "parametrizations.weight.original1"},
}};

constexpr std::array<Renamed, 7> kFlaxLast = {{
    {"kernel", "weight"},
    {"scale", "weight"},
    {"embedding", "weight"},
    {"mean", "running_mean"},
    {"var", "running_var"},
    {"weight_g", "parametrizations.weight.original0"},
    {"weight_v", "parametrizations.weight.original1"},
}};

template <size_t N>
void rename_last(std::vector<std::string>& parts, const std::array<Renamed, N>& table) {
  for (const Renamed& row : table) {
    if (parts.back() != row.from) continue;
    parts.back() = row.to;
    return;
  }
}

std::vector<std::string> levels(std::string_view text) {
  std::vector<std::string> parts = split(text, '/');
  std::erase(parts, "");
  if (parts.empty()) parts.emplace_back();
  return parts;
}

}  // namespace

TorchName name_of_keras(std::string_view variable, size_t rank, bool has_first_level) {
  std::string text(variable);
  replace_all(text, ":0", "");
  // The rules below begin at the second level.
  if (!has_first_level && text.find('/') != std::string::npos) text.insert(0, "model/");
  drop_scopes(text);
  replace_all(text, "_._", "/");
  std::vector<std::string> parts = levels(text);
  if (parts.size() > 1) parts.erase(parts.begin());
  TorchName out;
  out.layout = keras_layout(parts, rank);
  rename_last(parts, kKerasLast);
  out.name = join(parts, ".", parts.size());
  return out;
}

TorchName name_of_flax(std::string_view path, size_t rank) {
  std::vector<std::string> parts = levels(path);
  // Models with state keep two trees.
  if (parts.size() > 1 && (parts[0] == "params" || parts[0] == "batch_stats")) parts.erase(parts.begin());
  TorchName out;
  if (parts.back() == "kernel") {
    out.layout = rank == 4 ? Layout::conv2d : rank == 3 ? Layout::conv1d : Layout::reversed;
  }
  rename_last(parts, kFlaxLast);
  out.name = join(parts, ".", parts.size());
  return out;
}

TorchName name_of_tf1(std::string_view variable, size_t rank) {
  std::vector<std::string> parts = levels(variable);
  for (std::string& part : parts) {
    // "layer_11" is element 11 of a list.
    const size_t bar = part.rfind('_');
    const bool is_list = starts_with(part, "layer_") && bar + 1 < part.size() &&
                         part.find_first_not_of("0123456789", bar + 1) == std::string::npos;
    if (is_list) part[bar] = '.';
  }
  TorchName out;
  if (parts.back() == "kernel") out.layout = rank == 4 ? Layout::conv2d : Layout::reversed;
  if (parts.back() == "output_weights") parts.back() = "weight";
  if (parts.back() == "output_bias") parts.back() = "bias";
  rename_last(parts, kKerasLast);
  if (ends_with(parts.back(), "_embeddings")) parts.emplace_back("weight");
  out.name = join(parts, ".", parts.size());
  return out;
}

Weight to_torch_layout(const Weight& weight, Layout layout) {
  const size_t rank = weight.dims().size();
  if (layout == Layout::same || rank < 2) return weight;
  std::vector<int64_t> perm(rank);
  for (size_t i = 0; i < rank; ++i) perm[i] = static_cast<int64_t>(rank - 1 - i);
  if (layout == Layout::conv2d) perm = {3, 2, 0, 1};
  return weight.transpose(perm);
}

}  // namespace ferry::checkpoint
