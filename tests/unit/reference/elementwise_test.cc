#include "unit/reference/values.h"

namespace ferry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Unary, Activations) {
  const Arg x = f32({3}, {-1, 0, 2});
  EXPECT_THAT(floats({"Relu", {x}}), ElementsAre(0, 0, 2));
  EXPECT_THAT(floats({"Gelu", {x}}), near({-0.15865525, 0, 1.9544997}));
  EXPECT_THAT(floats({"Gelu", {x}, {{"approximate", std::string("tanh")}}}),
              near({-0.15880801, 0, 1.9545977}));
  EXPECT_THAT(floats({"Sigmoid", {x}}), near({0.26894142, 0.5, 0.88079708}));
  EXPECT_THAT(floats({"Swish", {x}}), near({-0.26894142, 0, 1.76159416}));
  EXPECT_THAT(floats({"Swish", {x}, {{"alpha", 1.702f}}}), near({-0.15420423, 0, 1.9356588}, 1e-6));
  EXPECT_THAT(floats({"Softplus", {x}}), near({0.31326169, 0.69314718, 2.12692801}));
  EXPECT_THAT(floats({"Mish", {x}}), near({-0.30340146, 0, 1.94395896}));
  EXPECT_THAT(floats({"Elu", {x}}), near({-0.63212056, 0, 2}));
  EXPECT_THAT(floats({"Celu", {x}, {{"alpha", 2.0f}}}), near({-0.78693868, 0, 2}));
  EXPECT_THAT(floats({"Selu", {x}}), near({-1.11133074, 0, 2.10140194}, 1e-6));
  EXPECT_THAT(floats({"LeakyRelu", {x}, {{"alpha", 0.1f}}}), near({-0.1, 0, 2}));
  EXPECT_THAT(floats({"ThresholdedRelu", {x}}), ElementsAre(0, 0, 2));
  EXPECT_THAT(floats({"HardSigmoid", {x}}), near({0.3, 0.5, 0.9}));
  EXPECT_THAT(floats({"HardSwish", {x}}), near({-1.0 / 3, 0, 5.0 / 3}));
  EXPECT_THAT(floats({"Softsign", {x}}), near({-0.5, 0, 2.0 / 3}));
  EXPECT_THAT(floats({"Shrink", {x}, {{"lambd", 1.5f}, {"bias", 0.5f}}}), ElementsAre(0, 0, 1.5f));
}

TEST(Unary, LargeValuesStayFinite) {
  const Arg x = f32({2}, {-200, 200});
  EXPECT_THAT(floats({"Softplus", {x}}), near({0, 200}));
  EXPECT_THAT(floats({"Mish", {x}}), near({0, 200}));
  EXPECT_THAT(floats({"Sigmoid", {x}}), near({0, 1}));
}

TEST(Unary, Functions) {
  EXPECT_THAT(floats({"Erf", {f32({2}, {0.5f, -1})}}), near({0.52049988, -0.84270079}));
  EXPECT_THAT(floats({"Exp", {f32({2}, {0, 1})}}), near({1, 2.71828183}));
  EXPECT_THAT(floats({"Log", {f32({2}, {1, 10})}}), near({0, 2.30258509}));
  EXPECT_THAT(floats({"Sqrt", {f32({2}, {2, -1})}}), near({1.41421356, NAN}));
  EXPECT_THAT(floats({"Reciprocal", {f32({2}, {4, 0})}}), near({0.25, INFINITY}));
  EXPECT_THAT(floats({"Tanh", {f32({2}, {0.5f, -9})}}), near({0.46211716, -0.99999997}));
  EXPECT_THAT(floats({"Atan", {f32({1}, {1})}}), near({0.78539816}));
  EXPECT_THAT(floats({"Asinh", {f32({1}, {1})}}), near({0.88137359}));
  EXPECT_THAT(floats({"Acosh", {f32({1}, {2})}}), near({1.31695790}));
  EXPECT_THAT(floats({"Round", {f32({5}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f})}}), ElementsAre(0, 2, 2, 0, -2));
  EXPECT_THAT(floats({"Floor", {f32({2}, {-0.5f, 1.5f})}}), ElementsAre(-1, 1));
  EXPECT_THAT(floats({"Ceil", {f32({2}, {-0.5f, 1.5f})}}), ElementsAre(0, 2));
  EXPECT_THAT(floats({"Sign", {f32({3}, {-3, 0, 2})}}), ElementsAre(-1, 0, 1));
  EXPECT_THAT(integers({"Abs", {i64({2}, {-3, 2})}}), ElementsAre(3, 2));
  EXPECT_THAT(integers({"Neg", {i64({2}, {-3, 2})}}), ElementsAre(3, -2));
  EXPECT_THAT(truths({"Not", {boolean({2}, {true, false})}}), ElementsAre(false, true));
  EXPECT_THAT(truths({"IsNaN", {f32({2}, {NAN, 1})}}), ElementsAre(true, false));
  EXPECT_THAT(truths({"IsInf", {f32({2}, {INFINITY, -INFINITY})}, {{"detect_positive", int64_t{0}}}}),
              ElementsAre(false, true));
}

TEST(Unary, ClipBoundsMayBeLeftOutAndKeepNaN) {
  const Arg x = f32({4}, {-2, 0.5f, 3, NAN});
  EXPECT_THAT(floats({"Clip", {x, f32({}, {0}), f32({}, {1})}}), near({0, 0.5, 1, NAN}));
  EXPECT_THAT(floats({"Clip", {x, absent(), f32({}, {1})}}), near({-2, 0.5, 1, NAN}));
  EXPECT_THAT(integers({"Clip", {i64({3}, {-2, 0, 3}), i64({}, {0})}}), ElementsAre(0, 0, 3));
}

TEST(Unary, DropoutIsTheIdentity) {
  const auto results = evaluate_all({"Dropout", {f32({2}, {1, 2}), f32({}, {0.9f})}, {}, 2});
  EXPECT_THAT(results[0].as<float>(), ElementsAre(1, 2));
  EXPECT_THAT(results[1].as<bool>(), ElementsAre(true, true));
  EXPECT_THAT(error_of({"Dropout", {f32({2}, {1, 2}), f32({}, {0.9f}), boolean({}, {true})}}),
              HasSubstr("unsupported"));
}

TEST(Binary, Broadcasts) {
  EXPECT_THAT(floats({"Add", {f32({2, 1}, {1, 2}), f32({3}, {10, 20, 30})}}),
              ElementsAre(11, 21, 31, 12, 22, 32));
  EXPECT_THAT(floats({"Sub", {f32({}, {1}), f32({2}, {10, 20})}}), ElementsAre(-9, -19));
  EXPECT_THAT(floats({"Mul", {f32({2, 2}, {1, 2, 3, 4}), f32({2, 1}, {2, 3})}}), ElementsAre(2, 4, 9, 12));
  EXPECT_EQ(evaluate({"Div", {f32({0, 2}, {}), f32({2}, {1, 2})}}).dims, (Dims{0, 2}));
}

TEST(Binary, IntegersDivideTowardsZero) {
  const Arg a = i64({4}, {7, -7, 7, -7}), b = i64({4}, {2, 2, -2, -2});
  EXPECT_THAT(integers({"Div", {a, b}}), ElementsAre(3, -3, -3, 3));
  EXPECT_THAT(integers({"Mod", {a, b}}), ElementsAre(1, 1, -1, -1));
  EXPECT_THAT(integers({"Mod", {a, b}, {{"fmod", int64_t{1}}}}), ElementsAre(1, -1, 1, -1));
  EXPECT_THAT(floats({"Mod", {f32({2}, {5.5f, -5.5f}), f32({1}, {2})}, {{"fmod", int64_t{1}}}}),
              ElementsAre(1.5f, -1.5f));
  EXPECT_THAT(error_of({"Div", {a, i64({1}, {0})}}), HasSubstr("divided by 0"));
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  EXPECT_THAT(integers({"Div", {i64({1}, {lowest}), i64({1}, {-1})}}), ElementsAre(lowest));
}

TEST(Binary, PowersTakeTheBasesType) {
  EXPECT_THAT(floats({"Pow", {f32({2}, {2, 4}), f32({2}, {3, 0.5f})}}), ElementsAre(8, 2));
  EXPECT_THAT(integers({"Pow", {i64({3}, {3, -2, 2}), i64({3}, {4, 3, -1})}}), ElementsAre(81, -8, 0));
  EXPECT_THAT(floats({"Pow", {f32({1}, {-2}), i64({1}, {3})}}), ElementsAre(-8));
  EXPECT_THAT(integers({"Pow", {i64({1}, {9}), f32({1}, {0.5f})}}), ElementsAre(3));
}

TEST(Binary, Comparisons) {
  const Arg a = i64({3}, {1, 2, 3}), b = i64({}, {2});
  EXPECT_THAT(truths({"Less", {a, b}}), ElementsAre(true, false, false));
  EXPECT_THAT(truths({"LessOrEqual", {a, b}}), ElementsAre(true, true, false));
  EXPECT_THAT(truths({"Greater", {a, b}}), ElementsAre(false, false, true));
  EXPECT_THAT(truths({"GreaterOrEqual", {a, b}}), ElementsAre(false, true, true));
  EXPECT_THAT(truths({"Equal", {a, b}}), ElementsAre(false, true, false));
  EXPECT_THAT(truths({"Equal", {f32({1}, {NAN}), f32({1}, {NAN})}}), ElementsAre(false));
  const Arg p = boolean({4}, {false, false, true, true}), q = boolean({4}, {false, true, false, true});
  EXPECT_THAT(truths({"And", {p, q}}), ElementsAre(false, false, false, true));
  EXPECT_THAT(truths({"Or", {p, q}}), ElementsAre(false, true, true, true));
  EXPECT_THAT(truths({"Xor", {p, q}}), ElementsAre(false, true, true, false));
}

TEST(Binary, ManyInputs) {
  const Arg a = f32({2}, {1, 5}), b = f32({1}, {3}), c = f32({2}, {2, NAN});
  EXPECT_THAT(floats({"Max", {a, b, c}}), near({3, NAN}));
  EXPECT_THAT(floats({"Min", {a, b}}), ElementsAre(1, 3));
  EXPECT_THAT(floats({"Sum", {a, b, b}}), ElementsAre(7, 11));
  EXPECT_THAT(floats({"Mean", {a, b}}), ElementsAre(2, 4));
  EXPECT_THAT(floats({"PRelu", {f32({2, 2}, {-1, 2, -3, 4}), f32({2}, {10, 20})}}),
              ElementsAre(-10, 2, -30, 4));
}

TEST(Binary, Bits) {
  const Arg a = i64({2}, {12, 10}), b = i64({2}, {10, 3});
  EXPECT_THAT(integers({"BitwiseAnd", {a, b}}), ElementsAre(8, 2));
  EXPECT_THAT(integers({"BitwiseOr", {a, b}}), ElementsAre(14, 11));
  EXPECT_THAT(integers({"BitwiseXor", {a, b}}), ElementsAre(6, 9));
  EXPECT_THAT(integers({"BitwiseNot", {a}}), ElementsAre(-13, -11));
  const Arg bytes = narrowed(DType::u8, i64({2}, {200, 3})), one = narrowed(DType::u8, i64({1}, {1}));
  EXPECT_THAT(evaluate({"BitShift", {bytes, one}, {{"direction", std::string("LEFT")}}}).as<uint8_t>(),
              ElementsAre(144, 6));
  EXPECT_THAT(evaluate({"BitShift", {bytes, one}, {{"direction", std::string("RIGHT")}}}).as<uint8_t>(),
              ElementsAre(100, 1));
}

TEST(Where, ChoosesAndBroadcasts) {
  EXPECT_THAT(floats({"Where", {boolean({2, 1}, {true, false}), f32({2}, {1, 2}), f32({}, {9})}}),
              ElementsAre(1, 2, 9, 9));
  EXPECT_THAT(truths({"Where", {boolean({2}, {true, false}), boolean({}, {true}), boolean({}, {false})}}),
              ElementsAre(true, false));
}

ir::Attributes to(DType dtype) {
  return {{"to", static_cast<int64_t>(onnx_number(dtype))}};
}

TEST(Cast, CutsFloatsAndKeepsThemInRange) {
  const Arg x = f32({5}, {1.9f, -1.9f, 300, -1, NAN});
  EXPECT_THAT(integers({"Cast", {x}, to(DType::i64)}), ElementsAre(1, -1, 300, -1, 0));
  EXPECT_THAT(evaluate({"Cast", {x}, to(DType::u8)}).as<uint8_t>(), ElementsAre(1, 0, 255, 0, 0));
  EXPECT_THAT(integers({"Cast", {f32({2}, {1e30f, -1e30f})}, to(DType::i64)}),
              ElementsAre(std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()));
  EXPECT_THAT(truths({"Cast", {x}, to(DType::boolean)}), ElementsAre(true, true, true, true, true));
  EXPECT_THAT(evaluate({"Cast", {i64({2}, {257, -1})}, to(DType::u8)}).as<uint8_t>(), ElementsAre(1, 255));
  EXPECT_THAT(floats({"Cast", {boolean({2}, {true, false})}, to(DType::f32)}), ElementsAre(1, 0));
  EXPECT_THAT(truths({"Cast", {i64({2}, {0, -4})}, to(DType::boolean)}), ElementsAre(false, true));
  EXPECT_THAT(integers({"CastLike", {f32({1}, {2.5f}), i64({}, {0})}}), ElementsAre(2));
}

}  // namespace
}  // namespace ferry::test
