// generate() of encoders with decoders against transformers' own
// (tools/oracle/make_seq2seq_generation_goldens.py).
#include "ferry/seq2seq.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "ferry/export.h"
#include "support/test_folder.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<int64_t>>;

const fs::path kData = FERRY_TEST_DATA;

ModelInputs inputs_of(const Json& json) {
  ModelInputs out;
  for (const auto& [name, tensor] : json.items()) {
    const auto dims = tensor.at("dims").get<Dims>();
    const auto& values = tensor.at("values");
    out.set(name, values[0].is_number_integer() ? HostTensor::i64(dims, values.get<std::vector<int64_t>>())
                                                : HostTensor::f32(dims, values.get<std::vector<float>>()));
  }
  return out;
}

void expect_like_transformers(const ORTModelForConditionalGeneration& model, const Json& golden) {
  for (const Json& entry : golden.at("cases")) {
    GenerationConfig config = model.generation_config();
    EXPECT_EQ(config.update(entry.at("options").dump()), std::vector<std::string>());
    const auto out = model.generate(inputs_of(golden.at("inputs")), config);
    EXPECT_EQ(out.sequences, entry.at("sequences").get<Rows>()) << entry.at("options").dump();
    const auto scores = entry.value("scores", std::vector<float>());
    for (size_t i = 0; i < scores.size(); ++i)
      EXPECT_NEAR(out.sequences_scores.at(i), scores[i], 1e-4f * (1 + std::abs(scores[i])));
  }
}

class Seq2SeqGolden : public ::testing::TestWithParam<std::string> {};

// Merged, with weights that the files share or not; in two files; and recomputed without a cache.
TEST_P(Seq2SeqGolden, GeneratesAsTransformers) {
  const Json golden = read_json(kData / "generation/seq2seq" / (GetParam() + ".json"));
  const fs::path folder = testing::fresh_test_folder();
  using Weights = MainExportOptions::Weights;
  for (const auto& [merged, weights] :
       {std::pair(true, Weights::copy), {true, Weights::shared}, {false, Weights::copy}}) {
    MainExportOptions options;
    options.weights = weights;
    options.model = (kData / "golden" / GetParam()).string();
    options.output = folder / (weights == Weights::shared ? "shared" : merged ? "merged" : "apart");
    options.post_process = merged;
    options.validate = false;
    main_export(options);
    const LoadOptions load{.intra_op_threads = 1};
    const std::string place = options.output.string();
    expect_like_transformers(ORTModelForSeq2SeqLM::from_pretrained(place, load), golden);
    if (merged || !fs::remove(options.output / "decoder_with_past_model.onnx")) continue;
    expect_like_transformers(ORTModelForSeq2SeqLM::from_pretrained(place, load), golden);
  }
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(
    All, Seq2SeqGolden,
    ::testing::Values("t5-text2text-generation-with-past-gated", "mt5-text2text-generation-with-past",
                      "bart-text2text-generation-with-past", "marian-text2text-generation-with-past",
                      "whisper-automatic-speech-recognition-with-past",
                      "vision-encoder-decoder-image-to-text-with-past",
                      "vision-encoder-decoder-image-to-text-with-past-gpt2",
                      "vision-encoder-decoder-image-to-text-with-past-mbart",
                      "vision-encoder-decoder-image-to-text-roberta", "encoder-decoder-text2text-generation",
                      "encoder-decoder-text2text-generation-with-past"),
    [](const auto& instance) {
      std::string name = instance.param;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(Seq2Seq, WhatIsMissingIsNamed) {
  const auto model =
      ORTModelForSeq2SeqLM::from_pretrained((kData / "golden/t5-text2text-generation-with-past").string(),
                                            {.export_model = true, .intra_op_threads = 1});
  try {
    static_cast<void>(model.generate(ModelInputs()));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "the input \"input_ids\" is missing");
  }
}

}  // namespace
}  // namespace ferry
