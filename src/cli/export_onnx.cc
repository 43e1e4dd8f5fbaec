// ferry export onnx: the flags of `optimum-cli export onnx`, and a few of ours.
// Source: optimum-onnx 0.1.0, optimum/commands/export/onnx.py.
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/report.h"

namespace ferry::cli {
namespace {

struct ExportFlags {
  ModelFlags model;
  MainExportOptions options;
  std::string output;
  std::string device = "cpu";
  std::string variant = "default";
  std::string weights = "copy";
  std::string adapter;
  bool no_dynamic_axes = false;
  bool no_constant_folding = false;
  bool no_post_process = false;
  bool no_validation = false;
  bool trust_remote_code = false;
  // Known to Optimum's users, and not built yet.
  std::string model_kwargs;
  bool dynamo = false;
};

void add_model_flags(CLI::App& app, ExportFlags& flags) {
  // Needed, but not ->required(): a misspelt flag is then reported instead of what it was meant to give.
  app.add_option("-m,--model", flags.model.model,
                 "Folder of the checkpoint, or a model on the Hub (org/name)");
  app.add_option("output", flags.output, "Folder for the exported model; made if it is not there");
  app.add_option(
         "--task", flags.options.task,
         "Task, or a synonym of one, with or without -with-past; auto: from the model's configuration")
      ->capture_default_str();
  app.add_option("--library-name", flags.options.library,
                 "Library the model was made with (default: inferred)")
      ->check(CLI::IsMember({"transformers", "sentence_transformers", "diffusers", "timm"}));
  app.add_option("--framework", flags.options.framework, "Whose weights, where there are both")
      ->check(CLI::IsMember({"pt", "tf"}));
  app.add_option("--variant", flags.variant, "Variant of the weights: fp16 takes model.fp16.safetensors")
      ->capture_default_str();
  app.add_option("--adapter", flags.adapter, "Folder of a LoRA adapter to merge into the weights");
  app.add_option("--pad_token_id", flags.options.pad_token_id,
                 "For text-classification, if the configuration has none");
  app.add_flag("--trust-remote-code", flags.trust_remote_code,
               "Accepted, without effect: ferry runs no code of a model");
}

void add_graph_flags(CLI::App& app, ExportFlags& flags) {
  const char* group = "Graph";
  app.add_option("--opset", flags.options.opset, "ONNX opset, 13 to 24 (default: 18)")
      ->check(at_least(1))
      ->group(group);
  app.add_option("--dtype", flags.options.dtype, "Type of weights and arithmetic")
      ->check(CLI::IsMember({"fp32", "fp16", "bf16"}))
      ->capture_default_str()
      ->group(group);
  app.add_option(
         "--optimize", flags.options.optimize,
         "Optimize the graph: O1 constants, O2 and fusions, O3 and Gelu by tanh, O4 and half precision")
      ->check(CLI::IsMember({"O1", "O2", "O3", "O4"}))
      ->group(group);
  auto& quantization = flags.options.quantization;
  app.add_option(
         "--quantize", quantization.method,
         "int8, uint8: weights and activations of 8 bits; int4, int8-weights: weights alone, in blocks")
      ->check(CLI::IsMember({"int8", "uint8", "int4", "int8-weights"}))
      ->group(group);
  app.add_option(
         "--dtypes", flags.options.dtypes,
         "Several precisions at once, comma-separated, into OUTPUT/onnx as transformers.js expects them: "
         "fp32, fp16, q8, int8, uint8, q4, q4f16")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--block-size", quantization.block_size, "Weights in blocks: how many share a scale")
      ->check(CLI::IsMember({16, 32, 64, 128, 256}))
      ->capture_default_str()
      ->group(group);
  app.add_flag_callback(
         "--asymmetric", [&quantization] { quantization.symmetric = false; },
         "Weights in blocks: with zero points")
      ->group(group);
  app.add_option("--head-bits", quantization.head_bits,
                 "Weights in blocks: bits of a language model's head; 0 leaves it in floats")
      ->check(CLI::IsMember({0, 4, 8}))
      ->capture_default_str()
      ->group(group);
  app.add_option("--embedding-bits", quantization.embedding_bits,
                 "Weights in blocks: bits of the embeddings of tokens; 0 leaves them in floats")
      ->check(CLI::IsMember({0, 4, 8}))
      ->capture_default_str()
      ->group(group);
  app.add_option(
         "--algorithm", quantization.algorithm,
         "Weights in blocks: scales from extremes (rtn), of the least squared error (mse), or half-quadratic "
         "with zero points (hqq)")
      ->check(CLI::IsMember({"rtn", "mse", "hqq"}))
      ->capture_default_str()
      ->group(group);
  app.add_flag("--genai-config", flags.options.genai_config,
               "Write genai_config.json as well, with which ONNX Runtime GenAI runs the folder")
      ->group(group);
  app.add_option("--accuracy-level", quantization.accuracy_level,
                 "What ONNX Runtime multiplies integer weights with: 4 is 8-bit integers, 0 and 1 are floats")
      ->check(CLI::IsMember({0, 1, 4}))
      ->capture_default_str()
      ->group(group);
  app.add_flag("--no-dynamic-axes", flags.no_dynamic_axes, "Fix every axis at the sizes given below")
      ->group(group);
  app.add_flag("--no-constant-folding", flags.no_constant_folding,
               "Leave operations on constants in the graph")
      ->group(group);
  app.add_flag("--slim", flags.options.slim, "Compute in advance whatever is constant")->group(group);
  app.add_flag("--no-post-process", flags.no_post_process,
               "Write no decoder_model_merged.onnx; without effect on models of one file")
      ->group(group);
  app.add_flag("--monolith", flags.options.monolith,
               "An encoder and its decoder in one model.onnx, without a cache")
      ->group(group);
  app.add_option("--weights", flags.weights,
                 "copy: into each of the exported files; shared: once, into a model.onnx_data that all of "
                 "them refer to; "
                 "in-place: the graphs point into the checkpoint's safetensors")
      ->check(CLI::IsMember({"copy", "shared", "in-place"}))
      ->capture_default_str()
      ->group(group);
  app.add_flag("--overwrite", flags.options.overwrite, "Write into a folder that holds other things, too")
      ->group(group);
}

void add_validation_flags(CLI::App& app, ExportFlags& flags) {
  const char* group = "Validation";
  app.add_option("--atol", flags.options.atol, "Largest absolute difference (default: 1e-4 in fp32)")
      ->check(not_negative())
      ->group(group);
  app.add_flag("--no-validation", flags.no_validation, "Do not run the exported model against the reference")
      ->group(group);
  app.add_option("--device", flags.device, "Where the validation runs")->capture_default_str()->group(group);
}

void add_shape_flags(CLI::App& app, ShapeOptions& shapes) {
  const auto add = [&app](const char* flag, int64_t& value, const char* what) {
    app.add_option(flag, value, what)
        ->check(at_least(1))
        ->capture_default_str()
        ->group("Sizes of example inputs");
  };
  add("--batch_size", shapes.batch_size, "Rows");
  add("--sequence_length", shapes.sequence_length, "Tokens");
  add("--num_choices", shapes.num_choices, "Choices of multiple-choice");
  add("--width", shapes.width, "Of images, pixels");
  add("--height", shapes.height, "Of images, pixels");
  add("--num_channels", shapes.num_channels, "Of images");
  add("--feature_size", shapes.feature_size, "Of audio features");
  add("--nb_max_frames", shapes.nb_max_frames, "Of audio features");
  add("--audio_sequence_length", shapes.audio_sequence_length, "Samples of audio");
  add("--point_batch_size", shapes.point_batch_size, "Prompts, for mask generation");
  add("--nb_points_per_image", shapes.nb_points_per_image, "Points of a prompt");
  add("--visual_seq_length", shapes.visual_seq_length, "Visual tokens");
}

void add_later_flags(CLI::App& app, ExportFlags& flags) {
  const char* group = "Not built yet";
  app.add_option("--model-kwargs", flags.model_kwargs, "JSON of further arguments of the model")
      ->group(group);
  app.add_flag("--dynamo", flags.dynamo, "Another exporter of PyTorch's")->group(group);
}

// What cannot be done must not be passed over.
void refuse_what_is_not_built(const ExportFlags& flags) {
  if (!flags.model_kwargs.empty()) not_built_yet("--model-kwargs", "leave it out");
  if (flags.dynamo) not_built_yet("--dynamo", "leave it out: ferry writes the graph itself, without tracing");
  if (flags.device != "cpu") not_built_yet("--device " + flags.device, "--device cpu works for every export");
  // Optimum's variants of an export, all of architectures that are not here yet. Any other name is a variant
  // of the weights, as from_pretrained(variant=...) has it.
  for (const char* name :
       {"split", "monolith", "with-past", "without-past", "text-conditional-with-past", "vision", "text"}) {
    if (flags.variant == name) {
      not_built_yet("--variant " + flags.variant, "no architecture of this version has it");
    }
  }
  if (flags.options.library == "diffusers") {
    not_built_yet("--library-name diffusers", "transformers, sentence_transformers and timm work");
  }
}

void require_model_and_output(const std::string& model, const std::string& output) {
  if (model.empty())
    throw Error(ErrorCode::usage, "--model is missing").with_hint("--model FOLDER_OR_HUB_NAME");
  if (output.empty()) {
    throw Error(ErrorCode::usage, "the output folder is missing")
        .with_hint("it is the last argument of the command");
  }
}

void export_onnx(ExportFlags& flags, const Context& context) {
  require_model_and_output(flags.model.model, flags.output);
  refuse_what_is_not_built(flags);
  MainExportOptions& options = flags.options;
  flags.model.apply(context, options);
  options.output = flags.output;
  options.variant = flags.variant;
  options.adapter = flags.adapter;
  options.dynamic_axes = !flags.no_dynamic_axes;
  options.constant_folding = !flags.no_constant_folding;
  options.post_process = !flags.no_post_process;
  options.validate = !flags.no_validation;
  options.weights = flags.weights == "in-place" ? MainExportOptions::Weights::in_place
                    : flags.weights == "shared" ? MainExportOptions::Weights::shared
                                                : MainExportOptions::Weights::copy;
  if (flags.trust_remote_code) {
    context.log().info("--trust-remote-code has no effect: ferry never runs code that comes with a model.");
  }
  const ExportReport report = main_export(options);
  if (context.json()) context.print_json(to_json(report, options.output));
}

}  // namespace

void add_export_onnx(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* app = context.command(parent, "onnx", "Export a checkpoint to ONNX and prove the result",
                                  [flags, &context] { export_onnx(*flags, context); });
  add_model_flags(*app, *flags);
  add_graph_flags(*app, *flags);
  add_validation_flags(*app, *flags);
  add_shape_flags(*app, flags->options.shapes);
  flags->model.add(*app);
  add_later_flags(*app, *flags);
}

void add_export_tflite(CLI::App& parent, Context& context) {
  context
      .command(parent, "tflite", "Export a checkpoint to TensorFlow Lite (not built yet)",
               [] { not_built_yet("export tflite", "`ferry export onnx` works"); })
      ->prefix_command();  // Whatever flags follow, the answer is the same.
}

}  // namespace ferry::cli
