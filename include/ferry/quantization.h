#pragma once
// Quantizing ONNX models: Optimum's ORTQuantizer and its configurations.
// Source: optimum-onnx 0.1.0, optimum/onnxruntime/{configuration,quantization}.py
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"

namespace ferry {

struct HostTensor;
namespace exporter {
class Calibrator;
}

enum class QuantType : uint8_t { QInt8, QUInt8 };
enum class QuantFormat : uint8_t { QOperator, QDQ };
enum class QuantizationMode : uint8_t { IntegerOps, QLinearOps };

/// All parameters of a quantization; the names and meanings of Optimum's. Defaults are dynamic quantization.
struct QuantizationConfig {
  bool is_static = false;
  QuantFormat format = QuantFormat::QOperator;
  QuantizationMode mode = QuantizationMode::IntegerOps;  ///< Static quantization wants QLinearOps.
  QuantType activations_dtype = QuantType::QUInt8;
  bool activations_symmetric = false;
  QuantType weights_dtype = QuantType::QInt8;
  bool weights_symmetric = true;
  bool per_channel = false;
  bool reduce_range = false;  ///< Weights of 7 bits: for processors with AVX2 or AVX-512 without VNNI.
  std::vector<std::string> nodes_to_quantize;      ///< Names; empty: all of `operators_to_quantize`.
  std::vector<std::string> nodes_to_exclude;       ///< Names.
  std::vector<std::string> operators_to_quantize;  ///< Empty: all that the format and mode have.
  bool qdq_add_pair_to_weight = false;  ///< Weights stay floats, with QuantizeLinear and DequantizeLinear.
  bool qdq_dedicated_pair = false;      ///< Each user of a tensor has a pair of its own.
  std::map<std::string, int64_t> qdq_op_type_per_channel_support_to_axis = {{"MatMul", 1}};

  /// ferry's own: whether a MatMul of two activations stays in floating point (dynamic quantization).
  bool matmul_const_b_only = true;

  /// Errors: Error{usage} for combinations that ONNX Runtime does not run.
  void check() const;
  /// "QOperator (mode: IntegerOps, schema: u8/s8, channel-wise: False)"
  [[nodiscard]] std::string str() const;
};

/// Configurations fit for a processor. All but tensorrt() are dynamic unless asked to be static.
struct AutoQuantizationConfig {
  struct Options {
    bool is_static = false;
    bool use_symmetric_activations = false;
    bool use_symmetric_weights = true;
    bool per_channel = true;
    bool reduce_range = false;  ///< avx2 and avx512 only.
    std::vector<std::string> nodes_to_quantize, nodes_to_exclude, operators_to_quantize;
  };
  static QuantizationConfig arm64(const Options& options);
  static QuantizationConfig avx2(const Options& options);
  static QuantizationConfig avx512(const Options& options);
  static QuantizationConfig avx512_vnni(const Options& options);
  static QuantizationConfig ppc64le(const Options& options);
  /// Static, symmetric, with QuantizeLinear and DequantizeLinear pairs.
  static QuantizationConfig tensorrt(const Options& options);
  /// By its name. Errors: Error{usage} for an unknown one.
  static QuantizationConfig named(const std::string& preset, const Options& options);
};

/// Weights alone, in blocks with a scale each: com.microsoft's MatMulNBits and GatherBlockQuantized.
/// Activations stay floats in the model.
struct WeightQuantization {
  int bits = 4;             ///< 4 or 8.
  int64_t block_size = 32;  ///< Weights that share a scale: 16, 32, 64, 128 or 256.
  bool symmetric = true;    ///< Without zero points.
  /// "rtn": a scale from the extremes of its block; "mse": the one of the least squared error; "hqq":
  /// half-quadratic quantization, whose blocks have zero points whatever `symmetric` says.
  std::string algorithm = "rtn";
  int head_bits = 0;  ///< Of a language model's head: 4, 8, or 0 to leave it in floats.
  int embedding_bits =
      0;  ///< Of the tables that input_ids are looked up in: 4, 8, or 0 to leave them in floats.
  int64_t accuracy_level =
      4;  ///< What ONNX Runtime multiplies with: 4 is 8-bit integers, 0 and 1 are floats.
  std::vector<std::string> nodes_to_quantize;      ///< Names; empty: all of `operators_to_quantize`.
  std::vector<std::string> nodes_to_exclude;       ///< Names.
  std::vector<std::string> operators_to_quantize;  ///< Of MatMul, Gemm and Gather; empty: all three.
};

enum class CalibrationMethod : uint8_t { MinMax, Entropy, Percentile };

/// How ranges of activations are found on data, for static quantization; the names of Optimum's.
struct CalibrationConfig {
  std::string dataset_name;  ///< For people: it is shown.
  CalibrationMethod method = CalibrationMethod::MinMax;
  int64_t num_bins = 128;            ///< Of the histograms of Percentile and Entropy.
  int64_t num_quantized_bins = 128;  ///< Entropy: of the distributions compared; at most num_bins.
  double percentile = 99.999;        ///< Percentile: of the numbers that the range holds.
  bool moving_average = false;       ///< MinMax: means over samples, instead of the extremes.
  double averaging_constant = 0.01;  ///< MinMax: the weight of what another partial_fit() brings.

  /// Errors: Error{usage} for numbers out of their range.
  void check() const;
  /// "MinMax", with what belongs to the method.
  [[nodiscard]] std::string str() const;
};

/// Configurations by method, with Optimum's defaults. Errors: those of CalibrationConfig::check().
struct AutoCalibrationConfig {
  static CalibrationConfig minmax(bool moving_average = false, double averaging_constant = 0.01);
  static CalibrationConfig entropy(int64_t num_bins = 128, int64_t num_quantized_bins = 128);
  static CalibrationConfig percentiles(int64_t num_bins = 2048, double percentile = 99.999);
};

/// The inputs of one run, by name.
using CalibrationSample = std::map<std::string, HostTensor>;
/// The least and the largest number that each tensor's integers are to reach, by its name.
using TensorRanges = std::map<std::string, std::pair<float, float>>;

/// What quantizing did to one file.
struct QuantizedFile {
  struct Node {
    std::string name, op_type;
    std::string why;  ///< Of a node that was kept in floating point.
  };
  std::string file;           ///< "model_quantized.onnx"
  uint64_t bytes_before = 0;  ///< With external data.
  uint64_t bytes_after = 0;
  std::vector<Node> quantized;
  std::vector<Node> kept;  ///< Of the operators to quantize, those that stay, with the reason.
};
struct QuantizationReport {
  std::vector<QuantizedFile> files;
  double seconds = 0;
};

/// Quantizes the model of a folder.
///
/// Inputs   a folder as exported, or any folder with .onnx files
/// Outputs  <stem>_quantized.onnx, ort_config.json, and the configuration and tokenizer files beside the
///          model
/// Errors   Error{not_found} without a model; Error{usage} for a quantized model, an unknown node name, a
///          configuration that contradicts itself, static quantization without ranges; Error{unsupported}
///          for static quantization of a model with subgraphs; Error{invalid_file} for a broken model or
///          weights with NaN. After an error the output folder is as it was.
/// Threads  an object is used by one thread at a time
/// Source   optimum-onnx 0.1.0, ORTQuantizer
class ORTQuantizer {
 public:
  /// `file_name` chooses among several models. Errors: Error{not_found}, Error{usage} for several without
  /// one.
  static ORTQuantizer from_pretrained(const std::filesystem::path& folder, const std::string& file_name = "");

  struct FitOptions {
    /// Whose tensors get ranges: those of the quantization that follows. Empty: all.
    std::vector<std::string> operators_to_quantize;
    bool force_symmetric_range = false;
    /// Where a copy of the model lies meanwhile, with all those tensors as results. Empty: the system's
    /// folder for temporary files.
    std::filesystem::path working_folder;
    std::filesystem::path onnxruntime;  ///< The library; empty: searched.
    const Log* log = nullptr;
  };
  /// Runs the model on the samples in ONNX Runtime and gives the ranges of its tensors. Memory is for the
  /// activations of one sample and for histograms; by Entropy and Percentile each sample is run twice.
  /// Errors: Error{usage} for numbers out of their range, no samples, and a sample that lacks an input;
  /// Error{dtype_mismatch}, Error{shape_mismatch} for one that is not as declared, and those of the class.
  TensorRanges fit(const std::vector<CalibrationSample>& dataset, const CalibrationConfig& config,
                   const FitOptions& options);
  /// In parts: histograms grow, averages move. The first call's configuration and options hold.
  void partial_fit(const std::vector<CalibrationSample>& dataset, const CalibrationConfig& config,
                   const FitOptions& options);
  /// Errors: Error{usage} without a partial_fit().
  [[nodiscard]] TensorRanges compute_ranges() const;

  struct SaveOptions {
    std::string file_suffix = "quantized";
    bool use_external_data_format = false;
    const Log* log = nullptr;
    TensorRanges calibration_tensors_range;  ///< Those of fit(): for static quantization.
    /// Called with each model before any is put in place: an Error that it throws leaves nothing behind.
    std::function<void(const std::filesystem::path& model)> check = {};
  };
  /// Weights stream from file to file: memory does not depend on the size of the model.
  QuantizationReport quantize(const QuantizationConfig& config, const std::filesystem::path& save_dir,
                              const SaveOptions& options) const;
  QuantizationReport quantize(const QuantizationConfig& config, const std::filesystem::path& save_dir) const {
    return quantize(config, save_dir, SaveOptions());
  }
  /// Weights alone. No ort_config.json is written: Optimum has no words for it.
  QuantizationReport quantize(const WeightQuantization& config, const std::filesystem::path& save_dir,
                              const SaveOptions& options) const;

  [[nodiscard]] const std::filesystem::path& model() const { return model_; }

 private:
  explicit ORTQuantizer(std::filesystem::path model) : model_(std::move(model)) {}
  std::filesystem::path model_;
  std::shared_ptr<exporter::Calibrator> calibrator_;
};

/// Data for the static quantization of a folder's models.
struct Calibration {
  CalibrationConfig config;
  /// The samples for one of the models: they have its inputs.
  std::function<std::vector<CalibrationSample>(const std::filesystem::path& model)> samples;
  std::filesystem::path onnxruntime;  ///< The library; empty: searched.
};

/// Every .onnx file of a folder, as `optimum-cli onnxruntime quantize`; statically with a `calibration`.
/// Errors: as ORTQuantizer; Error{usage} if both folders are the same.
QuantizationReport quantize_folder(const std::filesystem::path& folder, const QuantizationConfig& config,
                                   const std::filesystem::path& save_dir,
                                   const ORTQuantizer::SaveOptions& options,
                                   const Calibration* calibration = nullptr);
/// The same for weights alone.
QuantizationReport quantize_folder(const std::filesystem::path& folder, const WeightQuantization& config,
                                   const std::filesystem::path& save_dir,
                                   const ORTQuantizer::SaveOptions& options);

}  // namespace ferry
