// TensorFlow and Flax checkpoints against the same weights as PyTorch safetensors, bit for bit.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/tf_names.h"
#include "unit/checkpoint/make_files.h"

namespace ferry::checkpoint {
namespace {
using test::data;

// Every tensor of `reference` is in `checkpoint` with the same bytes once it has the wanted dimensions and
// dtype, and nothing else is.
void expect_maps_to(const std::filesystem::path& checkpoint, const std::filesystem::path& reference) {
  SCOPED_TRACE(checkpoint.string());
  const Checkpoint got = open_checkpoint(checkpoint);
  EXPECT_TRUE(got.foreign);
  const auto wanted = open_checkpoint(reference).state.tensors;
  for (const auto& [name, weight] : wanted) {
    if (ends_with(name, "num_batches_tracked")) continue;  // Has no source, and no use in inference.
    const auto found = got.state.tensors.find(name);
    if (found == got.state.tensors.end()) {
      ADD_FAILURE() << "no tensor " << name;
      continue;
    }
    const Weight adapted = adapt_shape(found->second, weight.dims());
    // Stored with fewer bits, the reference was rounded from the same number.
    const bool same = adapted.dtype() == weight.dtype()
                          ? adapted.bytes() == weight.bytes()
                          : weight.cast(adapted.dtype()).bytes() == adapted.bytes();
    EXPECT_TRUE(same) << name << ": the bytes differ";
  }
  for (const auto& [name, weight] : got.state.tensors)
    EXPECT_TRUE(wanted.count(name)) << "an additional tensor " << name;
}

TEST(Foreign, EveryFormatOfBertMapsToTheSameBytes) {
  expect_maps_to(data("bert/h5"), data("bert/model.safetensors"));
  expect_maps_to(data("bert/h5-sharded"), data("bert/model.safetensors"));
  expect_maps_to(data("bert/tf-safetensors"), data("bert/model.safetensors"));
  expect_maps_to(data("bert/flax"), data("bert/model.safetensors"));
}

TEST(Foreign, DistilBertsH5MapsToTheSameBytes) {
  expect_maps_to(data("distilbert/h5"), data("distilbert/model.safetensors"));
}

// All cases of a folder that FERRY_TF_CASES names: more architectures than are committed.
TEST(Foreign, EveryCaseOfTheFolderMapsToTheSameBytes) {
  const char* folder = std::getenv("FERRY_TF_CASES");
  if (folder == nullptr) GTEST_SKIP() << "FERRY_TF_CASES is not set";
  std::vector<std::filesystem::path> cases;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (std::filesystem::exists(entry.path() / "pt/model.safetensors")) cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  for (const auto& path : cases) {
    try {
      expect_maps_to(path, path / "pt/model.safetensors");
    } catch (const Error& error) {
      ADD_FAILURE() << path << ": " << error.what();
    }
  }
}

TEST(Foreign, KerasNamesFollowTheRulesOfTransformers) {
  const auto name = [](std::string_view variable, size_t rank = 1) {
    return name_of_keras(variable, rank, true).name;
  };
  EXPECT_EQ(name("tf_bert_model/bert/encoder/layer_._11/attention/self/query/kernel:0", 2),
            "bert.encoder.layer.11.attention.self.query.weight");
  EXPECT_EQ(name("any_name_1/mlm___cls/predictions/transform/LayerNorm/gamma:0"),
            "cls.predictions.transform.LayerNorm.weight");
  EXPECT_EQ(name("m/nsp___cls/seq_relationship/bias:0"), "cls.seq_relationship.bias");
  EXPECT_EQ(name("m/a___b/c___d/e___f/x"), "b.c___d.f.x") << "matches do not share a slash";
  EXPECT_EQ(name("final_logits_bias:0"), "final_logits_bias");
  EXPECT_EQ(name("m/bert//embeddings/embeddings:0", 2), "bert.embeddings.weight");
  EXPECT_EQ(name("m/norm/moving_mean:0"), "norm.running_mean");
  EXPECT_EQ(name("m/norm/moving_variance:0"), "norm.running_var");
  EXPECT_EQ(name("m/conv/pointwise_kernel:0", 3), "conv.pointwise.weight");
  EXPECT_EQ(name("m/conv/weight_g:0", 3), "conv.parametrizations.weight.original0");
  EXPECT_EQ(name_of_keras("bert/pooler/dense/kernel:0", 2, false).name, "bert.pooler.dense.weight");
  EXPECT_EQ(name_of_keras("final_logits_bias:0", 2, false).name, "final_logits_bias");
  EXPECT_EQ(name(""), "");
  EXPECT_EQ(name("/"), "");
  EXPECT_EQ(name("_._"), "");
}

TEST(Foreign, LayoutsFollowTheRulesOfTransformers) {
  const auto layout = [](std::string_view variable, size_t rank) {
    return name_of_keras(variable, rank, true).layout;
  };
  EXPECT_EQ(layout("m/x/kernel:0", 2), Layout::reversed);
  EXPECT_EQ(layout("m/x/kernel:0", 3), Layout::conv1d);
  EXPECT_EQ(layout("m/x/kernel:0", 4), Layout::conv2d);
  EXPECT_EQ(layout("m/x/depthwise_kernel:0", 3), Layout::reversed);
  EXPECT_EQ(layout("m/out_projs/0/weight:0", 2), Layout::reversed);
  EXPECT_EQ(layout("m/x/weight:0", 2), Layout::same);
  EXPECT_EQ(layout("m/x/embeddings:0", 2), Layout::same);
  const std::vector<int64_t> values = {0, 1, 2, 3, 4, 5};
  EXPECT_EQ(to_torch_layout(Weight::from_i64({2, 3}, values), Layout::reversed).as_i64(),
            (std::vector<int64_t>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(to_torch_layout(Weight::from_i64({1, 1, 2, 3}, values), Layout::conv2d).dims(),
            (Dims{3, 2, 1, 1}));
  EXPECT_EQ(to_torch_layout(Weight::from_i64({1, 2, 3}, values), Layout::conv1d).dims(), (Dims{3, 2, 1}));
}

TEST(Foreign, Tf1AndFlaxNames) {
  EXPECT_EQ(name_of_tf1("bert/encoder/layer_11/attention/self/query/kernel", 2).name,
            "bert.encoder.layer.11.attention.self.query.weight");
  EXPECT_EQ(name_of_tf1("bert/embeddings/token_type_embeddings", 2).name,
            "bert.embeddings.token_type_embeddings.weight");
  EXPECT_EQ(name_of_tf1("cls/seq_relationship/output_weights", 2).layout, Layout::same);
  EXPECT_EQ(name_of_tf1("cls/predictions/output_bias", 1).name, "cls.predictions.bias");
  EXPECT_EQ(name_of_flax("params/encoder/layer/0/dense/kernel", 2).name, "encoder.layer.0.dense.weight");
  EXPECT_EQ(name_of_flax("batch_stats/norm/mean", 1).name, "norm.running_mean");
}

TEST(Foreign, ExceptionsOfArchitectures) {
  const auto named = [](std::vector<std::string> variables, const ModelFacts& facts) {
    TensorFile file;
    file.format = "tf h5";
    int64_t value = 0;
    for (const auto& variable : variables) file.tensors.emplace(variable, Weight::scalar(value++));
    std::string out;
    for (const auto& [name, weight] : to_torch_names(file, facts, "x"))
      out += fmt::format("{}={} ", name, weight.as_i64()[0]);
    return out;
  };
  EXPECT_EQ(named({"m/predictions/bias:0", "m/predictions/decoder/bias:0"}, {"albert", "AlbertForMaskedLM"}),
            "predictions.bias=1 ");
  EXPECT_EQ(named({"m/bert/a:0", "m/bert/b/c:0"}, {"bert", "BertModel"}), "a=0 b.c=1 ");
  EXPECT_EQ(named({"m/transformer/a:0"}, {"gpt2", "GPT2LMHeadModel"}), "transformer.a=0 ");
  EXPECT_EQ(named({"m/mpnet/a:0", "m/mpnet/pooler/dense/bias:0"}, {"mpnet", "MPNetForMaskedLM"}),
            "mpnet.a=0 ");
  EXPECT_EQ(named({"m/mpnet/a:0", "m/mpnet/pooler/dense/bias:0"}, {"mpnet", "MPNetModel"}),
            "a=0 pooler.dense.bias=1 ");
  EXPECT_EQ(named({"m/encoder/vit/a:0", "m/encoder/vit/b:0", "m/decoder/gpt2/c:0"},
                  {"vision-encoder-decoder", "X"}),
            "decoder.gpt2.c=2 encoder.a=0 encoder.b=1 ");
  EXPECT_EQ(named({"m/vision_model/vit/a:0", "m/text_model/bert/b:0"}, {"vision-text-dual-encoder", "X"}),
            "text_model.b=1 vision_model.a=0 ");
  test::expect_error(
      [&] {
        named({"m/a/kernel:0", "m/a/gamma:0"}, {});
      },
      ErrorCode::invalid_file, "would both be \"a.weight\" in PyTorch");
}

TEST(Foreign, ShapesAdaptByDimensionsOfOneOnly) {
  const std::vector<int64_t> values = {0, 1, 2, 3, 4, 5};
  const Weight weight = Weight::from_i64({1, 2, 3}, values);
  EXPECT_EQ(adapt_shape(weight, {2, 1, 3}).dims(), (Dims{2, 1, 3}));
  EXPECT_EQ(adapt_shape(weight, {2, 3}).as_i64(), values);
  EXPECT_EQ(adapt_shape(Weight::scalar(int64_t{1}), {1, 1}).dims(), (Dims{1, 1}));
  test::expect_error(
      [&] {
        (void)adapt_shape(weight, {3, 2});
      },
      ErrorCode::shape_mismatch, "[1, 2, 3] differs from [3, 2] by more than dimensions of size 1");
}

}  // namespace
}  // namespace ferry::checkpoint
