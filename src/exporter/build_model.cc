#include "exporter/build_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "exporter/example_inputs.h"
#include "exporter/stored_quantization.h"
#include "nn/task.h"
#include "passes/merge_decoders.h"

namespace ferry::exporter {
namespace {

ir::Dim dimension(const nn::Axis& axis, const AxisSizes& sizes, bool dynamic) {
  const auto* name = std::get_if<std::string>(&axis);
  if (name == nullptr || !dynamic) return axis_size(axis, sizes);
  ir::Dim out = 0;
  for (const auto& term : nn::axis_terms(*name)) out = out + ir::Dim::symbol(term);
  return out;
}

ir::Shape input_shape(const nn::InputSpec& spec, const AxisSizes& sizes, bool dynamic) {
  ir::Shape shape;
  for (const nn::Axis& axis : spec.axes) {
    const auto* name = std::get_if<std::string>(&axis);
    const auto only = name == nullptr ? std::nullopt : spec.only_size(*name);
    shape.push_back(only ? ir::Dim(*only) : dimension(axis, sizes, dynamic));
  }
  return shape;
}

// A sentence-transformers export takes ids and mask alone and adds the modules' results.
nn::Outputs forward(const ModelSource& source, const nn::ModelPart& part, nn::Build& build,
                    const nn::AnyConfig& config, const nn::Inputs& inputs) {
  nn::Outputs outputs = part.forward(nn::Scope(build), config, inputs);
  if (source.library != "sentence_transformers") return outputs;
  return models::sentence_outputs(build, source.modules, outputs.at(0).second, inputs["attention_mask"]);
}

std::vector<nn::InputSpec> signature(const ModelSource& source, const nn::ModelPart& part,
                                     const nn::AnyConfig& config, DType dtype) {
  std::vector<nn::InputSpec> inputs = part.inputs(config);
  if (source.library == "sentence_transformers") {
    std::erase_if(inputs, [](const nn::InputSpec& input) {
      return input.name != "input_ids" && input.name != "attention_mask";
    });
  }
  for (auto& input : inputs) {
    if (input.dtype == DType::f32) input.dtype = dtype;
  }
  return inputs;
}

}  // namespace

BuiltPart merge_last_two(std::vector<BuiltPart>& parts) {
  BuiltPart& decoder = parts.at(parts.size() - 2);
  BuiltPart& with_past = parts.back();
  name_axes(decoder);
  name_axes(with_past);
  return {nn::kMergedDecoder,
          passes::merge_decoders(std::move(decoder.graph), std::move(with_past.graph)),
          {},
          {}};
}

std::vector<BuiltPart> build_model(const ModelSource& source, const nn::Architecture& architecture,
                                   const std::string& task, const Checkpoint& checkpoint,
                                   const BuildOptions& options, const Log& log) {
  nn::ConfigReader reader(*source.config, printable((source.folder / "config.json").string()));
  const auto quantization = read_stored_quantization(source, reader, log);
  const nn::AnyConfig config = architecture.read_config(reader);
  if (const auto unknown = reader.unknown_keys(); !unknown.empty()) {
    log.warning(fmt::format("{}: ferry does not know {} {} and takes {} to have no effect", reader.origin(),
                            unknown.size() == 1 ? "the key" : "the keys", join(unknown),
                            unknown.size() == 1 ? "it" : "them"));
  }
  if (!quantization) refuse_packed_tensors(checkpoint.state);
  const StateDict state = nn::canonical_names(
      quantization ? with_grouped_matrices(checkpoint.state, *quantization) : checkpoint.state, architecture);
  std::vector<BuiltPart> parts;
  std::set<std::string, std::less<>> used;
  const nn::TaskEntry& entry = *architecture.find_task(task);
  if (const auto reason = entry.unavailable ? entry.unavailable(config) : std::nullopt) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{}: no {} of this model: {}", reader.origin(), task, *reason))
        .with_hint(fmt::format("--task {}", task.substr(0, task.find(kWithPast))));
  }
  const bool one = options.monolith && entry.monolith;
  for (const nn::ModelPart& part : one ? std::vector{*entry.monolith} : entry.parts) {
    BuiltPart built{part.file, {}, signature(source, part, config, options.dtype)};
    if (part.output_axes) built.output_axes = part.output_axes(config);
    nn::Build build{built.graph, state, options.dtype, std::move(used), {}};
    build.adapt = checkpoint.foreign ? adapt_shape : nullptr;
    nn::Inputs inputs;
    const AxisSizes sizes = example_sizes(built.inputs, options.shapes)[0];
    for (const auto& spec : built.inputs) {
      inputs.add(spec.name,
                 {built.graph, built.graph.add_input(spec.name, spec.dtype,
                                                     input_shape(spec, sizes, options.dynamic_axes))});
    }
    for (auto& [name, tensor] : forward(source, part, build, config, inputs))
      built.graph.add_output(name, tensor.value());
    built.graph.remove_dead_nodes();
    ir::verify(built.graph);
    used = std::move(build.used);
    parts.push_back(std::move(built));
  }
  ir::Graph none;
  nn::Build whole{none, state, options.dtype, std::move(used), {}};
  if (quantization) ignore_zero_biases(whole);
  nn::check_unused(whole, architecture, log);
  return parts;
}

void name_axes(BuiltPart& part) {
  for (ir::Value* input : part.graph.inputs) {
    const auto spec = std::find_if(part.inputs.begin(), part.inputs.end(),
                                   [&](const nn::InputSpec& known) { return known.name == input->name; });
    for (size_t i = 0; spec != part.inputs.end() && i < spec->axes.size(); ++i) {
      const auto* name = std::get_if<std::string>(&spec->axes[i]);
      if (name != nullptr && spec->only_size(*name)) (*input->shape)[i] = ir::Dim::symbol(*name);
    }
  }
  for (ir::Value* output : part.graph.outputs) {
    const auto named = part.output_axes.find(output->name);
    if (named == part.output_axes.end()) continue;
    for (const auto& [axis, name] : named->second) output->shape->at(axis) = ir::Dim::symbol(name);
  }
}

}  // namespace ferry::exporter
