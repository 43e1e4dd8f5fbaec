#pragma once
// One operator in the interpreter and in ONNX Runtime.
#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "onnx/writer.h"
#include "ort/session.h"
#include "unit/reference/op_case.h"

namespace ferry::test {

inline void expect_close(const HostTensor& expected, const HostTensor& found, double tolerance) {
  ASSERT_EQ(expected.dims, found.dims);
  if (is_floating(expected.dtype)) {
    const HostTensor a = expected.to_f32(), b = found.to_f32();
    for (size_t i = 0; i < a.count(); ++i) {
      const float x = a.as<float>()[i], y = b.as<float>()[i];
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      const double allowed = tolerance * std::max(1.0, std::abs(static_cast<double>(x)));
      ASSERT_LE(std::abs(static_cast<double>(x) - y), allowed)
          << "element " << i << " of " << expected.describe() << ": " << x << " and " << y;
    }
    return;
  }
  ASSERT_EQ(expected.dtype, found.dtype);
  EXPECT_EQ(expected.bytes, found.bytes);
}

/// The file that graph_of(of) is written to, run by ONNX Runtime without its own optimizations.
inline std::vector<HostTensor> run_in_onnx_runtime(const ir::Graph& graph,
                                                   const std::map<std::string, HostTensor>& inputs) {
  const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
  std::string file = name;
  std::replace(file.begin(), file.end(), '/', '_');
  const std::filesystem::path path = testing::TempDir() + "ferry_parity_" + file + ".onnx";
  std::filesystem::remove(path);
  onnx::WriteOptions options;
  options.sync = false;
  options.weights = onnx::WriteOptions::Weights::embedded;
  onnx::write_model(graph, {path, path.string() + "_data"}, options);
  ort::SessionOptions session_options;
  session_options.graph_optimization = ort::GraphOptimization::none;
  session_options.intra_op_threads = 1;
  const ort::Session session(ort::Runtime::open(), path, session_options);
  std::filesystem::remove(path);
  return session.run(inputs);
}

/// Both agree.
inline void expect_parity(const OpCase& of) {
  const ir::Graph graph = graph_of(of);
  const auto inputs = inputs_of(of);
  const auto expected = evaluate_all(of);
  const auto found = run_in_onnx_runtime(graph, inputs);
  ASSERT_EQ(expected.size(), found.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE("result " + std::to_string(i));
    expect_close(expected[i], found[i], of.tolerance);
  }
}

/// "MatMul_f32_2_3_f32_3_4", for the names of tests.
inline std::string name_of(const testing::TestParamInfo<OpCase>& info) {
  std::string out = info.param.op + (info.param.name.empty() ? "" : "_" + info.param.name);
  for (const Arg& arg : info.param.args) out += "_" + (arg.tensor ? arg.tensor->describe() : "none");
  for (char& c : out) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return out + "_" + std::to_string(info.index);
}

}  // namespace ferry::test
