#pragma once
// Exporting a checkpoint to ONNX: the same as `ferry export onnx`, and as Optimum's main_export.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"

namespace ferry {

namespace models {
class Registry;
}

/// Sizes of the example inputs that a model is validated with, and of the graph itself without dynamic axes.
struct ShapeOptions {
  int64_t batch_size = 2;
  int64_t sequence_length = 16;
  int64_t num_choices = 4;
  int64_t width = 64;
  int64_t height = 64;
  int64_t num_channels = 3;
  int64_t feature_size = 80;
  int64_t nb_max_frames = 3000;
  int64_t audio_sequence_length = 16000;
  int64_t point_batch_size = 3;
  int64_t nb_points_per_image = 2;
  int64_t visual_seq_length = 16;
};

/// Integers for weights, in the same pass as the export. The arithmetic is ONNX Runtime's. A checkpoint that
/// is quantized already (GPTQ, AWQ) keeps its integers, with or without this: they become MatMulNBits.
struct ExportQuantization {
  /// "int8": weights, with a scale a column, and activations of 8 bits (dynamic quantization,
  /// ferry/quantization.h); "uint8": the same with unsigned weights; "int4", "int8-weights": weights alone,
  /// in blocks (com.microsoft MatMulNBits); "": none.
  std::string method;
  // Of weights alone.
  int64_t block_size = 32;        ///< Weights that share a scale: 16, 32, 64, 128 or 256.
  bool symmetric = true;          ///< Without zero points.
  std::string algorithm = "rtn";  ///< "rtn", "mse" or "hqq": see WeightQuantization (ferry/quantization.h).
  int head_bits = 0;              ///< Of a language model's head: 4, 8, or 0 to leave it in floats.
  int embedding_bits = 0;         ///< Of the tables that input_ids are looked up in: 4, 8, or 0.
  // Of these, and of a checkpoint's own integers.
  int64_t accuracy_level =
      4;  ///< What ONNX Runtime multiplies with: 4 is 8-bit integers, 0 and 1 are floats.
};

struct MainExportOptions {
  std::string model;             ///< A local folder, or (with a hub) "org/name" or "org/name@revision".
  std::filesystem::path output;  ///< A folder; created with its parents.
  /// A task or synonym, with or without -with-past. "auto": inferred from the configuration.
  std::string task = "auto";
  /// A task -with-past is exported without where the model's decoder keeps no cache, instead of refused.
  bool cache_if_any = false;
  std::optional<int> opset;    ///< 13 to 24; nothing: 18.
  std::string dtype = "fp32";  ///< "fp32", "fp16" or "bf16": of the weights and the arithmetic.
  /// Several precisions of the model at once, of fp32, fp16, q8, int8, uint8, q4, q4f16: output/onnx gains
  /// model.onnx, model_fp16.onnx, model_quantized.onnx, model_int8.onnx, ... as transformers.js names and
  /// expects them: inputs and outputs of each are in fp32.
  std::vector<std::string> dtypes;
  std::string optimize;  ///< "O1" to "O4", as ORTOptimizer has them (ferry/optimization.h); "": none.
  ExportQuantization quantization;
  /// genai_config.json beside the model, for ONNX Runtime GenAI. Of text-generation-with-past alone.
  bool genai_config = false;
  std::optional<double> atol;  ///< Absolute tolerance of the validation; nothing: 1e-4 in fp32.
  std::string framework;       ///< "pt" or "tf": whose weights where both are there. "": PyTorch first.
  std::string variant;         ///< "fp16" asks for model.fp16.safetensors. "" or "default": none.
  std::string library;         ///< "transformers", "sentence_transformers" or "timm". "": inferred.
  std::string subfolder;
  std::filesystem::path adapter;  ///< A LoRA adapter to merge into the weights.
  bool dynamic_axes = true;
  bool constant_folding = true;
  /// Computes whatever is constant, however large, as onnxslim does; beside that every graph is as slim
  /// without.
  bool slim = false;
  bool post_process = true;  ///< Whether decoder_model_merged.onnx is written beside the two it is made of.
  bool monolith = false;     ///< An encoder and its decoder in one model.onnx, without a cache.
  bool validate = true;
  bool overwrite = false;  ///< Replace files of a folder that is no earlier export.
  enum class Weights : uint8_t {
    copy,      ///< The exported files hold their weights.
    in_place,  ///< The graph points into the checkpoint's own .safetensors, which lies in (or is cloned into)
               ///< the output.
    shared,    ///< All files refer to one model.onnx_data, in which each weight lies once.
  };
  Weights weights = Weights::copy;
  std::optional<int64_t> pad_token_id;
  ShapeOptions shapes;

  // Hub.
  std::string revision;             ///< "" : what follows the "@" of the model, else "main".
  std::filesystem::path cache_dir;  ///< Empty: as huggingface_hub chooses it.
  std::string token;                ///< Empty: as the environment says.
  bool offline = false;
  /// Where huggingface_hub's variables (HF_HOME, HF_TOKEN, ...) are read: std::getenv in the program. Unset:
  /// nowhere.
  std::function<const char*(const char*)> environment;

  std::filesystem::path onnxruntime;  ///< The library to validate with; empty: searched.
  const Log* log = nullptr;           ///< Messages and progress; nullptr: silent.
};

/// How one output of one file compared with the reference.
struct OutputValidation {
  std::string name;
  std::vector<int64_t> shape;
  double max_difference = 0;
  bool within_tolerance = true;
  std::optional<double> cosine = {};  ///< With the reference's, of a quantized model.
};

struct FileReport {
  std::string file;   ///< "model.onnx"
  std::string dtype;  ///< Of `dtypes`; else empty.
  uint64_t bytes = 0;
  uint64_t external_bytes = 0;
  size_t nodes = 0;
  size_t initializers = 0;
  std::vector<OutputValidation> validation;  ///< Empty if it was not validated.
};

struct ExportReport {
  std::string model_type;
  std::string task;
  std::string library;
  int opset = 0;
  double atol = 0;
  std::vector<FileReport> files;
  std::vector<std::string> copied;  ///< Configuration and tokenizer files.
  double seconds = 0;
};

/// Exports and, unless told not to, proves the result: the reference interpreter computes the original
/// weights, ONNX Runtime the written file, on two shapes with padding.
///
/// Nothing that looks finished is in the output folder before validation passed; an older export stays whole
/// on failure. Errors: Error of every code; Error{validation_failed} if the numbers differ by more than the
/// tolerance.
ExportReport main_export(const MainExportOptions& options);
/// The same with architectures of one's own beside ferry's (models/registry.h).
ExportReport main_export(const MainExportOptions& options, const models::Registry& registry);

/// What `ferry inspect` shows.
struct InputOutput {
  std::string name;
  std::string dtype;
  std::vector<std::string> axes;  ///< "batch_size", "768"
};
struct InspectedFile {
  std::string file;
  std::vector<InputOutput> inputs;
  std::vector<InputOutput> outputs;
};
struct ModelInfo {
  std::string model_type;
  std::string library;
  std::string task;                ///< That an export would take.
  std::vector<std::string> tasks;  ///< All that the architecture has.
  std::string format;              ///< Of the weights.
  uint64_t parameters = 0;
  std::map<std::string, uint64_t> parameters_by_dtype;
  std::vector<std::filesystem::path> weight_files;
  std::vector<InspectedFile>
      files;  ///< That an export would write; or, for a folder with .onnx files, those.
};

/// Looks at a checkpoint, or at an exported folder, or at one .onnx file; reads headers only.
/// Errors: as main_export.
ModelInfo inspect_model(const MainExportOptions& options);

/// Architectures and tasks that this build exports, as a Markdown table.
std::string supported_models_table();

}  // namespace ferry
