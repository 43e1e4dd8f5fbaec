#include "unit/passes/legalize_cases.h"

#include <fmt/format.h>

#include "ir/op.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;
using ir::Dim;
using ir::Graph;
using ir::Shape;
using ir::Tensor;

Dim batch() {
  return Dim::symbol("batch");
}
Dim length() {
  return Dim::symbol("length");
}
Tensor in(Graph& graph, const char* name, Shape shape, DType dtype = DType::f32) {
  return {graph, graph.add_input(name, dtype, std::move(shape))};
}
Tensor ones(Graph& graph, Dims dims, DType dtype = DType::f32) {
  const std::vector<float> values(static_cast<size_t>(element_count(dims)), 1.0f);
  return op::weight(graph, "w", Weight::from_f32(std::move(dims), values).cast(dtype));
}
void out(Graph& graph, const Tensor& tensor, const char* name = "y") {
  graph.add_output(name, tensor.value());
}

using Build = std::function<void(Graph&)>;

// One operator of [batch, length, 8].
Build unary(const char* op_type, DType dtype, ir::Attributes attributes = {}) {
  return [=](Graph& graph) {
    out(graph, op::emit(op_type, {in(graph, "x", {batch(), length(), 8}, dtype)}, attributes));
  };
}

void add_activations(std::vector<LegalizeCase>& cases) {
  for (const DType dtype : {DType::f32, DType::f16}) {
    for (const char* op_type : {"Gelu", "Swish", "Mish", "HardSwish"})
      cases.push_back({fmt::format("{} {}", op_type, to_string(dtype)), unary(op_type, dtype)});
  }
  cases.push_back({"tanh gelu", unary("Gelu", DType::f32, {{"approximate", std::string("tanh")}})});
  cases.push_back({"swish with a factor", unary("Swish", DType::f32, {{"alpha", 1.702f}})});
  cases.push_back({"relu of integers", unary("Relu", DType::i32)});
  cases.push_back({"is-infinite of halves", unary("IsInf", DType::f16)});
}

void add_normalizations(std::vector<LegalizeCase>& cases) {
  for (const DType dtype : {DType::f32, DType::f16}) {
    cases.push_back({"layer norm", [=](Graph& graph) {
                       out(graph, op::layer_norm(in(graph, "x", {batch(), length(), 8}, dtype),
                                                 ones(graph, {8}, dtype), ones(graph, {8}, dtype), 1e-5f));
                     }});
    cases.push_back({"rms norm", [=](Graph& graph) {
                       out(graph, op::rms_norm(in(graph, "x", {batch(), length(), 8}, dtype),
                                               ones(graph, {8}, dtype), 1e-5f));
                     }});
  }
  cases.push_back({"layer norm of two axes, with statistics", [](Graph& graph) {
                     const auto results = op::emit_n("LayerNormalization",
                                                     {in(graph, "x", {batch(), 6, 8}), ones(graph, {6, 8})},
                                                     {{"axis", int64_t{1}}}, 3);
                     out(graph, results[0]);
                     out(graph, results[1], "mean");
                     out(graph, results[2], "inverse_deviation");
                   }});
  cases.push_back({"group norm", [](Graph& graph) {
                     out(graph, op::emit("GroupNormalization",
                                         {in(graph, "x", {batch(), 8, Dim::symbol("h"), Dim::symbol("w")}),
                                          ones(graph, {8}), ones(graph, {8})},
                                         {{"num_groups", int64_t{4}}}));
                   }});
  cases.push_back({"batch norm", [](Graph& graph) {
                     const auto w = ones(graph, {3});
                     out(graph, op::emit("BatchNormalization", {in(graph, "x", {batch(), 3, 6}), w, w, w, w},
                                         {{"training_mode", int64_t{0}}}));
                   }});
}

struct AttentionForm {
  bool flat = true, past = false, causal = false, boolean = false, nonpad = false;
  int64_t kv_heads = 4;
  Shape mask = {};
  float softcap = 0;
};

void attention(Graph& graph, const AttentionForm& form) {
  const auto heads = [&](const char* name, int64_t count, const Dim& size) {
    return in(graph, name, form.flat ? Shape{batch(), size, Dim(count * 8)} : Shape{batch(), count, size, 8});
  };
  std::vector<Tensor> inputs = {heads("q", 4, length()), heads("k", form.kv_heads, length()),
                                heads("v", form.kv_heads, length())};
  inputs.resize(7);
  if (!form.mask.empty())
    inputs[3] = in(graph, "mask", form.mask, form.boolean ? DType::boolean : DType::f32);
  const Shape cache = {batch(), form.kv_heads, Dim::symbol("past"), 8};
  if (form.past) inputs[4] = in(graph, "past_key", cache);
  if (form.past) inputs[5] = in(graph, "past_value", cache);
  if (form.nonpad) inputs[6] = in(graph, "valid", {batch()}, DType::i64);
  ir::Attributes attributes;
  if (form.flat) attributes = {{"q_num_heads", int64_t{4}}, {"kv_num_heads", form.kv_heads}};
  if (form.causal) attributes["is_causal"] = int64_t{1};
  if (form.softcap != 0) attributes["softcap"] = form.softcap;
  const auto results = op::emit_n("Attention", inputs, attributes, form.past ? 3 : 1);
  out(graph, results[0]);
  if (form.past) out(graph, results[1], "present_key");
  if (form.past) out(graph, results[2], "present_value");
}

void add_attention(std::vector<LegalizeCase>& cases) {
  for (const bool flat : {false, true}) {
    for (const bool past : {false, true}) {
      for (const bool causal : {false, true}) {
        for (const int64_t kv_heads : {4, 2}) {
          const Dim total = past ? Dim::symbol("past") + length() : length();
          AttentionForm form{.flat = flat, .past = past, .causal = causal, .kv_heads = kv_heads};
          const auto add = [&](const char* name) {
            cases.push_back({fmt::format("attention {} flat={} past={} causal={} kv={}", name, flat, past,
                                         causal, kv_heads),
                             [form](Graph& graph) { attention(graph, form); }});
          };
          add("without mask");
          form.mask = {batch(), 1, 1, total};
          add("padding mask");
          form.boolean = true;
          form.softcap = 2;
          add("boolean padding mask, capped");
          form.mask = {1, 4, length(), total};
          add("mask of heads");
        }
      }
    }
  }
  cases.push_back({"attention over valid keys",
                   [](Graph& graph) { attention(graph, {.causal = true, .nonpad = true}); }});
}

void add_rotary(std::vector<LegalizeCase>& cases) {
  for (const bool flat : {false, true}) {
    for (const int64_t interleaved : {0, 1}) {
      for (const int64_t width : {0, 4}) {
        cases.push_back({fmt::format("rotary flat={} interleaved={} width={}", flat, interleaved, width),
                         [=](Graph& graph) {
                           const auto x =
                               in(graph, "x",
                                  flat ? Shape{batch(), length(), 32} : Shape{batch(), 4, length(), 8});
                           const auto table = ones(graph, {64, width == 0 ? 4 : width / 2});
                           const auto places = in(graph, "position_ids", {batch(), length()}, DType::i64);
                           out(graph, op::emit("RotaryEmbedding", {x, table, table, places},
                                               {{"num_heads", int64_t{4}},
                                                {"interleaved", interleaved},
                                                {"rotary_embedding_dim", width}}));
                         }});
      }
    }
  }
}

void add_reductions(std::vector<LegalizeCase>& cases) {
  for (const char* op_type : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
                              "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"}) {
    cases.push_back({op_type, [=](Graph& graph) {
                       const auto x = in(graph, "x", {batch(), length(), 8});
                       out(graph, op::reduce(op_type, x, {-1, 1}, false));
                       out(graph, op::emit(op_type, {x}), "all");
                       out(graph, op::emit(op_type, {x}, {{"noop_with_empty_axes", int64_t{1}}}), "none");
                     }});
  }
  cases.push_back(
      {"any", [](Graph& graph) {
         out(graph, op::reduce("ReduceMax", in(graph, "x", {batch(), 8}, DType::boolean), {-1}, true));
       }});
  cases.push_back({"sums of halves", [](Graph& graph) {
                     out(graph, op::emit("CumSum", {in(graph, "x", {batch(), 8}, DType::f16),
                                                    op::scalar(graph, int64_t{1})}));
                   }});
}

void add_shapes(std::vector<LegalizeCase>& cases) {
  const auto add = [&](const char* name, std::function<void(Graph&, const Tensor&)> build,
                       int first_opset = 13) {
    cases.push_back({name,
                     [=](Graph& graph) {
                       build(graph, in(graph, "x", {batch(), length(), 8}));
                     },
                     first_opset});
  };
  add("dimensions", [](Graph& graph, const Tensor& x) {
    out(graph, op::shape_of(x, 1, 3));
    out(graph, op::size_of(x, 0), "size");
  });
  add("split", [](Graph& graph, const Tensor& x) {
    out(graph, op::emit_n("Split", {x}, {{"axis", int64_t{-1}}, {"num_outputs", int64_t{3}}}, 3)[2]);
    out(graph, op::emit_n("Split", {x}, {{"axis", int64_t{-1}}, {"num_outputs", int64_t{2}}}, 2)[1], "half");
  });
  add("pad", [](Graph& graph, const Tensor& x) {
    out(graph,
        op::emit("Pad", {x, op::integers(graph, {1, 2, 0, 3}), Tensor(), op::integers(graph, {1, -1})}));
  });
  add(
      "pad around",
      [](Graph& graph, const Tensor& x) {
        out(graph,
            op::emit("Pad", {x, op::integers(graph, {0, 0, 2, 0, 0, 3})}, {{"mode", std::string("wrap")}}));
      },
      19);
  add("reshape", [](Graph& graph, const Tensor& x) {
    out(graph, op::emit("Reshape", {x, op::integers(graph, {-1, 2, 4})}, {{"allowzero", int64_t{1}}}));
  });
  add("triangle", [](Graph& graph, const Tensor& x) {
    out(graph, op::emit("Trilu", {x, op::scalar(graph, int64_t{1})}, {{"upper", int64_t{0}}}));
  });
  add("cast like", [](Graph& graph, const Tensor& x) {
    out(graph, op::emit("CastLike", {x, op::scalar(graph, int64_t{1})}));
  });
  add("cast", [](Graph& graph, const Tensor& x) {
    out(graph, op::emit("Cast", {x}, {{"to", int64_t{10}}, {"saturate", int64_t{1}}}));
  });
  add("scatter", [](Graph& graph, const Tensor&) {
    const auto to = op::weight(graph, "to", Weight::from_i64({1, 2}, std::vector<int64_t>{0, 1}));
    const auto x = in(graph, "data", {3, 8});
    out(graph, op::emit("ScatterElements", {x, to, ones(graph, {1, 2})},
                        {{"axis", int64_t{1}}, {"reduction", std::string("none")}}));
  });
  add(
      "scatter a maximum",
      [](Graph& graph, const Tensor&) {
        const auto to = op::weight(graph, "to", Weight::from_i64({1, 2}, std::vector<int64_t>{0, 1}));
        const auto x = in(graph, "data", {3, 8});
        out(graph, op::emit("ScatterElements", {x, to, ones(graph, {1, 2})},
                            {{"axis", int64_t{1}}, {"reduction", std::string("max")}}));
      },
      18);
  add("resize", [](Graph& graph, const Tensor&) {
    const auto x = in(graph, "image", {batch(), 3, 6, 8});
    const std::vector<int64_t> axes = {2, 3};
    out(graph, op::emit("Resize", {x, Tensor(), Tensor(), op::integers(graph, {12, 20})}, {{"axes", axes}}));
    out(graph,
        op::emit("Resize",
                 {x, Tensor(), op::weight(graph, "s", Weight::from_f32({2}, std::vector<float>{2, 2}))},
                 {{"axes", axes}, {"antialias", int64_t{0}}}),
        "scaled");
  });
  add(
      "sample",
      [](Graph& graph, const Tensor&) {
        out(graph, op::emit("GridSample",
                            {in(graph, "image", {batch(), 3, 6, 8}), in(graph, "grid", {batch(), 5, 4, 2})},
                            {{"mode", std::string("cubic")}}));
      },
      16);
  add(
      "bits",
      [](Graph& graph, const Tensor&) {
        const auto x = in(graph, "bits", {4}, DType::i32);
        out(graph, op::emit("BitwiseAnd", {x, x}));
      },
      18);
}

}  // namespace

std::vector<LegalizeCase> legalize_cases() {
  std::vector<LegalizeCase> cases;
  add_activations(cases);
  add_normalizations(cases);
  add_attention(cases);
  add_rotary(cases);
  add_reductions(cases);
  add_shapes(cases);
  return cases;
}

}  // namespace ferry::passes
