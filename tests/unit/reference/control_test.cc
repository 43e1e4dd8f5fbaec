#include <gmock/gmock.h>

#include "base/error.h"
#include "ir/op.h"
#include "reference/interpreter.h"

namespace ferry::reference {
namespace {

using testing::ElementsAre;

// A subgraph that adds `by` to a value of the graph around it.
ir::GraphPtr adding(ir::Value* outer, float by) {
  auto graph = std::make_shared<ir::Graph>();
  const ir::Tensor x(*graph, outer);
  graph->add_output("result", ir::op::add(x, by).value());
  return graph;
}

TEST(If, RunsTheBranchThatTheConditionNames) {
  ir::Graph graph;
  ir::Value* condition = graph.add_input("condition", DType::boolean, {});
  const ir::Tensor x(graph, graph.add_input("x", DType::f32, {2}));
  const ir::Tensor doubled = x * 2.0;  // Used by the subgraphs alone.
  const ir::Node& node = graph.add_node(
      "If", {condition},
      {{"then_branch", adding(doubled.value(), 1)}, {"else_branch", adding(doubled.value(), -1)}});
  graph.add_output("y", node.outputs[0]);
  const Interpreter interpreter(graph);
  const auto input = HostTensor::f32({2}, {5, 6});
  EXPECT_THAT(
      interpreter.run({{"condition", HostTensor::boolean({}, {true})}, {"x", input}}).at("y").as<float>(),
      ElementsAre(11, 13));
  EXPECT_THAT(
      interpreter.run({{"condition", HostTensor::boolean({}, {false})}, {"x", input}}).at("y").as<float>(),
      ElementsAre(9, 11));
}

// state = state + step; goes on while state < 10; gives every state before it is changed.
struct Counting {
  ir::Graph graph;
  explicit Counting(bool with_limit) {
    graph.strict = false;
    ir::Value* most = with_limit ? graph.add_input("most", DType::i64, {}) : nullptr;
    ir::Value* state = graph.add_input("state", DType::f32, {});
    const ir::Tensor step(graph, graph.add_input("step", DType::f32, {}));
    auto body = std::make_shared<ir::Graph>();
    body->add_input("iteration", DType::i64, {});
    body->add_input("condition", DType::boolean, {});
    const ir::Tensor before(*body, body->add_input("before", DType::f32, {}));
    const ir::Tensor after = before + ir::Tensor(*body, step.value());
    body->add_output("go_on", ir::op::emit("Less", {after, ir::op::scalar(*body, 10.0f)}).value());
    body->add_output("after", after.value());
    body->add_output("seen", ir::op::unary("Identity", before).value());
    const ir::Node& node = graph.add_node("Loop", {most, nullptr, state}, {{"body", body}}, 2);
    node.outputs[0]->dtype = node.outputs[1]->dtype = DType::f32;
    graph.add_output("last", node.outputs[0]);
    graph.add_output("seen", node.outputs[1]);
  }
};

TEST(Loop, CarriesStateAndStacksResults) {
  const Counting counting(true);
  const Interpreter interpreter(counting.graph);
  const auto run = [&](int64_t most) {
    return interpreter.run({{"most", HostTensor::scalar(most)},
                            {"state", HostTensor::scalar(1.0f)},
                            {"step", HostTensor::scalar(4.0f)}});
  };
  const auto stopped = run(100);
  EXPECT_THAT(stopped.at("last").as<float>(), ElementsAre(13));
  EXPECT_THAT(stopped.at("seen").as<float>(), ElementsAre(1, 5, 9));
  EXPECT_THAT(run(2).at("seen").as<float>(), ElementsAre(1, 5));
  EXPECT_THAT(run(0).at("last").as<float>(), ElementsAre(1));
  EXPECT_EQ(run(0).at("seen").dims, Dims{0});
}

}  // namespace
}  // namespace ferry::reference
