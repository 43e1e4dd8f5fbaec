#include "checkpoint/keras_h5.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/h5_file.h"
#include "checkpoint/limits.h"

namespace ferry::checkpoint {
namespace {

// The group that holds the layers: the root, or the part of a whole saved model that is its weights.
struct Layers {
  std::string root;
  std::vector<std::string> names;
};

Layers find_layers(H5File& file, std::string_view name) {
  for (const std::string root : {"", "model_weights"}) {
    if (auto names = file.strings(root, "layer_names")) return {root, std::move(*names)};
  }
  if (file.kind("layers") == H5File::Kind::group ||
      file.kind("_layer_checkpoint_dependencies") == H5File::Kind::group) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{} holds Keras 3 weights, which are numbered by position", printable(name, 300)))
        .with_hint("load it in Keras and save the transformers model with model.save_pretrained(folder)");
  }
  throw_invalid(name, "an HDF5 file without the attribute \"layer_names\": not from Keras?");
}

std::string below(const std::string& group, std::string_view name) {
  return group.empty() ? std::string(name) : fmt::format("{}/{}", group, name);
}

void add(TensorFile& out, H5File& file, const std::string& weight, const std::string& path,
         std::string_view name) {
  if (weight.empty() || weight.size() > kMaxNameBytes || !is_utf8(weight))
    throw_invalid(name, fmt::format("the weight name {} is not UTF-8 of 1 to {} bytes", in_quotes(weight),
                                    kMaxNameBytes));
  if (out.tensors.size() >= kMaxTensors)
    throw_invalid(name, fmt::format("more than {} weights", kMaxTensors));
  // A variable that several layers share is stored once in each; Keras keeps the last.
  out.tensors.insert_or_assign(weight, file.dataset(path));
}

}  // namespace

TensorFile read_keras_h5(std::shared_ptr<const ByteSource> source, std::string_view name) {
  H5File file(std::move(source), name);
  TensorFile out;
  out.format = "tf h5";
  const Layers layers = find_layers(file, name);
  for (const std::string& layer : layers.names) {
    const std::string group = below(layers.root, layer);
    const H5File::Kind kind = file.kind(group);
    if (kind == H5File::Kind::absent)
      throw_invalid(name,
                    fmt::format("\"layer_names\" lists {}, which is not in the file", in_quotes(layer)));
    if (kind == H5File::Kind::dataset) {
      add(out, file, layer, group, name);  // A shard lists its datasets.
      out.first_level_dropped = true;
      continue;
    }
    const auto weights = file.strings(group, "weight_names");
    if (!weights)
      throw_invalid(name, fmt::format("layer {} has no attribute \"weight_names\"", in_quotes(layer)));
    for (const std::string& weight : *weights) add(out, file, weight, below(group, weight), name);
  }
  if (out.tensors.empty()) throw_invalid(name, "no layer has weights");
  return out;
}

}  // namespace ferry::checkpoint
