#include "exporter/quantize_graph.h"

#include "exporter/quantization_config.h"
#include "passes/quantize/dynamic.h"
#include "passes/quantize/static.h"
#include "tensor/host_tensor.h"

namespace ferry::exporter {
namespace {

DType dtype_of(QuantType type) {
  return type == QuantType::QInt8 ? DType::i8 : DType::u8;
}

passes::NodeSelection nodes_of(const QuantizationConfig& config) {
  return {operators_of(config), config.nodes_to_quantize, config.nodes_to_exclude};
}

passes::DynamicQuantization dynamic_options(const QuantizationConfig& config) {
  passes::DynamicQuantization out;
  out.weights = dtype_of(config.weights_dtype);
  out.weights_symmetric = config.weights_symmetric;
  out.activations_symmetric = config.activations_symmetric;
  out.per_channel = config.per_channel;
  out.reduce_range = config.reduce_range;
  out.matmul_const_b_only = config.matmul_const_b_only;
  out.nodes = nodes_of(config);
  return out;
}

passes::StaticQuantization static_options(const QuantizationConfig& config) {
  passes::StaticQuantization out;
  out.format =
      config.format == QuantFormat::QDQ ? passes::StaticFormat::qdq : passes::StaticFormat::qoperator;
  out.activations = dtype_of(config.activations_dtype);
  out.activations_symmetric = config.activations_symmetric;
  out.weights = dtype_of(config.weights_dtype);
  out.weights_symmetric = config.weights_symmetric;
  out.per_channel = config.per_channel;
  out.reduce_range = config.reduce_range;
  out.add_pair_to_weight = config.qdq_add_pair_to_weight;
  out.dedicated_pair = config.qdq_dedicated_pair;
  out.per_channel_axis = config.qdq_op_type_per_channel_support_to_axis;
  out.nodes = nodes_of(config);
  return out;
}

}  // namespace

passes::QuantizationResult quantize_graph(ir::Graph& graph, const QuantizationConfig& config,
                                          const TensorRanges& ranges) {
  return config.is_static ? passes::quantize_static(graph, ranges, static_options(config))
                          : passes::quantize_dynamic(graph, dynamic_options(config));
}

TensorRanges calibrated_ranges(const std::filesystem::path& model, const QuantizationConfig& config,
                               const Calibration& calibration, const std::filesystem::path& working_folder,
                               const Log* log) {
  ORTQuantizer::FitOptions fitting;
  fitting.operators_to_quantize = operators_of(config);
  fitting.force_symmetric_range = config.activations_symmetric && config.weights_symmetric;
  fitting.working_folder = working_folder;
  fitting.onnxruntime = calibration.onnxruntime;
  fitting.log = log;
  ORTQuantizer quantizer = ORTQuantizer::from_pretrained(model.parent_path(), model.filename().string());
  return quantizer.fit(calibration.samples(model), calibration.config, fitting);
}

}  // namespace ferry::exporter
