// What a definition does with a checkpoint that does not fit: through BERT's neighbours-free core, Linear and
// List.
#include <gtest/gtest.h>

#include "base/error.h"
#include "nn/architecture.h"
#include "nn/layers.h"

namespace ferry::nn {
namespace {

struct Fixture {
  ir::Graph graph;
  StateDict state{"model.safetensors", {}};
  Build build{graph, state, DType::f32, {}, {}};

  void put(const std::string& name, Dims dims, DType dtype = DType::f32) {
    state.tensors.emplace(name, Weight::zeros(dtype, std::move(dims)));
  }
  Tensor input(ir::Shape shape) { return {graph, graph.add_input("x", DType::f32, std::move(shape))}; }
};

template <typename Body>
std::string refusal(ErrorCode code, Body body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(to_string(error.code()), to_string(code));
    return error.what();
  }
  return "accepted";
}

TEST(Linear, IsOneMatMulAndOneAdd) {
  Fixture f;
  f.put("proj.weight", {5, 3});
  f.put("proj.bias", {5});
  const Tensor y = Linear(Scope(f.build) / "proj", 3, 5)(f.input({ir::Dim::symbol("n"), 3}));
  EXPECT_EQ(ir::to_string(y.shape()), "[n, 5]");
  ASSERT_EQ(f.graph.nodes().size(), 2u);
  EXPECT_EQ(f.graph.nodes()[0]->op_type, "MatMul");
  EXPECT_EQ(f.graph.nodes()[0]->name, "/proj/MatMul");
  EXPECT_EQ(f.graph.nodes()[1]->op_type, "Add");
  EXPECT_EQ(f.build.used, (std::set<std::string, std::less<>>{"proj.weight", "proj.bias"}));
}

TEST(Scope, MissingTensorNamesTheOnesLikeIt) {
  Fixture f;
  f.put("encoder.proj.weight", {5, 3});
  EXPECT_EQ(
      refusal(ErrorCode::missing_tensor, [&] { Linear(Scope(f.build) / "decoder" / "proj", 3, 5); }),
      "model.safetensors has no tensor \"decoder.proj.weight\" of shape [5, 3]; it has encoder.proj.weight");
}

TEST(Scope, WrongShapeAndDtypeAreNamed) {
  Fixture f;
  f.put("a.weight", {3, 5});
  f.put("b.weight", {5, 3}, DType::i64);
  EXPECT_EQ(refusal(ErrorCode::shape_mismatch, [&] { Linear(Scope(f.build) / "a", 3, 5); }),
            "model.safetensors: tensor \"a.weight\" has shape [3, 5], the configuration asks for [5, 3]");
  EXPECT_EQ(refusal(ErrorCode::dtype_mismatch, [&] { Linear(Scope(f.build) / "b", 3, 5); }),
            "model.safetensors: tensor \"b.weight\" has element type i64, expected a floating one");
}

TEST(Scope, NodeNamesKeepListIndices) {
  Fixture f;
  const auto named = (Scope(f.build) / "bert" / "encoder" / "layer" / int64_t{0} / "attention.self").named();
  EXPECT_EQ(f.graph.scope(), "/bert/encoder/layer.0/attention/self");
}

Architecture arch() {
  Architecture out;
  out.model_type = "toy";
  out.base_model_prefix = "toy";
  out.may_be_unused = {"head", "toy.pooler", "*.position_ids"};
  return out;
}

TEST(CanonicalNames, BodyAloneGainsThePrefixAndOldNamesBecomeNew) {
  Fixture f;
  f.put("layer.0.LayerNorm.gamma", {2});
  f.put("layer.0.LayerNorm.beta", {2});
  const StateDict named = canonical_names(f.state, arch());
  EXPECT_EQ(named.tensors.count("toy.layer.0.LayerNorm.weight"), 1u);
  EXPECT_EQ(named.tensors.count("toy.layer.0.LayerNorm.bias"), 1u);
}

TEST(CanonicalNames, PrefixedNamesStay) {
  Fixture f;
  f.put("toy.x", {2});
  f.put("head.weight", {2});
  const StateDict named = canonical_names(f.state, arch());
  EXPECT_EQ(named.tensors.count("toy.x"), 1u);
  EXPECT_EQ(named.tensors.count("head.weight"), 1u);
}

TEST(CheckUnused, BodyIsAnErrorHeadsAreFineTheRestIsAWarning) {
  Fixture f;
  f.put("head.weight", {2});
  f.put("toy.pooler.dense.weight", {2});
  f.put("toy.embeddings.position_ids", {2});
  f.put("stray", {2});
  std::vector<std::string> warnings;
  Log log;
  log.on_message = [&](LogLevel level, std::string_view text) {
    if (level == LogLevel::warning) warnings.emplace_back(text);
  };
  check_unused(f.build, arch(), log);
  EXPECT_EQ(
      warnings,
      (std::vector<std::string>{"model.safetensors holds 1 tensor that this task does not use: stray"}));
  f.put("toy.layer.7.weight", {2});
  EXPECT_EQ(refusal(ErrorCode::unused_tensor, [&] { check_unused(f.build, arch(), log); }),
            "model.safetensors holds 1 tensor that the configuration has no place for: toy.layer.7.weight; "
            "does config.json belong to these weights?");
}

TEST(Activation, UnknownNamesListTheKnown) {
  Fixture f;
  EXPECT_NE(refusal(ErrorCode::unsupported, [&] { activation("geluu", f.input({2})); })
                .find("known: gelu, gelu_10"),
            std::string::npos);
}

}  // namespace
}  // namespace ferry::nn
