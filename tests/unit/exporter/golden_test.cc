// Every golden case, through the reference interpreter and through ONNX Runtime at several opsets.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "exporter/build_model.h"
#include "exporter/example_inputs.h"
#include "exporter/validate.h"
#include "golden_case.h"
#include "models/registry.h"
#include "onnx/writer.h"
#include "ort/session.h"
#include "passes/fold.h"
#include "passes/pipeline.h"
#include "passes/quantize/matmul_nbits.h"
#include "passes/quantize/stored_blocks.h"
#include "reference/interpreter.h"
#include "tensor/grouped.h"

namespace ferry::testing {
namespace {
namespace fs = std::filesystem;

class Golden : public ::testing::TestWithParam<std::string> {};

using Run = std::function<TensorMap(const TensorMap&)>;

void check_runs(const std::vector<GoldenRun>& runs, double atol, const std::string& what, const Run& run) {
  for (size_t i = 0; i < runs.size(); ++i) {
    const TensorMap outputs = run(runs[i].inputs);
    EXPECT_EQ(outputs.size(), runs[i].outputs.size()) << what;
    for (const auto& [name, expected] : runs[i].outputs) {
      ASSERT_TRUE(outputs.count(name)) << what << ": " << name;
      EXPECT_EQ(mismatch(expected, outputs.at(name), atol), "")
          << what << ", run " << i << ", output " << name;
    }
  }
}

// The inputs that the graph has: a decoder without a mask of its encoder gets none.
TensorMap taken(const TensorMap& inputs, const std::vector<std::string>& names) {
  TensorMap out;
  for (const auto& name : names) out.emplace(name, inputs.at(name));
  return out;
}

// The graph as a user has it: written, opened and optimized by ONNX Runtime.
class Written {
 public:
  Written(const ir::Graph& graph, const std::string& name) : folder_(fs::path(::testing::TempDir()) / name) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    onnx::WriteOptions writing;
    writing.sync = false;
    onnx::write_model(graph, {folder_ / "model.onnx", folder_ / "model.onnx_data"}, writing);
    static const auto runtime = ort::Runtime::open({});
    session_.emplace(runtime, folder_ / "model.onnx");
  }
  ~Written() { fs::remove_all(folder_); }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;

  TensorMap operator()(const TensorMap& inputs) const {
    std::vector<std::string> names;
    for (const auto& declared : session_->inputs()) names.push_back(declared.name);
    auto results = session_->run(taken(inputs, names));
    TensorMap out;
    for (size_t i = 0; i < results.size(); ++i)
      out.emplace(session_->outputs()[i].name, std::move(results[i]));
    return out;
  }

 private:
  fs::path folder_;
  std::optional<ort::Session> session_;
};

TEST_P(Golden, InterpreterEqualsTransformers) {
  const GoldenCase golden = GoldenCase::load(golden_folder() / GetParam());
  const auto parts = golden.build();
  ASSERT_EQ(parts.size(), golden.runs.size());
  for (const auto& part : parts) {
    const reference::Interpreter interpreter(part.graph);
    std::vector<std::string> names;
    for (const auto& input : part.inputs) names.push_back(input.name);
    check_runs(golden.runs.at(part.file), golden.atol, "interpreter, " + part.file,
               [&](const TensorMap& inputs) { return interpreter.run(taken(inputs, names)); });
  }
}

std::vector<exporter::ReferenceRun> as_references(const std::vector<GoldenRun>& runs,
                                                  const std::vector<nn::InputSpec>& specs) {
  std::vector<exporter::ReferenceRun> out;
  for (const GoldenRun& run : runs) {
    exporter::ReferenceRun reference{{}, run.outputs};
    for (const auto& spec : specs) {
      const HostTensor& value = run.inputs.at(spec.name);
      reference.inputs.emplace(spec.name, value);
      for (size_t i = 0; i < spec.axes.size(); ++i) {
        if (const auto* axis = std::get_if<std::string>(&spec.axes[i]))
          reference.sizes[*axis] = value.dims[i];
      }
    }
    out.push_back(std::move(reference));
  }
  return out;
}

// The merged decoders: the runs of both, each with its branch.
void check_merged(const GoldenCase& golden, std::vector<exporter::BuiltPart>& parts, int opset) {
  const auto decoder = parts[parts.size() - 2].inputs, with_past = parts.back().inputs;
  const auto merged = exporter::merge_last_two(parts);
  const auto references =
      exporter::merged_runs(as_references(golden.runs.at("decoder_model.onnx"), decoder),
                            as_references(golden.runs.at("decoder_with_past_model.onnx"), with_past), decoder,
                            with_past, merged.graph);
  std::vector<GoldenRun> runs;
  for (const auto& reference : references) runs.push_back({reference.inputs, reference.outputs});
  const Written run(merged.graph, fmt::format("golden-{}-{}-merged", golden.name, opset));
  check_runs(runs, golden.atol, "merged", std::cref(run));
}

TEST_P(Golden, OnnxRuntimeEqualsTransformersAtEveryOpset) {
  const GoldenCase golden = GoldenCase::load(golden_folder() / GetParam());
  for (const int opset : {13, 17, 18, 21, 23, 24}) {
    auto parts = golden.build();
    for (auto& part : parts) {
      passes::PipelineOptions options;
      options.opset = opset;
      passes::run_pipeline(part.graph, options);
      const Written run(part.graph, fmt::format("golden-{}-{}", golden.name, opset));
      check_runs(golden.runs.at(part.file), golden.atol, fmt::format("opset {}, {}", opset, part.file),
                 std::cref(run));
    }
    if (golden.runs.count("decoder_with_past_model.onnx")) check_merged(golden, parts, opset);
  }
}

bool has_node(const ir::Graph& graph, std::string_view op_type) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(),
                     [&](const auto& node) { return node->op_type == op_type; });
}

// ONNX Runtime's GroupQueryAttention takes several new tokens on a past in batches of one row alone.
std::vector<GoldenRun> without_chunks_of_batches(std::vector<GoldenRun> runs) {
  std::erase_if(runs, [](const GoldenRun& run) {
    const auto past = run.inputs.find("past_key_values.0.key");
    const Dims& ids = run.inputs.at("input_ids").dims;
    return past != run.inputs.end() && past->second.dims[2] > 0 && ids[0] > 1 && ids[1] > 1;
  });
  return runs;
}

// ONNX Runtime's own operators in the place of what they stand for: in the interpreter and in ONNX Runtime.
TEST_P(Golden, FusedEqualsTransformers) {
  const GoldenCase golden = GoldenCase::load(golden_folder() / GetParam());
  const double atol = std::max(golden.atol, 1e-4);
  for (auto& part : golden.build()) {
    passes::PipelineOptions options;
    options.fuse = passes::FuseOptions{.max_positions = 64};
    passes::run_pipeline(part.graph, options);
    const auto& runs = golden.runs.at(part.file);
    const reference::Interpreter interpreter(part.graph);
    std::vector<std::string> names;
    for (const auto& input : part.inputs) names.push_back(input.name);
    check_runs(runs, atol, "fused, interpreter, " + part.file,
               [&](const TensorMap& inputs) { return interpreter.run(taken(inputs, names)); });
    const Written run(part.graph, fmt::format("golden-{}-fused", golden.name));
    const bool grouped = has_node(part.graph, "GroupQueryAttention");
    check_runs(grouped ? without_chunks_of_batches(runs) : runs, atol, "fused, " + part.file, std::cref(run));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Golden, ::testing::ValuesIn(golden_case_names()), [](const auto& instance) {
  std::string name = instance.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

size_t count_of(const ir::Graph& graph, std::string_view op_type) {
  return static_cast<size_t>(std::count_if(graph.nodes().begin(), graph.nodes().end(),
                                           [&](const auto& node) { return node->op_type == op_type; }));
}

// Embeddings in integers, with a head that is tied to them or not.
TEST(GatherBlockQuantized, OnnxRuntimeEqualsTheInterpreter) {
  struct Expected {
    const char* name;
    int bits, head_bits;
    long initializers;  // Of integers.
  };
  for (const auto& [name, bits, head_bits, initializers] :
       {Expected{"falcon-text-generation-with-past", 8, 8, 9},
        {"falcon-text-generation-with-past", 4, 8, 10},
        {"falcon-text-generation-with-past", 4, 0, 9},
        {"phi-text-generation-with-past", 4, 4, 14}}) {
    SCOPED_TRACE(fmt::format("{} {} {}", name, bits, head_bits));
    const GoldenCase golden = GoldenCase::load(golden_folder() / name);
    auto part = std::move(golden.build()[0]);
    passes::run_pipeline(part.graph, {});
    if (head_bits != 0) passes::untie_products(part.graph);
    passes::MatMulNBitsOptions options{{4, 16, true}};
    options.accuracy_level = 0;
    options.head_bits = head_bits;
    options.embedding_bits = bits;
    (void)passes::quantize_matmul_nbits(part.graph, options);
    ir::verify(part.graph);
    EXPECT_EQ(count_of(part.graph, "GatherBlockQuantized"), 1u);
    const auto weights = part.graph.used_weights();
    EXPECT_EQ(std::count_if(weights.begin(), weights.end(),
                            [](const ir::Value* value) { return value->dtype == DType::u8; }),
              initializers);
    std::vector<GoldenRun> runs = golden.runs.at("model.onnx");
    const reference::Interpreter interpreter(part.graph);
    for (auto& one : runs) one.outputs = interpreter.run(one.inputs);
    const Written run(part.graph, fmt::format("lookup-{}-{}-{}", name, bits, head_bits));
    check_runs(runs, 1e-4, "GatherBlockQuantized", std::cref(run));
  }
}

// Four bits in ONNX Runtime are four bits in the interpreter.
TEST(MatMulNBits, OnnxRuntimeEqualsTheInterpreter) {
  const GoldenCase golden = GoldenCase::load(golden_folder() / "llama-text-generation-with-past-fused");
  for (const bool symmetric : {true, false}) {
    auto parts = golden.build();
    passes::run_pipeline(parts[0].graph, {});
    passes::MatMulNBitsOptions options{{4, 16, symmetric}};
    options.accuracy_level = 0;
    options.head_bits = symmetric ? 8 : 0;
    const auto result = passes::quantize_matmul_nbits(parts[0].graph, options);
    EXPECT_EQ(result.quantized.size(), symmetric ? 15u : 14u);
    EXPECT_EQ(result.kept.size(), symmetric ? 0u : 1u);
    for (const auto& kept : result.kept) EXPECT_EQ(kept.name, "/lm_head/MatMul");
    ir::verify(parts[0].graph);
    const reference::Interpreter interpreter(parts[0].graph);
    const Written run(parts[0].graph, fmt::format("nbits-{}", symmetric));
    std::vector<GoldenRun> runs = golden.runs.at("model.onnx");
    for (auto& one : runs) one.outputs = interpreter.run(one.inputs);
    check_runs(runs, 1e-4, "MatMulNBits", std::cref(run));
  }
}

// Checkpoints of integers: what ONNX Runtime makes of them is what transformers makes of the floats they
// stand for.
TEST(StoredIntegers, EqualTransformers) {
  struct Expected {
    const char* name;
    size_t products, floats, attention, fused_products;
  };
  for (const auto& [name, products, floats, attention, fused_products] :
       {Expected{"llama-text-generation-with-past-gptq", 14, 1, 4, 14},
        {"llama-text-generation-with-past-gptq-v2", 6, 2, 2, 6},
        {"llama-text-generation-with-past-awq", 14, 1, 4, 14},
        {"gpt2-text-generation-with-past-gptq", 4, 1, 2, 4}}) {
    SCOPED_TRACE(name);
    const GoldenCase golden = GoldenCase::load(golden_folder() / name);
    for (const bool fuses : {false, true}) {
      auto part = std::move(golden.build()[0]);
      passes::PipelineOptions options;
      if (fuses) options.fuse = passes::FuseOptions{.packed_qkv = true, .max_positions = 64};
      passes::run_pipeline(part.graph, options);
      const auto taken = passes::take_stored_blocks(part.graph, 0);
      EXPECT_EQ(taken.kept, std::vector<std::string>{});
      EXPECT_EQ(count_of(part.graph, "MatMulNBits"), fuses ? fused_products : products);
      EXPECT_EQ(count_of(part.graph, "MatMul") + count_of(part.graph, "Gemm"),
                fuses ? floats : floats + attention);
      ir::verify(part.graph);
      const Written run(part.graph, fmt::format("stored-{}-{}", name, fuses));
      const auto& runs = golden.runs.at("model.onnx");
      check_runs(fuses ? without_chunks_of_batches(runs) : runs, 1e-4, "integers", std::cref(run));
    }
  }
}

// Words in which the integers are any.
Weight some_words(Dims dims, uint32_t seed) {
  std::vector<uint32_t> values(static_cast<size_t>(element_count(dims)));
  for (uint32_t& value : values) value = seed = seed * 1664525u + 1013904223u;
  const auto bytes = std::as_bytes(std::span(values));
  return Weight::inline_bytes(DType::i32, std::move(dims), {bytes.begin(), bytes.end()});
}

Weight some_grouped(int64_t columns, bool shuffled) {
  std::vector<float> scales(static_cast<size_t>(2 * columns));
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<float>(1 + i % 7) / 64;
  std::vector<int32_t> groups;
  for (int k = 0; k < 32; ++k) groups.push_back(k % 2);
  const auto bytes = std::as_bytes(std::span(groups));
  GroupedTensors tensors{some_words({4, columns}, static_cast<uint32_t>(columns)),
                         some_words({2, columns / 8}, 7), Weight::from_f32({2, columns}, scales),
                         std::nullopt};
  if (shuffled) tensors.g_idx = Weight::inline_bytes(DType::i32, {32}, {bytes.begin(), bytes.end()});
  return grouped_matrix(tensors, {GroupedFormat::Layout::gptq, 4, 16, true});
}

// Matrices that a fusion joined: one product where they are stored alike, several where not.
TEST(StoredIntegers, OfJoinedMatricesAreJoined) {
  const Weight plain[] = {some_grouped(16, false).transpose(), some_grouped(8, false).transpose()};
  const Weight mixed[] = {some_grouped(16, false).transpose(), some_grouped(8, true).transpose(),
                          some_grouped(24, true).slice(0, 3, 8).transpose()};
  for (const auto& [parts, products] :
       {std::pair{std::span<const Weight>(plain), 1u}, {std::span<const Weight>(mixed), 2u}}) {
    ir::Graph graph;
    ir::Tensor x(graph, graph.add_input("x", DType::f32, {3, 32}));
    graph.add_output("y", ir::op::matmul(x, ir::op::weight(graph, "w", Weight::concat(parts, 1))).value());
    std::vector<float> numbers(96);
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i * 37 % 19) / 8 - 1;
    const TensorMap inputs{{"x", HostTensor::from_weight(Weight::from_f32({3, 32}, numbers))}};
    const TensorMap expected = reference::Interpreter(graph).run(inputs);
    EXPECT_EQ(passes::take_stored_blocks(graph, 0).products, 1u);
    EXPECT_EQ(count_of(graph, "MatMulNBits"), products);
    EXPECT_EQ(count_of(graph, "Gather"), products - 1);
    const Written run(graph, fmt::format("joined-{}", products));
    EXPECT_EQ(mismatch(expected.at("y"), run(inputs).at("y"), 1e-4), "");
  }
}

TEST(Fused, TakesWhatTheDefinitionSays) {
  const auto fused = [](const std::string& name) {
    auto parts = GoldenCase::load(golden_folder() / name).build();
    return passes::fuse(parts[0].graph, {.max_positions = 64});
  };
  using Counts = std::map<std::string, size_t>;
  EXPECT_EQ(fused("llama-text-generation-with-past-fused"),
            (Counts{{"GroupQueryAttention", 2},
                    {"QuickGelu", 2},
                    {"RotaryEmbedding", 4},
                    {"SimplifiedLayerNormalization", 1},
                    {"SkipSimplifiedLayerNormalization", 4}}));
  EXPECT_EQ(fused("bert-fill-mask"),
            (Counts{{"BiasGelu", 3}, {"MultiHeadAttention", 2}, {"SkipLayerNormalization", 4}}));
  EXPECT_EQ(fused("gpt2-text-generation-with-past"),
            (Counts{{"FastGelu", 2}, {"GroupQueryAttention", 2}, {"SkipLayerNormalization", 5}}));
}

TEST(Signatures, FramesAreNamedAsOptimumNamesThem) {
  const auto axes = [](const std::string& name) {
    auto parts = GoldenCase::load(golden_folder() / name).build();
    EXPECT_EQ(to_string(*parts[0].graph.inputs[0]->shape), "[batch_size, sequence_length]");
    exporter::name_axes(parts[0]);
    return to_string(*parts[0].graph.outputs[0]->shape);
  };
  EXPECT_EQ(axes("wav2vec2-feature-extraction"), "[batch_size, sequence_length, 32]");
  EXPECT_EQ(axes("hubert-automatic-speech-recognition"),
            "[batch_size, ( ( ( sequence_length - 10 ) // 5 + 1 - 3 ) // 2 + 1 - 2 ) // 2 + 1, 29]");
  EXPECT_EQ(axes("wav2vec2-audio-xvector"), "[batch_size, 17]");
}

// Positions fix the size of an image: the graph is built for it, the file still shows Optimum's names.
TEST(ImageAxes, OfOneSizeAreNamedInTheFileAlone) {
  auto part = std::move(GoldenCase::load(golden_folder() / "vit-image-classification").build()[0]);
  const auto shape = [&] { return ir::to_string(*part.graph.inputs[0]->shape); };
  EXPECT_EQ(shape(), "[batch_size, 3, 12, 12]");
  const auto sizes = exporter::example_sizes(part.inputs, {});
  ASSERT_EQ(sizes.size(), 2u);
  const exporter::AxisSizes two = {{"batch_size", 2}, {"height", 12}, {"num_channels", 3}, {"width", 12}};
  EXPECT_EQ(sizes[0], two);
  EXPECT_EQ(sizes[1].at("batch_size"), 1);
  exporter::name_axes(part);
  EXPECT_EQ(shape(), "[batch_size, num_channels, height, width]");
}

TEST(WindowsOfSound, AreTriedByTwoAndByOne) {
  const auto part =
      std::move(GoldenCase::load(golden_folder() / "whisper-automatic-speech-recognition").build()[0]);
  const auto sizes = exporter::example_sizes(part.inputs, {});
  ASSERT_EQ(sizes.size(), 2u);
  EXPECT_EQ(sizes[0], (exporter::AxisSizes{{"batch_size", 2}}));
  EXPECT_EQ(sizes[1], (exporter::AxisSizes{{"batch_size", 1}}));
}

TEST(ImageAxes, OfOutputsAreOptimums) {
  auto part = std::move(GoldenCase::load(golden_folder() / "segformer-semantic-segmentation").build()[0]);
  exporter::name_axes(part);
  EXPECT_EQ(ir::to_string(*part.graph.inputs[0]->shape), "[batch_size, num_channels, height, width]");
  EXPECT_EQ(ir::to_string(*part.graph.outputs[0]->shape), "[batch_size, num_labels, height, width]");
  const auto sizes = exporter::example_sizes(part.inputs, {});
  EXPECT_EQ(sizes[0].at("height"), 64);
  EXPECT_EQ(sizes[1].at("height"), 25);
  EXPECT_EQ(sizes[1].at("batch_size"), 3);
}

// One file for all computes what its parts compute one after the other.
TEST(Monolith, ComputesWhatItsPartsDo) {
  for (const char* name : {"t5-text2text-generation", "encoder-decoder-text2text-generation",
                           "vision-encoder-decoder-image-to-text"}) {
    const GoldenCase golden = GoldenCase::load(golden_folder() / name);
    const auto parts = golden.build();
    auto one = std::move(golden.build(true).at(0));
    passes::run_pipeline(one.graph, {});
    const Written run(one.graph, fmt::format("monolith-{}", name));
    for (const GoldenRun& golden_run : golden.runs.at("encoder_model.onnx")) {
      TensorMap inputs = golden_run.inputs;
      const int64_t batch = inputs.begin()->second.dims[0];
      const HostTensor ids =
          HostTensor::i64({batch, 3}, std::vector<int64_t>(static_cast<size_t>(batch) * 3, 5));
      TensorMap decoder = {{"input_ids", ids},
                           {"encoder_hidden_states", golden_run.outputs.at("last_hidden_state")}};
      if (inputs.count("attention_mask")) decoder["encoder_attention_mask"] = inputs.at("attention_mask");
      inputs["decoder_input_ids"] = ids;
      const auto expected = reference::Interpreter(parts.at(1).graph).run(decoder);
      EXPECT_EQ(mismatch(expected.at("logits"), run(inputs).at("logits"), golden.atol), "") << name;
    }
  }
}

// Two files' tables of positions are one in the merged file, and so in a folder of shared weights.
TEST(Merged, HasATableOfPositionsOnce) {
  for (const char* name : {"marian-text2text-generation-with-past",
                           "vision-encoder-decoder-image-to-text-with-past-sinusoids"}) {
    auto parts = GoldenCase::load(golden_folder() / name).build();
    for (auto& part : parts) passes::run_pipeline(part.graph, {});
    const auto merged = exporter::merge_last_two(parts);
    const auto weights = merged.graph.used_weights();
    const auto tables = std::count_if(weights.begin(), weights.end(), [](const ir::Value* value) {
      return value->name.find("sinusoids") != std::string::npos;
    });
    EXPECT_EQ(tables, 1) << name;
  }
}

TEST(GoldenCases, CoverEveryRegisteredArchitectureAndTask) {
  std::set<std::pair<std::string, std::string>> covered;
  for (const auto& name : golden_case_names()) {
    const GoldenCase golden = GoldenCase::load(golden_folder() / name);
    covered.emplace(golden.model_type, golden.task);
    for (const auto& [file, runs] : golden.runs)
      EXPECT_GE(runs.size(), 2u) << name << ": " << file << " has fewer than two shapes";
  }
  const auto registry = models::Registry::builtin();
  for (const auto& type : registry.model_types()) {
    for (const auto& task : registry.get(type).task_names()) {
      EXPECT_TRUE(covered.count({type, task})) << "no golden case for " << type << " x " << task;
    }
  }
}

}  // namespace
}  // namespace ferry::testing
