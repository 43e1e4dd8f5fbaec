#pragma once
// Optimizing ONNX models: Optimum's ORTOptimizer and its configurations.
//
//   auto optimizer = ferry::ORTOptimizer::from_pretrained("out/");
//   optimizer.optimize(ferry::AutoOptimizationConfig::O2(), "out_o2/");
//
// Source: optimum-onnx 0.1.0, optimum/onnxruntime/{configuration,optimization}.py
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"

namespace ferry {

/// All parameters of an optimization; the names, meanings and defaults of Optimum's. They work on every
/// model type, and on models that no transformers class made.
///
/// Switches of what ferry does not do have no effect and are kept for ort_config.json: those of group norms,
/// split gelus, packed keys and values and NHWC convolutions (diffusion models), of gemm + gelu, and of
/// embedding layers, which ferry leaves to be quantized. The masks of an attention are kept exactly as the
/// model has them, so use_mask_index, use_raw_attention_mask and no_attention_mask have nothing to choose.
struct OptimizationConfig {
  int optimization_level = 1;  ///< 0: nothing; 1: constants and redundant nodes; 2 and 99: fusions, too.
  bool enable_transformers_specific_optimizations = true;
  /// Makes SkipLayerNormalization, which takes longer on the CPU than its parts. The graphs run on either.
  bool optimize_for_gpu = false;
  bool fp16 = false;  ///< Weights and arithmetic; inputs and outputs stay f32.

  bool disable_gelu_fusion = false;
  bool disable_attention_fusion = false;
  bool disable_bias_gelu_fusion = false;
  bool disable_layer_norm_fusion = false;
  bool disable_rotary_embeddings = false;
  bool disable_skip_layer_norm_fusion = false;
  bool disable_bias_skip_layer_norm_fusion = false;
  bool disable_skip_group_norm_fusion = false;
  bool disable_bias_splitgelu_fusion = false;
  bool disable_bias_add_fusion = false;
  bool disable_group_norm_fusion = true;
  bool disable_embed_layer_norm_fusion = true;
  bool enable_gemm_fast_gelu_fusion = false;

  bool use_mask_index = false;
  bool disable_packed_kv = true;
  bool no_attention_mask = false;
  bool use_raw_attention_mask = false;
  bool disable_shape_inference = false;
  bool use_multi_head_attention = false;
  bool enable_gelu_approximation = false;  ///< Gelu by tanh: changes numbers, up to 4.7e-4 each.
  bool use_group_norm_channels_first = false;
  bool disable_packed_qkv = false;
  bool disable_nhwc_conv = false;

  /// Errors: Error{usage} for a level that does not exist.
  void check() const;
};

/// Configurations by level.
///
/// O1   constants folded, redundant nodes taken out
/// O2   and the fusions of transformers: layer norms, gelus, attention, rotary embeddings
/// O3   and Gelu by tanh
/// O4   and half precision
struct AutoOptimizationConfig {
  static OptimizationConfig O1(bool for_gpu = false);  // NOLINT: Optimum's names.
  static OptimizationConfig O2(bool for_gpu = false);
  static OptimizationConfig O3(bool for_gpu = false);
  static OptimizationConfig O4(bool for_gpu = true);
  /// Errors: Error{usage} for another text than "O1" to "O4".
  static OptimizationConfig with_optimization_level(const std::string& level, bool for_gpu = false);
};

/// ort_config.json: what was done to a model, or what is to be done.
struct ORTConfig {
  std::optional<int> opset;
  bool use_external_data_format = false;
  bool one_external_file = true;
  std::optional<OptimizationConfig> optimization;

  /// Of the file, or of the ort_config.json of a folder.
  /// Errors: Error{not_found}; Error{invalid_config} that names a key which is unknown or of another type.
  static ORTConfig from_pretrained(const std::filesystem::path& file_or_folder);
  /// Writes `folder`/ort_config.json. Errors: Error{io}.
  void save_pretrained(const std::filesystem::path& folder) const;
};

/// What optimizing did to one file.
struct OptimizedFile {
  std::string file;  ///< "model_optimized.onnx"
  size_t nodes_before = 0;
  size_t nodes_after = 0;
  std::map<std::string, int64_t> operators;  ///< Nodes of each operator after - before, where they differ.
  std::map<std::string, size_t> raised;      ///< High-level operators recognized among primitives.
  std::map<std::string, size_t> fused;       ///< Nodes of ONNX Runtime's own operators made.
  std::vector<std::string> kept_in_fp32;     ///< Weights beyond what fp16 holds.
  std::map<std::string, double>
      max_difference;  ///< By output, against the model before; empty: not compared.
  uint64_t bytes = 0;  ///< With external data.
};
struct OptimizationReport {
  std::vector<OptimizedFile> files;
  double seconds = 0;
};

/// Optimizes the models of a folder: Optimum's ORTOptimizer, without its list of model types.
///
/// Each optimized graph is compared with the graph it came from, both in ONNX Runtime, on inputs made from
/// the graph's own declarations and the folder's config.json, in two shapes.
///
/// Inputs   a folder with .onnx files of opset 7 to 24, by whatever exporter
/// Outputs  <stem>_<suffix>.onnx, ort_config.json, and the configuration and tokenizer files beside the model
/// Errors   Error{not_found} without a model; Error{usage} for a configuration that contradicts itself;
///          Error{invalid_file}, Error{unsupported} that name a node; Error{validation_failed} if the numbers
///          drift. After an error the output folder is as it was.
/// Threads  an object is used by one thread at a time
class ORTOptimizer {
 public:
  /// `file_names` within the folder; none: model.onnx if it is there, else every .onnx file.
  /// Errors: Error{not_found}.
  static ORTOptimizer from_pretrained(const std::filesystem::path& folder,
                                      const std::vector<std::string>& file_names = {});

  struct SaveOptions {
    std::string file_suffix = "optimized";  ///< "": the models keep their names.
    bool validate = true;
    std::optional<double> atol;  ///< Nothing: 1e-4; 1e-2 with approximations and in half precision.
    std::set<std::string, std::less<>> keep_fp32;  ///< More operators that fp16 leaves in f32.
    std::filesystem::path onnxruntime;             ///< The library to validate with; empty: searched.
    const Log* log = nullptr;
  };
  OptimizationReport optimize(const OptimizationConfig& config, const std::filesystem::path& save_dir,
                              const SaveOptions& options) const;
  OptimizationReport optimize(const OptimizationConfig& config, const std::filesystem::path& save_dir) const {
    return optimize(config, save_dir, SaveOptions());
  }

  /// Nodes of com.microsoft by operator. Errors: Error{not_found}, Error{invalid_file}.
  static std::map<std::string, size_t> get_fused_operators(const std::filesystem::path& model);
  /// Nodes of `model` less those of `optimized`.
  static int64_t get_nodes_number_difference(const std::filesystem::path& model,
                                             const std::filesystem::path& optimized);
  /// The same by operator, where it is not 0.
  static std::map<std::string, int64_t> get_operators_difference(const std::filesystem::path& model,
                                                                 const std::filesystem::path& optimized);

  [[nodiscard]] const std::vector<std::filesystem::path>& models() const { return models_; }

 private:
  explicit ORTOptimizer(std::vector<std::filesystem::path> models) : models_(std::move(models)) {}
  std::vector<std::filesystem::path> models_;
};

}  // namespace ferry
