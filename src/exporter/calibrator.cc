#include "exporter/calibrator.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"
#include "onnx/reader.h"
#include "onnx/writer.h"
#include "passes/fold.h"
#include "passes/quantize/static.h"

namespace ferry::exporter {
namespace {
namespace fs = std::filesystem;

const Log& log_of(const ORTQuantizer::FitOptions& options) {
  static const Log silent;
  return options.log != nullptr ? *options.log : silent;
}

fs::path working_folder(const ORTQuantizer::FitOptions& options) {
  if (!options.working_folder.empty()) return options.working_folder;
  std::error_code error;
  fs::path out = fs::temp_directory_path(error);
  if (error) throw Error(ErrorCode::io, "there is no folder for temporary files: " + error.message());
  return out;
}

passes::RangeOptions range_options(const CalibrationConfig& config, bool symmetric) {
  passes::RangeOptions out;
  out.method = config.method == CalibrationMethod::MinMax    ? passes::RangeMethod::minmax
               : config.method == CalibrationMethod::Entropy ? passes::RangeMethod::entropy
                                                             : passes::RangeMethod::percentile;
  out.symmetric = symmetric;
  out.moving_average = config.moving_average;
  out.averaging_constant = static_cast<float>(config.averaging_constant);
  out.num_bins = static_cast<size_t>(config.num_bins);
  out.num_quantized_bins = static_cast<size_t>(config.num_quantized_bins);
  out.percentile = config.percentile;
  return out;
}

// As the file computes them: nothing is fused, so that every tensor is there.
std::unique_ptr<ort::Session> open_session(const fs::path& model, const fs::path& library) {
  ort::RuntimeOptions runtime;
  runtime.library = library;
  ort::SessionOptions options;
  options.severity = LogLevel::error;
  options.graph_optimization = ort::GraphOptimization::none;
  options.memory_pattern = false;
  return std::make_unique<ort::Session>(ort::Runtime::open(runtime), model, options);
}

}  // namespace

ir::Graph read_to_quantize(const fs::path& model, const Log& log) {
  onnx::ReadOptions reading;
  reading.log = &log;
  ir::Graph graph = onnx::read_model(model, reading);
  passes::untie_products(graph);
  return graph;
}

Calibrator::Calibrator(const fs::path& model, const CalibrationConfig& config,
                       const ORTQuantizer::FitOptions& options)
    : log_(options.log), folder_(working_folder(options)) {
  config.check();
  const Log& log = log_of(options);
  ir::Graph graph = read_to_quantize(model, log);
  const auto wanted = passes::tensors_to_calibrate(graph, options.operators_to_quantize);
  if (wanted.empty()) {
    throw Error(ErrorCode::usage,
                "the model has nothing that these options quantize: no f32 tensor belongs "
                "to an operator that is asked for");
  }
  const std::set<const ir::Value*> inputs(graph.inputs.begin(), graph.inputs.end());
  const auto collecting = range_options(config, options.force_symmetric_range);
  for (const ir::Value* value : wanted)
    tensors_.push_back({value->name, inputs.count(value) > 0, passes::RangeCollector(collecting)});
  log.info(fmt::format("Creating calibrator: {}", config.str()));
  write_with_results(graph, log);
  session_ = open_session(folder_.path() / "model.onnx", options.onnxruntime);
}

void Calibrator::write_with_results(ir::Graph& graph, const Log& log) {
  std::set<std::string> wanted;
  for (const Tensor& tensor : tensors_) {
    if (tensor.is_input) continue;
    wanted.insert(tensor.name);
    results_.push_back(tensor.name);
  }
  for (const ir::Value* output : graph.outputs) wanted.erase(output->name);
  for (const auto& node : graph.nodes()) {
    for (ir::Value* output : node->outputs) {
      if (output != nullptr && wanted.count(output->name) > 0) graph.outputs.push_back(output);
    }
  }
  onnx::WriteOptions writing;
  writing.weights = onnx::WriteOptions::Weights::external;  // ONNX Runtime maps them.
  writing.sync = false;
  writing.log = &log;
  writing.progress = "Preparing calibration";
  onnx::write_model(graph, {folder_.file("model.onnx"), folder_.file("model.onnx_data")}, writing);
}

void Calibrator::run(const CalibrationSample& sample, Take take) {
  std::vector<ort::OrtTensor> held;
  std::vector<ort::Session::Feed> feeds;
  held.reserve(sample.size());
  for (const auto& input : session_->inputs()) {
    const auto found = sample.find(input.name);
    if (found == sample.end()) {
      throw Error(ErrorCode::usage,
                  fmt::format("it has no input \"{}\" ({})", printable(input.name), ort::describe(input)));
    }
    held.push_back(ort::OrtTensor::view(session_->runtime(), found->second));
    feeds.push_back({found->first, &held.back()});
  }
  std::vector<ort::OrtTensor> results;
  if (!results_.empty()) results = session_->run(feeds, results_);
  std::vector<std::span<const float>> numbers;
  for (size_t i = 0, result = 0; i < tensors_.size(); ++i) {
    numbers.push_back(tensors_[i].is_input ? sample.at(tensors_[i].name).as<float>()
                                           : results[result++].as<float>());
  }
  parallel_for(tensors_.size(), [&](size_t i) { (tensors_[i].collector.*take)(numbers[i]); });
}

void Calibrator::run_all(const std::vector<CalibrationSample>& samples, Take take, const char* what) {
  for (size_t i = 0; i < samples.size(); ++i) {
    with_context(fmt::format("calibration sample {}", i + 1), [&] { run(samples[i], take); });
    if (log_ != nullptr) log_->progress(what, i + 1, samples.size());
  }
}

void Calibrator::collect(const std::vector<CalibrationSample>& samples) {
  if (samples.empty()) throw Error(ErrorCode::usage, "there are no samples to calibrate with");
  run_all(samples, &passes::RangeCollector::look, "Calibrating");
  for (Tensor& tensor : tensors_) tensor.collector.end_looks();
  if (tensors_[0].collector.needs_counts())
    run_all(samples, &passes::RangeCollector::count, "Counting numbers");
}

TensorRanges Calibrator::ranges() const {
  TensorRanges out;
  std::vector<std::pair<float, float>> found(tensors_.size());
  parallel_for(tensors_.size(), [&](size_t i) {
    found[i] = tensors_[i].collector.range().value_or(std::pair{0.0f, 0.0f});
  });
  for (size_t i = 0; i < tensors_.size(); ++i) out[tensors_[i].name] = found[i];
  return out;
}

}  // namespace ferry::exporter
