// Static quantization: ranges, integers and graphs of ONNX Runtime's calibrators and quantizer
// (tools/oracle/make_static_quantization_cases.py).
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "exporter/ort_config.h"
#include "exporter/quantization_config.h"
#include "ferry/quantization.h"
#include "onnx/reader.h"
#include "onnx/writer.h"
#include "ort/session.h"
#include "passes/quantize/static.h"
#include "support/test_folder.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kData = fs::path(FERRY_TEST_DATA) / "quantization/static";
const std::vector<std::string> kModels = {"encoder", "image", "text"};

void expect_error(ErrorCode code, const std::string& text, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(text));
    return;
  }
  ADD_FAILURE() << "no error";
}

void flatten(const nlohmann::json& list, size_t depth, Dims& dims, std::vector<double>& out) {
  if (!list.is_array()) return out.push_back(list.get<double>());
  if (dims.size() == depth) dims.push_back(static_cast<int64_t>(list.size()));
  for (const auto& item : list) flatten(item, depth + 1, dims, out);
}

std::vector<CalibrationSample> samples_of(const std::string& model) {
  std::vector<CalibrationSample> out;
  const nlohmann::json listed(read_json(kData / model / "samples.json"));
  for (const auto& sample : listed) {
    CalibrationSample made;
    for (const auto& [name, list] : sample.items()) {
      Dims dims;
      std::vector<double> numbers;
      flatten(list, 0, dims, numbers);
      made[name] = name == "pixel_values" ? HostTensor::f32(dims, {numbers.begin(), numbers.end()})
                                          : HostTensor::i64(dims, {numbers.begin(), numbers.end()});
    }
    out.push_back(std::move(made));
  }
  return out;
}

TensorRanges ranges_of(const nlohmann::json& json) {
  TensorRanges out;
  for (const auto& [name, range] : json.items())
    out[name] = {static_cast<float>(range[0].get<double>()), static_cast<float>(range[1].get<double>())};
  return out;
}

CalibrationConfig config_of(const nlohmann::json& options) {
  CalibrationConfig out;
  const std::string method = options.at("method");
  out.method = method == "MinMax"    ? CalibrationMethod::MinMax
               : method == "Entropy" ? CalibrationMethod::Entropy
                                     : CalibrationMethod::Percentile;
  out.num_bins = options.value("num_bins", out.num_bins);
  out.num_quantized_bins = options.value("num_quantized_bins", out.num_quantized_bins);
  out.percentile = options.value("percentile", out.percentile);
  out.moving_average = options.value("moving_average", false);
  out.averaging_constant = options.value("averaging_constant", out.averaging_constant);
  return out;
}

TensorRanges fitted(const std::string& model, const nlohmann::json& options) {
  const auto samples = samples_of(model);
  auto quantizer = ORTQuantizer::from_pretrained(kData / model, "model.onnx");
  ORTQuantizer::FitOptions fitting;
  fitting.force_symmetric_range = options.value("symmetric", false);
  const size_t parts = options.value("parts", 1);
  for (size_t i = 0; i < parts; ++i) {
    const auto begin = samples.begin() + static_cast<std::ptrdiff_t>(i * samples.size() / parts);
    const auto end = samples.begin() + static_cast<std::ptrdiff_t>((i + 1) * samples.size() / parts);
    quantizer.partial_fit({begin, end}, config_of(options), fitting);
  }
  return quantizer.compute_ranges();
}

class Ranges : public ::testing::TestWithParam<std::string> {};

TEST_P(Ranges, AreThoseOfOnnxRuntimesCalibrators) {
  const nlohmann::json calibrated(read_json(kData / GetParam() / "ranges.json"));
  for (const auto& [name, expected] : calibrated.items()) {
    SCOPED_TRACE(name);
    const TensorRanges found = fitted(GetParam(), expected.at("options"));
    const TensorRanges wanted = ranges_of(expected.at("ranges"));
    EXPECT_EQ(found.size(), wanted.size());
    for (const auto& [tensor, range] : wanted) {
      SCOPED_TRACE(tensor);
      ASSERT_TRUE(found.count(tensor) > 0);
      const auto [low, high] = found.at(tensor);
      EXPECT_NEAR(low, range.first, 1e-6 * std::max(1.0f, std::abs(range.first)));
      EXPECT_NEAR(high, range.second, 1e-6 * std::max(1.0f, std::abs(range.second)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Ranges, ::testing::ValuesIn(kModels),
                         [](const auto& instance) { return instance.param; });

struct Case {
  std::string model, name;
};
void PrintTo(const Case& of, std::ostream* out) {
  *out << of.model << "/" << of.name;
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const auto& model : kModels) {
    for (const auto& entry : fs::directory_iterator(kData / model)) {
      const std::string name = entry.path().stem().string();
      if (entry.path().extension() == ".onnx" && name != "model") out.push_back({model, name});
    }
  }
  std::sort(out.begin(), out.end(),
            [](const Case& a, const Case& b) { return a.model + a.name < b.model + b.name; });
  return out;
}

passes::StaticQuantization options_of(const fs::path& file) {
  const nlohmann::json json(read_json(file));
  passes::StaticQuantization out;
  if (json.value("format", "qdq") == "qoperator") out.format = passes::StaticFormat::qoperator;
  out.activations = json.value("activations", "u8") == "s8" ? DType::i8 : DType::u8;
  out.weights = json.value("weights", "s8") == "u8" ? DType::u8 : DType::i8;
  out.activations_symmetric = json.value("activations_symmetric", false);
  out.weights_symmetric = json.value("weights_symmetric", true);
  out.per_channel = json.value("per_channel", false);
  out.reduce_range = json.value("reduce_range", false);
  out.add_pair_to_weight = json.value("add_pair_to_weight", false);
  out.dedicated_pair = json.value("dedicated_pair", false);
  out.per_channel_axis = json.value("per_channel_axis", out.per_channel_axis);
  out.nodes.operators = json.value("operators", passes::static_operators(out.format));
  out.nodes.nodes = json.value("nodes_to_quantize", std::vector<std::string>());
  out.nodes.excluded = json.value("nodes_to_exclude", std::vector<std::string>());
  return out;
}

std::string text_of(const ir::Node& node) {
  std::string out = node.domain + ":" + node.op_type + " " + node.name + " (";
  for (const ir::Value* input : node.inputs) out += (input == nullptr ? "" : input->name) + ", ";
  out += ") ->";
  for (const ir::Value* output : node.outputs) out += " " + output->name;
  for (const auto& [name, value] : node.attributes) {
    out += " " + name;
    if (const auto* number = std::get_if<int64_t>(&value)) out += "=" + std::to_string(*number);
    if (const auto* number = std::get_if<float>(&value)) out += "=" + std::to_string(*number);
  }
  return out;
}

std::multiset<std::string> nodes_of(const ir::Graph& graph) {
  std::multiset<std::string> out;
  for (const auto& node : graph.nodes()) out.insert(text_of(*node));
  return out;
}

ort::Session session_of(const fs::path& model) {
  ort::SessionOptions options;
  options.severity = LogLevel::error;
  return ort::Session(ort::Runtime::open(), model, options);
}

class Static : public ::testing::TestWithParam<Case> {};

TEST_P(Static, GivesTheGraphOfOnnxRuntimesQuantizer) {
  const auto& [model, name] = GetParam();
  const fs::path folder = kData / model;
  ir::Graph graph = onnx::read_model(folder / "model.onnx");
  const ir::Graph expected = onnx::read_model(folder / (name + ".onnx"));
  const nlohmann::json calibrated(read_json(folder / "ranges.json"));
  const auto ranges = ranges_of(calibrated.at("minmax").at("ranges"));
  const auto result = passes::quantize_static(graph, ranges, options_of(folder / (name + ".json")));
  ir::verify(graph);
  EXPECT_FALSE(result.quantized.empty());
  std::map<std::string, const ir::Value*> ours;
  for (const ir::Value* value : graph.used_weights()) ours[value->name] = value;
  for (const ir::Value* value : expected.used_weights()) {
    SCOPED_TRACE(value->name);
    ASSERT_TRUE(ours.count(value->name) > 0);
    const Weight& mine = *ours[value->name]->weight;
    EXPECT_EQ(mine.dtype(), value->weight->dtype());
    EXPECT_EQ(mine.dims(), value->weight->dims());
    EXPECT_TRUE(mine.bytes() == value->weight->bytes());
  }
  EXPECT_EQ(ours.size(), expected.used_weights().size());
  EXPECT_EQ(nodes_of(graph), nodes_of(expected));

  const fs::path out = ferry::testing::fresh_test_folder();
  fs::create_directories(out);
  onnx::write_model(graph, {out / "model.onnx", out / "model.onnx_data"});
  const ort::Session mine = session_of(out / "model.onnx"), theirs = session_of(folder / (name + ".onnx"));
  for (const auto& sample : samples_of(model)) {
    const auto found = mine.run(sample), wanted = theirs.run(sample);
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_TRUE(found[i].bytes == wanted[i].bytes);
  }
  fs::remove_all(out);
}

INSTANTIATE_TEST_SUITE_P(Cases, Static, ::testing::ValuesIn(cases()), [](const auto& instance) {
  return instance.param.model + "_" + instance.param.name;
});

class StaticFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(in_);
    fs::copy(kData / "image/model.onnx", in_ / "model.onnx");
    std::ofstream(in_ / "config.json") << "{}";
  }
  void TearDown() override { fs::remove_all(root_); }

  static Calibration calibration(const CalibrationConfig& config) {
    return {config, [](const fs::path&) { return samples_of("image"); }, {}};
  }

  fs::path root_ = ferry::testing::fresh_test_folder();
  fs::path in_ = root_ / "in", out_ = root_ / "out";
};

TEST_F(StaticFolder, IsCalibratedQuantizedAndClose) {
  const auto config = AutoQuantizationConfig::avx512_vnni({.is_static = true});
  const Calibration with = calibration(AutoCalibrationConfig::percentiles());
  const auto report = quantize_folder(in_, config, out_, {}, &with);
  EXPECT_EQ(report.files.at(0).file, "model_quantized.onnx");
  EXPECT_THAT(report.files[0].quantized.size(), ::testing::Ge(12u));
  const auto saved = exporter::read_ort_config(out_ / "ort_config.json");
  EXPECT_EQ(saved.quantization.at("format"), "QDQ");
  EXPECT_EQ(saved.quantization.at("operators_to_quantize").size(), 25u);
  EXPECT_TRUE(exporter::quantization_config_from(saved.quantization).is_static);
  const ort::Session plain = session_of(in_ / "model.onnx"), made = session_of(out_ / report.files[0].file);
  double error = 0, size = 0;
  for (const auto& sample : samples_of("image")) {
    const auto expected = plain.run(sample)[0], found = made.run(sample)[0];
    for (size_t i = 0; i < expected.count(); ++i) {
      error += std::pow(expected.as<float>()[i] - found.as<float>()[i], 2);
      size += std::pow(expected.as<float>()[i], 2);
    }
  }
  EXPECT_LT(std::sqrt(error / size), 0.05);
  EXPECT_GT(error, 0);
  size_t left = 0;  // Nothing of calibration's own.
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(out_)) ++left;
  EXPECT_EQ(left, 3u);
}

TEST_F(StaticFolder, WithoutRangesOrWithSamplesThatDoNotFitNothingIsWritten) {
  const auto config = AutoQuantizationConfig::tensorrt({});
  expect_error(ErrorCode::usage, "no calibration ranges were provided",
               [&] { quantize_folder(in_, config, out_, {}); });
  Calibration with = calibration(AutoCalibrationConfig::minmax());
  with.samples = [](const fs::path&) { return samples_of("text"); };
  expect_error(ErrorCode::usage, "calibration sample 1",
               [&] { quantize_folder(in_, config, out_, {}, &with); });
  with.samples = [](const fs::path&) {
    return std::vector<CalibrationSample>{{{"pixel_values", HostTensor::zeros(DType::f32, {1, 4, 6, 5})}}};
  };
  expect_error(ErrorCode::shape_mismatch, "pixel_values",
               [&] { quantize_folder(in_, config, out_, {}, &with); });
  with.samples = [](const fs::path&) { return std::vector<CalibrationSample>(); };
  expect_error(ErrorCode::usage, "no samples", [&] { quantize_folder(in_, config, out_, {}, &with); });
  fs::copy(kData / "image/qdq_u8s8.onnx", in_ / "model.onnx", fs::copy_options::overwrite_existing);
  with = calibration(AutoCalibrationConfig::minmax());
  expect_error(ErrorCode::usage, "quantized already", [&] { quantize_folder(in_, config, out_, {}, &with); });
  EXPECT_FALSE(fs::exists(out_));
}

TEST(CalibrationConfigTest, HasOptimumsDefaultsAndRefusesWhatIsOutOfRange) {
  EXPECT_FALSE(AutoCalibrationConfig::minmax().moving_average);
  EXPECT_EQ(AutoCalibrationConfig::minmax().averaging_constant, 0.01);
  EXPECT_EQ(AutoCalibrationConfig::entropy().num_bins, 128);
  EXPECT_EQ(AutoCalibrationConfig::entropy().num_quantized_bins, 128);
  EXPECT_EQ(AutoCalibrationConfig::percentiles().num_bins, 2048);
  EXPECT_EQ(AutoCalibrationConfig::percentiles().percentile, 99.999);
  EXPECT_EQ(AutoCalibrationConfig::percentiles().str(), "Percentile (num_bins: 2048, percentile: 99.999)");
  expect_error(ErrorCode::usage, "percentile (101)", [] { AutoCalibrationConfig::percentiles(2048, 101); });
  expect_error(ErrorCode::usage, "num_quantized_bins (129)",
               [] { AutoCalibrationConfig::entropy(128, 129); });
  expect_error(ErrorCode::usage, "num_bins (0)", [] { AutoCalibrationConfig::entropy(0); });
  expect_error(ErrorCode::usage, "averaging constant", [] { AutoCalibrationConfig::minmax(true, 1.5); });
  expect_error(ErrorCode::usage, "entropy, percentile", [] { exporter::calibration_method("kl"); });
}

}  // namespace
}  // namespace ferry
