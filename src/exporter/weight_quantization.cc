#include "exporter/weight_quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "onnx/reader.h"
#include "passes/fold.h"
#include "passes/quantize/selection.h"

namespace ferry::exporter {
namespace {

struct Algorithm {
  const char* name;
  BlockAlgorithm algorithm;
};
constexpr std::array kAlgorithms = {Algorithm{"rtn", BlockAlgorithm::rtn},
                                    Algorithm{"mse", BlockAlgorithm::mse},
                                    Algorithm{"hqq", BlockAlgorithm::hqq}};

BlockAlgorithm algorithm_named(const std::string& name) {
  for (const auto& known : kAlgorithms) {
    if (name == known.name) return known.algorithm;
  }
  throw Error(ErrorCode::usage, fmt::format("the algorithm {} is not one of rtn, mse, hqq", printable(name)));
}

void check_bits(const char* what, int bits, bool may_be_floats) {
  if (bits == 4 || bits == 8 || (may_be_floats && bits == 0)) return;
  throw Error(ErrorCode::usage, fmt::format("{} of {} bits: not one of {}4, 8", what, bits,
                                            may_be_floats ? "0 (as it is), " : ""));
}

}  // namespace

passes::MatMulNBitsOptions nbits_options(const WeightQuantization& config) {
  check_bits("weights", config.bits, false);
  check_bits("a head", config.head_bits, true);
  check_bits("embeddings", config.embedding_bits, true);
  const int64_t level = config.accuracy_level;
  if (level != 0 && level != 1 && level != 4)
    throw Error(ErrorCode::usage, fmt::format("an accuracy level of {} is not one of 0, 1, 4", level));
  passes::MatMulNBitsOptions out;
  out.format = {config.bits, config.block_size, config.symmetric, algorithm_named(config.algorithm)};
  if (out.format.algorithm == BlockAlgorithm::hqq) out.format.symmetric = false;
  out.accuracy_level = level;
  out.head_bits = config.head_bits;
  out.embedding_bits = config.embedding_bits;
  if (!config.operators_to_quantize.empty()) out.nodes.operators = config.operators_to_quantize;
  for (const auto& name : out.nodes.operators) {
    if (name == "MatMul" || name == "Gemm" || name == "Gather") continue;
    throw Error(
        ErrorCode::usage,
        fmt::format("weights alone are quantized of MatMul, Gemm and Gather, not of {}", printable(name)));
  }
  out.nodes.nodes = config.nodes_to_quantize;
  out.nodes.excluded = config.nodes_to_exclude;
  return out;
}

ir::Graph read_to_quantize_weights(const std::filesystem::path& model, const WeightQuantization& config,
                                   const Log& log) {
  onnx::ReadOptions reading;
  reading.log = &log;
  ir::Graph graph = onnx::read_model(model, reading);
  passes::require_not_quantized(graph);
  // A head that stays in floats goes on sharing them with the embeddings.
  if (config.head_bits != 0) passes::untie_products(graph);
  return graph;
}

std::string describe(const WeightQuantization& config) {
  const auto options = nbits_options(config);
  return fmt::format("{} bits in blocks of {}{}{}", config.bits, config.block_size,
                     options.format.symmetric ? "" : " with zero points",
                     config.algorithm == "rtn" ? "" : fmt::format(" ({})", config.algorithm));
}

}  // namespace ferry::exporter
