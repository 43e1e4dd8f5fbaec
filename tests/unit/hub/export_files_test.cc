// Which files an export takes.
#include "hub/export_files.h"

#include "unit/hub/hub_fixture.h"

namespace ferry::hub::test {
namespace {
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::vector<std::string> choose(const std::vector<std::string>& names,
                                const ExportFilesOptions& options = {}) {
  std::vector<RepoSibling> siblings;
  for (const auto& name : names) siblings.push_back({name, std::nullopt, ""});
  return export_files(siblings, options);
}

TEST(ExportFiles, OrderOfWeights) {
  std::vector<std::string> all{"tf_model.h5", "flax_model.msgpack", "pytorch_model.bin", "model.safetensors"};
  EXPECT_THAT(choose(all), ElementsAre("model.safetensors"));
  all.pop_back();
  EXPECT_THAT(choose(all), ElementsAre("pytorch_model.bin"));
  all.pop_back();
  EXPECT_THAT(choose(all), ElementsAre("tf_model.h5"));
  EXPECT_THAT(choose({"flax_model.msgpack"}), ElementsAre("flax_model.msgpack"));
  EXPECT_THAT(
      choose({"bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.meta"}),
      UnorderedElementsAre("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"));
}

TEST(ExportFiles, FrameworkTakesTensorFlowFirst) {
  EXPECT_THAT(choose({"model.safetensors", "tf_model.h5"}, {.framework = "tf"}), ElementsAre("tf_model.h5"));
  EXPECT_THAT(choose({"model.safetensors"}, {.framework = "tf"}), ElementsAre("model.safetensors"));
  EXPECT_THAT(choose({"model.safetensors", "tf_model.h5"}, {.framework = "pt"}),
              ElementsAre("model.safetensors"));
  EXPECT_THROW(choose({"model.safetensors"}, {.framework = "mxnet"}), Error);
}

TEST(ExportFiles, Shards) {
  EXPECT_THAT(
      choose({"model.safetensors.index.json", "model-00001-of-00003.safetensors",
              "model-00003-of-00003.safetensors", "pytorch_model.bin", "other-00001-of-00002.safetensors"}),
      ElementsAre("model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                  "model-00003-of-00003.safetensors", "model.safetensors.index.json"));
}

TEST(ExportFiles, Variants) {
  const std::vector<std::string> names{"model.safetensors", "model.fp16.safetensors", "pytorch_model.bin"};
  EXPECT_THAT(choose(names), ElementsAre("model.safetensors"));
  EXPECT_THAT(choose(names, {.variant = "fp16"}), ElementsAre("model.fp16.safetensors"));
  EXPECT_THAT(choose({"model.safetensors.index.fp16.json", "model.fp16-00001-of-00001.safetensors",
                      "model.safetensors"},
                     {.variant = "fp16"}),
              ElementsAre("model.fp16-00001-of-00001.safetensors", "model.safetensors.index.fp16.json"));
  EXPECT_THAT(choose({"model.safetensors.index.fp16.json", "model-00001-of-00001.fp16.safetensors"},
                     {.variant = "fp16"}),
              Contains("model-00001-of-00001.fp16.safetensors"));
  EXPECT_THROW(choose(names, {.variant = "bf16"}), Error);
}

TEST(ExportFiles, SmallFilesAndNeverCode) {
  const auto chosen = choose({"config.json",
                              "generation_config.json",
                              "tokenizer.json",
                              "tokenizer_config.json",
                              "vocab.txt",
                              "merges.txt",
                              "special_tokens_map.json",
                              "added_tokens.json",
                              "spiece.model",
                              "sentencepiece.bpe.model",
                              "source.spm",
                              "preprocessor_config.json",
                              "processor_config.json",
                              "chat_template.jinja",
                              "chat_template.json",
                              "model.safetensors",
                              "README.md",
                              ".gitattributes",
                              "tokenizer.py",
                              "tokenization_x.py",
                              "vocab.py",
                              "onnx/model.onnx",
                              "training_args.bin",
                              "optimizer.pt",
                              "rust_model.ot",
                              "tokenizer_weights.safetensors"});
  EXPECT_EQ(chosen.size(), 16u);
  for (const char* name :
       {"README.md", "tokenizer.py", "vocab.py", "training_args.bin", "tokenizer_weights.safetensors"}) {
    EXPECT_THAT(chosen, Not(Contains(name)));
  }
}

TEST(ExportFiles, SentenceTransformersModules) {
  EXPECT_THAT(choose({"modules.json", "config_sentence_transformers.json", "sentence_bert_config.json",
                      "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors",
                      "2_Dense/pytorch_model.bin", "model.safetensors", "openvino/config.json"}),
              UnorderedElementsAre("modules.json", "config_sentence_transformers.json",
                                   "sentence_bert_config.json", "1_Pooling/config.json",
                                   "2_Dense/config.json", "2_Dense/model.safetensors", "model.safetensors"));
  EXPECT_THAT(choose({"modules.json", "0_Transformer/config.json", "0_Transformer/pytorch_model.bin"}),
              Contains("0_Transformer/pytorch_model.bin"));
}

TEST(ExportFiles, AdapterAloneAndSubfolder) {
  EXPECT_THAT(choose({"adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"}),
              ElementsAre("adapter_config.json", "adapter_model.safetensors"));
  EXPECT_THAT(choose({"model.safetensors", "tokenizer.json", "encoder/config.json",
                      "encoder/model.safetensors", "decoder/model.safetensors"},
                     {.subfolder = "encoder/"}),
              UnorderedElementsAre("tokenizer.json", "encoder/config.json", "encoder/model.safetensors"));
}

TEST(ExportFiles, NothingToExportSaysWhatIsThere) {
  try {
    choose({"config.json", "model.gguf"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr("found model.gguf"));
  }
}

TEST(ExportFiles, Patterns) {
  EXPECT_TRUE(matches_any("a/b.json", {"*.json"}));
  EXPECT_TRUE(matches_any("onnx/model.onnx", {"onnx/"}));
  EXPECT_FALSE(matches_any("a.JSON", {"*.json"}));
  EXPECT_FALSE(matches_any("a.json", {}));
}

}  // namespace
}  // namespace ferry::hub::test
