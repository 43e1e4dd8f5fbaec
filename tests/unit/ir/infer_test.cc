#include "ir/infer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ir/op.h"

namespace ferry::ir {
namespace {

using ::testing::HasSubstr;

const Dim B = Dim::symbol("B"), S = Dim::symbol("S");

class Infer : public ::testing::Test {
 protected:
  Tensor in(const char* name, Shape shape, DType dtype = DType::f32) {
    return {graph, graph.add_input(name, dtype, std::move(shape))};
  }
  Tensor floats(Dims dims) {
    const std::vector<float> values(static_cast<size_t>(element_count(dims)), 1.0f);
    return op::weight(graph, "w", Weight::from_f32(std::move(dims), values));
  }
  template <typename Body>
  void expect_error(Body body, ErrorCode code, const std::string& text) {
    try {
      body();
      FAIL() << "no error; expected: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(text));
    }
  }
  static std::string shape(const Tensor& tensor) { return to_string(tensor.shape()); }

  Graph graph;
};

TEST_F(Infer, SymbolsPassThroughProductsAndBroadcasts) {
  const auto x = in("x", {B, S, 64});
  EXPECT_EQ(shape(op::matmul(x, floats({64, 8}))), "[B, S, 8]");
  EXPECT_EQ(shape(x + floats({64})), "[B, S, 64]");
  EXPECT_EQ(shape(in("y", {B, 1, S}) + in("z", {4, 1})), "[B, 4, S]");
  EXPECT_EQ(shape(op::reduce("ReduceMean", x, {-1}, false)), "[B, S]");
  EXPECT_EQ(shape(op::gather(floats({100, 7}), in("ids", {B, S}, DType::i64))), "[B, S, 7]");
}

TEST_F(Infer, ReshapeFollowsZeroAndMinusOne) {
  const auto x = in("x", {B, S, 64});
  EXPECT_EQ(shape(op::reshape(x, {0, 0, 4, -1})), "[B, S, 4, 16]");
  EXPECT_EQ(shape(op::reshape(x, {-1, 64})), "[B*S, 64]");
  EXPECT_EQ(shape(op::reshape(x, op::concat({op::shape_of(x, 0, 1), op::integers(graph, {-1})}, 0))),
            "[B, 64*S]");
  expect_error(
      [&] {
        op::reshape(in("c", {2, 3}), {4, -1});
      },
      ErrorCode::shape_mismatch, "another number of elements");
  expect_error([&] { op::reshape(x, {-1, -1}); }, ErrorCode::shape_mismatch, "two dimensions of -1");
}

TEST_F(Infer, ShapeArithmeticIsFollowed) {
  const auto x = in("x", {B, S, 64});
  const auto twice = op::mul(op::shape_of(x, 1, 2), 2.0);
  EXPECT_EQ(shape(op::expand(floats({1, 1}), op::concat({twice, op::integers(graph, {3})}, 0))), "[2*S, 3]");
  EXPECT_EQ(shape(op::range(op::scalar(graph, int64_t{2}), op::size_of(x, 1))), "[S - 2]");
  EXPECT_EQ(shape(op::slice(x, 1, 1, -1)), "[B, S - 2, 64]");
}

TEST_F(Infer, ErrorsNameTheNodeAndItsInputs) {
  const NameScope scope(graph, "/encoder/layer.0");
  const auto x = in("x", {B, S, 64});
  expect_error(
      [&] {
        op::matmul(x, floats({32, 8}));
      },
      ErrorCode::shape_mismatch,
      "/encoder/layer.0/MatMul: inner dimensions differ (64 != 32): inputs (x: f32[B, S, 64], w: f32[32, "
      "8])");
  expect_error(
      [&] {
        op::add(x, in("y", {B, S, 32}));
      },
      ErrorCode::shape_mismatch, "/encoder/layer.0/Add: shapes do not broadcast (64 != 32)");
  expect_error(
      [&] {
        op::add(x, in("z", {B, S, 64}, DType::f16));
      },
      ErrorCode::dtype_mismatch, "element types differ (f32 != f16)");
  expect_error([&] { op::transpose(x, {0, 1}); }, ErrorCode::shape_mismatch, "permutation of another length");
  expect_error([&] { op::transpose(x, {0, 1, 1}); }, ErrorCode::shape_mismatch, "an axis twice");
  expect_error([&] { op::softmax(x, 3); }, ErrorCode::shape_mismatch, "no axis 3 in a tensor of rank 3");
  expect_error([&] { op::squeeze(x, {2}); }, ErrorCode::shape_mismatch, "a dimension that is not 1");
  expect_error([&] { op::concat({x, in("c", {B, S})}, 1); }, ErrorCode::shape_mismatch, "different ranks");
  expect_error([&] { op::split(x, 2, {10, 20}); }, ErrorCode::shape_mismatch, "do not add up");
  expect_error([&] { op::emit("NoSuchOperator", {x}); }, ErrorCode::internal,
               "no inference for the operator");
}

TEST_F(Infer, AttentionChecksHeadsAndMask) {
  const auto q = in("q", {B, S, 64}), k = in("k", {B, 9, 64}), v = in("v", {B, 9, 32});
  EXPECT_EQ(shape(op::attention(q, k, v, {.heads = 4})), "[B, S, 32]");
  EXPECT_EQ(shape(op::attention(q, k, v, {.mask = in("mask", {B, 1, 1, 9}), .heads = 4})), "[B, S, 32]");
  expect_error([&] { op::attention(q, k, v, {.heads = 5}); }, ErrorCode::shape_mismatch,
               "does not divide the width");
  expect_error([&] { op::attention(q, k, v); }, ErrorCode::shape_mismatch, "wants the number of heads");
  expect_error(
      [&] {
        op::attention(q, k, v, {.mask = in("m2", {B, 1, 1, 8}), .heads = 4});
      },
      ErrorCode::shape_mismatch, "(8 != 9)");
}

TEST_F(Infer, ConvolutionsCountFrames) {
  const auto x = in("x", {B, 3, S});
  EXPECT_EQ(shape(op::emit("Conv", {x, floats({8, 3, 5})},
                           {{"strides", std::vector<int64_t>{2}}, {"pads", std::vector<int64_t>{2, 2}}})),
            "[B, 8, (S + 1) // 2]");
  expect_error(
      [&] {
        op::emit("Conv", {x, floats({8, 4, 5})});
      },
      ErrorCode::shape_mismatch, "another number of channels");
}

TEST_F(Infer, ResizeTakesAxes) {
  const auto x = in("x", {B, 3, 6, 8});
  EXPECT_EQ(shape(op::emit("Resize", {x, Tensor(), Tensor(), op::integers(graph, {12, 20})},
                           {{"axes", std::vector<int64_t>{2, 3}}})),
            "[B, 3, 12, 20]");
  EXPECT_EQ(shape(op::emit("Resize", {x, Tensor(), floats({2})}, {{"axes", std::vector<int64_t>{-2, -1}}})),
            "[B, 3, 6, 8]");
}

TEST_F(Infer, AGraphThatWasReadTakesDifferentSymbolsAsEqual) {
  graph.strict = false;
  EXPECT_NO_THROW(op::add(in("x", {B, 4}), in("y", {S, 4})));
  expect_error([&] { op::add(in("a", {3}), in("b", {4})); }, ErrorCode::shape_mismatch, "(3 != 4)");
}

TEST_F(Infer, WeightsFoldAtOnce) {
  const auto w = floats({6, 4});
  const size_t before = graph.nodes().size();
  const auto turned = op::slice(op::transpose(w, {1, 0}), 1, 2, 5);
  EXPECT_TRUE(turned.is_weight());
  EXPECT_EQ(shape(turned), "[4, 3]");
  EXPECT_TRUE(op::concat({turned, turned}, 0).is_weight());
  EXPECT_EQ(graph.nodes().size(), before);
}

TEST_F(Infer, VerifyFindsWhatPassesBreak) {
  const auto y = op::unary("Relu", op::unary("Abs", in("x", {B})));
  graph.add_output("y", y.value());
  EXPECT_NO_THROW(verify(graph));
  std::swap(graph.mutable_nodes()[0], graph.mutable_nodes()[1]);
  expect_error([&] { verify(graph); }, ErrorCode::internal, "before it is made");
}

}  // namespace
}  // namespace ferry::ir
