#include "exporter/export_quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "exporter/weight_quantization.h"
#include "passes/fold.h"
#include "passes/quantize/dynamic.h"
#include "passes/quantize/matmul_nbits.h"
#include "passes/quantize/stored_blocks.h"

namespace ferry::exporter {
namespace {

// What the outputs of all runs have in common with the reference's.
struct Agreement {
  double product = 0, ours = 0, theirs = 0, largest = 0;

  void add(const HostTensor& expected, const HostTensor& found) {
    const HostTensor a = expected.to_f32(), b = found.to_f32();
    for (size_t i = 0; i < a.count(); ++i) {
      const double x = a.as<float>()[i], y = b.as<float>()[i];
      product += x * y;
      theirs += x * x;
      ours += y * y;
      largest = std::max(largest, std::isfinite(y) ? std::abs(x - y) : INFINITY);
    }
  }
  [[nodiscard]] double cosine() const {
    if (ours == 0 || theirs == 0) return ours == theirs ? 1 : 0;
    return product / std::sqrt(ours * theirs);
  }
};

WeightQuantization weights_of(const ExportQuantization& how) {
  WeightQuantization out;
  out.bits = how.method == "int8-weights" ? 8 : 4;
  out.block_size = how.block_size;
  out.symmetric = how.symmetric;
  out.algorithm = how.algorithm;
  out.head_bits = how.head_bits;
  out.embedding_bits = how.embedding_bits;
  out.accuracy_level = how.accuracy_level;
  return out;
}

}  // namespace

bool is_weights_alone(const ExportQuantization& how) {
  return how.method == "int4" || how.method == "int8-weights";
}

void check_quantization(const MainExportOptions& options) {
  const std::string& method = options.quantization.method;
  const ExportQuantization none;
  const bool has_blocks = options.quantization.block_size != none.block_size ||
                          options.quantization.symmetric != none.symmetric ||
                          options.quantization.algorithm != none.algorithm ||
                          options.quantization.head_bits != none.head_bits ||
                          options.quantization.embedding_bits != none.embedding_bits;
  const bool has_int4 = is_weights_alone(options.quantization) ||
                        std::any_of(options.dtypes.begin(), options.dtypes.end(),
                                    [](const auto& dtype) { return starts_with(dtype, "q4"); });
  if (has_blocks && !has_int4)
    throw Error(
        ErrorCode::usage,
        "--block-size, --asymmetric, --algorithm, --head-bits and --embedding-bits belong to --quantize int4 "
        "and int8-weights");
  (void)nbits_options(weights_of(options.quantization));
  if (method.empty()) return;
  if (method != "int8" && method != "uint8" && !is_weights_alone(options.quantization)) {
    throw Error(ErrorCode::usage, fmt::format("--quantize {} is not one of int8, uint8, int4, int8-weights",
                                              printable(method)));
  }
  const auto refuse = [&](const std::string& flag) {
    throw Error(
        ErrorCode::usage,
        fmt::format("--quantize {} makes integers of fp32 weights: it cannot go with {}", method, flag));
  };
  if (options.dtype != "fp32") refuse("--dtype " + options.dtype);
  if (options.optimize == "O4") refuse("--optimize O4");
  if (options.weights == MainExportOptions::Weights::in_place) refuse("--weights in-place");
}

namespace {

bool take_stored(ir::Graph& graph, int64_t accuracy_level, const std::string& file, const Log& log) {
  const auto taken = passes::take_stored_blocks(graph, accuracy_level);
  if (taken.products > 0)
    log.info(fmt::format("{}: the integers of {} products are the checkpoint's own", file, taken.products));
  if (!taken.kept.empty()) {
    log.warning(
        fmt::format("{}: the integers of {} products lie in no blocks that MatMulNBits has; they are "
                    "written as floats: {}",
                    file, taken.kept.size(), join(taken.kept, ", ", 5)));
  }
  return taken.products > 0;
}

}  // namespace

bool quantize_weights(ir::Graph& graph, const ExportQuantization& how, bool half, const std::string& file,
                      const Log& log) {
  // ONNX Runtime 1.32 multiplies f16 by 8-bit integers wrongly where its own optimizer does not take the node
  // first.
  const int64_t accuracy_level = half ? 0 : how.accuracy_level;
  const bool rounds = take_stored(graph, accuracy_level, file, log) && accuracy_level == 4;
  if (!is_weights_alone(how)) return rounds;
  auto config = weights_of(how);
  config.accuracy_level = accuracy_level;
  if (how.head_bits != 0) passes::untie_products(graph);
  const auto result = passes::quantize_matmul_nbits(graph, nbits_options(config));
  std::vector<std::string> kept;
  for (const auto& node : result.kept) kept.push_back(node.name);
  log.info(fmt::format("{}: the weights of {} nodes quantized to {}{}", file, result.quantized.size(),
                       describe(config), kept.empty() ? "" : "; left as they are: " + join(kept)));
  return true;
}

void quantize_dynamic(ir::Graph& graph, const ExportQuantization& how, const std::string& file,
                      const Log& log) {
  if (how.method != "int8" && how.method != "uint8") return;
  passes::DynamicQuantization options;
  options.weights = how.method == "int8" ? DType::i8 : DType::u8;
  options.nodes.operators = passes::dynamic_operators();
  options.per_channel = true;  // One scale a weight costs MiniLM's embeddings 4 % of their cosine.
  passes::untie_products(graph);
  const auto result = passes::quantize_dynamic(graph, options);
  log.info(fmt::format("{}: {} nodes quantized to {}, {} of their kind left as they are", file,
                       result.quantized.size(), how.method, result.kept.size()));
  ir::verify(graph);
}

std::vector<OutputValidation> compare_quantized(const std::vector<ReferenceRun>& reference,
                                                const ort::Session& session,
                                                const std::vector<std::string>& output_names,
                                                const std::string& shown, const Log& log) {
  log.info(fmt::format("\nComparing quantized ONNX model {} with the reference...", shown));
  std::vector<Agreement> agreements(output_names.size());
  std::vector<OutputValidation> out;
  for (const auto& name : output_names) out.push_back({name, {}, 0, true});
  for (const ReferenceRun& run : reference) {
    const auto found = session.run(run.inputs, output_names);
    for (size_t i = 0; i < output_names.size(); ++i) {
      const HostTensor& expected = run.outputs.at(output_names[i]);
      if (out[i].shape.empty()) out[i].shape = expected.dims;
      if (expected.dims != found[i].dims) {
        out[i].within_tolerance = false;
        log.error(fmt::format("\t-[x] {}: shape {} doesn't match {}", output_names[i],
                              to_string(found[i].dims), to_string(expected.dims)));
      } else {
        agreements[i].add(expected, found[i]);
      }
    }
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const double cosine = agreements[i].cosine();
    out[i].max_difference = agreements[i].largest;
    out[i].cosine = cosine;
    // A NaN compares with nothing.
    out[i].within_tolerance = out[i].within_tolerance && cosine >= kLeastCosine;
    log.info(fmt::format("\t-[{}] \"{}\": max diff {:.3g}, cosine {:.5f}",
                         out[i].within_tolerance ? "✓" : "x", out[i].name, out[i].max_difference, cosine));
  }
  return out;
}

}  // namespace ferry::exporter
