#pragma once
// Two ONNX models side by side: what a quantized, optimized or converted graph gains and what it loses.
//
//   const auto report = ferry::compare_models("out/", "out_q/", {.input = "data.jsonl"});
//   report.outputs[0].error.cosine;     // 0.998
//   report.agreement->rate();           // 0.99 of the answers stay the same
//   ferry::write_report(report, "out.html");
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ferry/modeling.h"

namespace ferry {

struct CompareOptions {
  /// One JSON object a line: {"text": "..."}, {"question", "context"}, {"image": path}, {"audio": path}, or
  /// inputs by name with lists of numbers. Empty: random inputs, as an export is validated on.
  std::filesystem::path input;
  size_t max_samples = 100;   ///< Lines beyond are not read; 0: all.
  uint64_t max_length = 512;  ///< Tokens of a text.
  int runs = 5;               ///< How often latency is measured on each of up to 16 samples.
  bool layers = false;        ///< Whether tensors inside both graphs are compared, by their names.
  bool weights = false;       ///< Whether weights are counted for a histogram.
  LoadOptions load;           ///< File name, threads, providers, library, log.
};

/// How far B is from A, over all samples.
struct ErrorFigures {
  double max_difference = 0;   ///< The largest |a - b|; infinite if B has values that are no numbers.
  double mean_difference = 0;  ///< Mean |a - b|.
  double relative = 0;         ///< |a - b| / |a|, Euclidean lengths.
  double cosine = 1;           ///< Mean over samples of the cosine between whole tensors.
  double least_cosine = 1;
  std::optional<double> kl;  ///< Of logits: mean KL divergence of the softmax along the last axis, in nats.
};
struct OutputComparison {
  std::string name;
  ErrorFigures error;
};
struct LayerComparison {
  std::string name;     ///< Of the tensor.
  std::string op_type;  ///< That makes it in A.
  ErrorFigures error;
};

/// Decisions that stay the same.
struct TaskAgreement {
  std::string of;  ///< "answer span", "label", "labels", "token label", "next token", "token", "frame", ...
  size_t same = 0, total = 0;
  [[nodiscard]] double rate() const {
    return total == 0 ? 1 : static_cast<double>(same) / static_cast<double>(total);
  }
};

struct ComparedModel {
  std::filesystem::path file;
  uint64_t bytes = 0;  ///< Of the file and the data beside it.
  size_t nodes = 0;
  double load_ms = 0;     ///< The quicker of two.
  double latency_ms = 0;  ///< Median of one sample's runs.
  std::vector<double> latencies_ms;
};

/// Of the weights with two dimensions or more, 8- and 4-bit ones as the numbers that they stand for.
struct WeightHistogram {
  double limit = 0;  ///< Bins divide [-limit, limit]; what lies beyond is in the outermost.
  std::vector<uint64_t> a, b;
};

/// What quantizing one node alone costs: what a search for a mixture of precisions finds.
struct NodeLoss {
  std::string name, op_type;
  double loss = 0;
  uint64_t saved = 0;  ///< Bytes that its integers save.
  bool kept = false;   ///< In floats.
};

struct ComparisonReport {
  ComparedModel a, b;
  size_t samples = 0;
  std::filesystem::path input;  ///< Empty: random inputs.
  std::vector<OutputComparison> outputs;
  std::optional<TaskAgreement> agreement;  ///< If outputs and config.json tell a task, and inputs are real.
  std::vector<LayerComparison> layers;     ///< In the order of A's graph.
  std::optional<WeightHistogram> weights;
  std::vector<NodeLoss> nodes;  ///< Of a search (ferry/quantization_search.h), for the page.
  std::string metric;           ///< Of their losses.
};

/// Compares `b` with `a`: folders or .onnx files, exported by ferry or anybody. The tokenizer or processor is
/// that of A's folder (B's, if A has no configuration).
/// Errors   Error{not_found} for a path without a model; Error{usage} if inputs or outputs differ by name;
///          Error{shape_mismatch} if an output differs in shape; those of the samples, by file and line;
///          Error{unsupported} where no example input can be made; Error{runtime}
/// Threads  one call at a time measures well
ComparisonReport compare_models(const std::filesystem::path& a, const std::filesystem::path& b,
                                const CompareOptions& options = {});

/// The report as one HTML file without scripts or links: its plots are SVG. Errors: Error{io}.
void write_report(const ComparisonReport& report, const std::filesystem::path& html);

}  // namespace ferry
