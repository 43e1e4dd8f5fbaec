#include "ort/session.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "ort/binding.h"
#include "unit/ort/tiny_model.h"

namespace ferry::ort {
namespace {

using test::binary_model;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kFloat = 1, kInt32 = 6, kInt64 = 7, kString = 8, kBool = 9, kHalf = 10;

Session session_of(const std::string& bytes, const SessionOptions& options = {}) {
  return Session(Runtime::open(), std::as_bytes(std::span(bytes)), options);
}

#define EXPECT_ERROR(statement, expected, text)        \
  try {                                                \
    statement;                                         \
    ADD_FAILURE() << "nothing was thrown";             \
  } catch (const Error& error) {                       \
    EXPECT_EQ(error.code(), expected) << error.what(); \
    EXPECT_THAT(error.what(), HasSubstr(text));        \
  }

// First, before anything has loaded the library.
TEST(Runtime, MissingLibrarySaysWhatToDo) {
  RuntimeOptions options;
  options.library = "/nowhere/libonnxruntime.so";
  EXPECT_ERROR(Runtime::open(options), ErrorCode::not_found, "FERRY_ONNXRUNTIME");
  EXPECT_ERROR(Runtime::open(options), ErrorCode::not_found, "/nowhere/libonnxruntime.so");
}

TEST(Runtime, FileThatIsNoLibraryIsRefused) {
  const std::string path = testing::TempDir() + "not_a_library.so";
  std::ofstream(path) << "text";
  RuntimeOptions options;
  options.library = path;
  EXPECT_ERROR(Runtime::open(options), ErrorCode::runtime, "cannot load ONNX Runtime");
}

TEST(Runtime, SaysWhatItIs) {
  const Runtime runtime = Runtime::open();
  EXPECT_THAT(runtime.version(), HasSubstr("1."));
  EXPECT_THAT(runtime.available_providers(), Contains("CPUExecutionProvider"));
  EXPECT_STREQ(std::getenv("ORT_DISABLE_TELEMETRY"), "1");
  RuntimeOptions other;
  other.library = "/bin/sh";
  EXPECT_ERROR(Runtime::open(other), ErrorCode::usage, "/bin/sh");
}

TEST(Session, DeclaresItsSignature) {
  const Session session = session_of(binary_model("Add", kFloat));
  ASSERT_EQ(session.inputs().size(), 2u);
  EXPECT_EQ(session.inputs()[0].name, "x");
  EXPECT_EQ(describe(session.inputs()[0]), "f32[batch, 2]");
  EXPECT_EQ(describe(session.outputs()[0]), "f32[batch, 2]");
  EXPECT_EQ(session.metadata().at("author"), "a test");
}

TEST(Session, RunsWithoutCopyingInputs) {
  const Session session = session_of(binary_model("Add", kFloat));
  const std::vector<NamedTensor> inputs = {{"y", HostTensor::f32({2, 2}, {10, 20, 30, 40})},
                                           {"x", HostTensor::f32({2, 2}, {1, 2, 3, 4})}};
  const auto results = session.run(inputs);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].dims, (Dims{2, 2}));
  EXPECT_THAT(results[0].as<float>(), ElementsAre(11, 22, 33, 44));
}

TEST(Session, EmptyTensorsPass) {
  const Session session = session_of(binary_model("Add", kFloat));
  const auto none = HostTensor::zeros(DType::f32, {0, 2});
  const auto results = session.run(std::map<std::string, HostTensor>{{"x", none}, {"y", none}});
  EXPECT_EQ(results[0].dims, (Dims{0, 2}));
}

TEST(Session, IntegersBooleansHalvesAndStrings) {
  const auto run = [](const std::string& model, HostTensor x, HostTensor y) {
    return session_of(model).run(
        std::map<std::string, HostTensor>{{"x", std::move(x)}, {"y", std::move(y)}})[0];
  };
  EXPECT_THAT(
      run(binary_model("Mul", kInt64), HostTensor::i64({1, 2}, {3, -4}), HostTensor::i64({1, 2}, {5, 6}))
          .as<int64_t>(),
      ElementsAre(15, -24));
  EXPECT_THAT(
      run(binary_model("Add", kInt32), HostTensor::i32({1, 2}, {3, -4}), HostTensor::i32({1, 2}, {5, 6}))
          .as<int32_t>(),
      ElementsAre(8, 2));
  EXPECT_THAT(run(binary_model("And", kBool), HostTensor::boolean({1, 2}, {true, true}),
                  HostTensor::boolean({1, 2}, {true, false}))
                  .as<bool>(),
              ElementsAre(true, false));
  const auto half = HostTensor::f32({1, 2}, {1.5f, -2}).to_floating(DType::f16);
  EXPECT_THAT(run(binary_model("Mul", kHalf), half, half).to_f32().as<float>(), ElementsAre(2.25f, 4));
  const auto identity = test::encode(
      {"Identity", {test::value("x", kString, {"n"})}, {"x"}, test::value("z", kString, {"n"}), "z"});
  const auto texts =
      session_of(identity).run(std::map<std::string, HostTensor>{{"x", HostTensor::text({2}, {"one", ""})}});
  EXPECT_THAT(texts[0].strings, ElementsAre("one", ""));
}

TEST(Session, ErrorsNameTheInput) {
  const Session session = session_of(binary_model("Add", kFloat));
  const auto good = HostTensor::f32({1, 2}, {1, 2});
  using Inputs = std::map<std::string, HostTensor>;
  EXPECT_ERROR((void)session.run(Inputs{{"x", good}}), ErrorCode::not_found, "input y (f32[batch, 2])");
  EXPECT_ERROR((void)session.run(Inputs{{"x", good}, {"y", good}, {"w", good}}), ErrorCode::not_found,
               "no input w; it has x, y");
  EXPECT_ERROR((void)session.run(Inputs{{"x", good}, {"y", HostTensor::i64({1, 2}, {1, 2})}}),
               ErrorCode::dtype_mismatch, "input y is f32[batch, 2], not i64[1, 2]");
  EXPECT_ERROR((void)session.run(Inputs{{"x", good}, {"y", HostTensor::f32({2}, {1, 2})}}),
               ErrorCode::shape_mismatch, "input y is f32[batch, 2], not f32[2]");
  EXPECT_ERROR((void)session.run(Inputs{{"x", good}, {"y", HostTensor::f32({1, 3}, {1, 2, 3})}}),
               ErrorCode::shape_mismatch, "input y");
  EXPECT_ERROR((void)session.run(Inputs{{"x", good}, {"y", good}}, {"nothing"}), ErrorCode::not_found,
               "no output nothing; it has z");
  // Batches that differ are for ONNX Runtime to find.
  EXPECT_ERROR((void)session.run(Inputs{{"x", HostTensor::zeros(DType::f32, {2, 2})},
                                        {"y", HostTensor::zeros(DType::f32, {3, 2})}}),
               ErrorCode::runtime, "running a model");
}

TEST(Session, BrokenAndMissingFiles) {
  const std::string path = testing::TempDir() + "broken.onnx";
  std::ofstream(path) << "this is not a model";
  EXPECT_ERROR(Session(Runtime::open(), path), ErrorCode::runtime, "broken.onnx");
  EXPECT_ERROR(Session(Runtime::open(), std::filesystem::path("/nowhere/model.onnx")), ErrorCode::not_found,
               "/nowhere/model.onnx");
  EXPECT_ERROR(session_of(binary_model("NoSuchOperator", kFloat)), ErrorCode::runtime, "NoSuchOperator");
}

TEST(Session, UnknownProviderListsThoseThereAre) {
  SessionOptions options;
  options.providers = {{"NoSuchExecutionProvider", {}}};
  EXPECT_ERROR(session_of(binary_model("Add", kFloat), options), ErrorCode::unsupported,
               "CPUExecutionProvider");
  options.providers = {{"CPUExecutionProvider", {}}};
  EXPECT_NO_THROW(session_of(binary_model("Add", kFloat), options));
}

TEST(Session, ServesSeveralThreads) {
  SessionOptions options;
  options.intra_op_threads = 1;
  const Session session = session_of(binary_model("Add", kFloat), options);
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          const auto x = HostTensor::f32({1, 2}, {static_cast<float>(t), static_cast<float>(i)});
          const auto z = session.run(std::map<std::string, HostTensor>{{"x", x}, {"y", x}})[0];
          if (z.as<float>()[0] != 2.0f * static_cast<float>(t) ||
              z.as<float>()[1] != 2.0f * static_cast<float>(i))
            ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Binding, OutputsBecomeInputsWithoutACopy) {
  const Session session = session_of(binary_model("Add", kFloat));
  const auto one = HostTensor::f32({1, 2}, {1, 10});
  const OrtTensor step = OrtTensor::view(session.runtime(), one);
  Binding binding(session);
  binding.bind_input("x", step);
  binding.bind_input("y", step);
  binding.bind_output("z");
  for (int i = 0; i < 3; ++i) {
    binding.run();
    const auto results = binding.outputs();
    ASSERT_EQ(results.size(), 1u);
    binding.bind_input("x", results[0]);  // The handle goes, the memory stays bound.
  }
  EXPECT_THAT(binding.outputs()[0].as<float>(), ElementsAre(4, 40));
  EXPECT_THAT(binding.output_names(), ElementsAre("z"));
}

TEST(Binding, OneBufferServesAsPastAndPresent) {
  const Session session = session_of(binary_model("Add", kFloat));
  std::vector<float> memory = {1, 2, 3, 4};
  OrtTensor buffer =
      OrtTensor::view(session.runtime(), DType::f32, {2, 2}, std::as_writable_bytes(std::span(memory)));
  Binding binding(session);
  binding.bind_input("x", buffer);
  binding.bind_input("y", buffer);
  binding.bind_output("z", buffer);
  binding.run();
  binding.run();
  EXPECT_THAT(memory, ElementsAre(4, 8, 12, 16));
}

TEST(Binding, ShapesMayChangeBetweenRuns) {
  const Session session = session_of(binary_model("Add", kFloat));
  Binding binding(session);
  binding.bind_output("z");
  for (const int64_t batch : {1, 3, 2}) {
    const auto x = HostTensor::zeros(DType::f32, {batch, 2});
    const OrtTensor view = OrtTensor::view(session.runtime(), x);
    binding.bind_input("x", view);
    binding.bind_input("y", view);
    binding.run();
    EXPECT_EQ(binding.outputs()[0].dims(), (Dims{batch, 2}));
  }
  EXPECT_ERROR(binding.bind_output("w"), ErrorCode::not_found, "no output w");
}

TEST(OrtTensor, ChecksTheBytesItLooksAt) {
  const Runtime runtime = Runtime::open();
  std::vector<float> memory(3);
  EXPECT_ERROR(OrtTensor::view(runtime, DType::f32, {2, 2}, std::as_writable_bytes(std::span(memory))),
               ErrorCode::shape_mismatch, "f32[2, 2]");
  OrtTensor own = OrtTensor::allocate(runtime, DType::i64, {2});
  EXPECT_EQ(own.mutable_bytes().size(), 16u);
  EXPECT_ERROR((void)own.as<float>(), ErrorCode::dtype_mismatch, "i64[2]");
  HostTensor lying = HostTensor::f32({2}, {1, 2});
  lying.dims = {3};
  EXPECT_ERROR(OrtTensor::view(runtime, lying), ErrorCode::shape_mismatch, "f32[3]");
}

}  // namespace
}  // namespace ferry::ort
