// generate() against transformers' own (tools/oracle/make_generation_goldens.py), and what it refuses.
#include "ferry/generation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "ferry/export.h"
#include "runtime/generation/processors.h"
#include "runtime/generation/search.h"
#include "runtime/generation/stopping.h"
#include "support/test_folder.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<int64_t>>;

fs::path data(const std::string& name) {
  return fs::path(FERRY_TEST_DATA) / name;
}

template <typename Body>
std::string message(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

GenerationConfig config_of(const Json& options) {
  GenerationConfig out;
  EXPECT_EQ(out.update(options.dump()), std::vector<std::string>());
  return out;
}

// Token 0 is padding.
ModelInputs inputs_of(const Rows& rows) {
  std::vector<int64_t> ids, mask;
  for (const auto& row : rows) {
    for (const int64_t id : row) {
      ids.push_back(id);
      mask.push_back(id == 0 ? 0 : 1);
    }
  }
  const Dims dims = {static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size())};
  ModelInputs out;
  out.set("input_ids", HostTensor::i64(dims, ids));
  out.set("attention_mask", HostTensor::i64(dims, mask));
  return out;
}

ORTModelForCausalLM decoder(const std::string& name, const std::string& task = "") {
  LoadOptions options;
  options.export_model = true;
  options.intra_op_threads = 1;
  options.task = task;
  return ORTModelForCausalLM::from_pretrained(data("golden/" + name + "-text-generation-with-past").string(),
                                              options);
}

void expect_like_transformers(const ORTModelForCausalLM& model, const std::string& name) {
  for (const Json& entry : read_json(data("generation/causal/" + name + ".json"))) {
    const Json& options = entry.at("options");
    const auto out =
        model.generate(inputs_of(entry.at("input_ids").get<Rows>()), config_of(options), {.seed = 1});
    EXPECT_EQ(out.sequences, entry.at("sequences").get<Rows>()) << options.dump();
    if (!entry.contains("scores")) continue;
    const auto scores = entry.at("scores").get<std::vector<float>>();
    ASSERT_EQ(out.sequences_scores.size(), scores.size());
    for (size_t i = 0; i < scores.size(); ++i)
      EXPECT_NEAR(out.sequences_scores[i], scores[i], 1e-4f * (1 + std::abs(scores[i]))) << options.dump();
  }
}

class CausalGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(CausalGolden, EqualsTransformers) {
  expect_like_transformers(decoder(GetParam()), GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, CausalGolden,
                         ::testing::Values("gpt2", "llama", "qwen2", "mistral", "gemma", "gemma2", "bloom",
                                           "opt", "falcon"),
                         [](const auto& instance) { return instance.param; });

TEST(Generate, AGraphWithoutCacheComputesAllTokensAgain) {
  const auto model = decoder("gpt2", "text-generation");
  const auto outputs = model.output_names();
  ASSERT_EQ(outputs, std::vector<std::string>{"logits"});
  expect_like_transformers(model, "gpt2");
}

// The same checkpoint, fused (past and present in one buffer) and not.
class Fused : public ::testing::TestWithParam<std::string> {
 protected:
  Fused() : folder_(ferry::testing::fresh_test_folder()) {
    MainExportOptions options;
    options.model = data("golden/" + GetParam()).string();
    options.output = folder_;
    options.optimize = "O2";
    options.validate = false;
    main_export(options);
  }
  ~Fused() override { fs::remove_all(folder_); }

  ORTModelForCausalLM fused() const {
    return ORTModelForCausalLM::from_pretrained(folder_.string(), {.intra_op_threads = 1});
  }
  static ORTModelForCausalLM plain() {
    return ORTModelForCausalLM::from_pretrained(data("golden/" + GetParam()).string(),
                                                {.export_model = true, .intra_op_threads = 1});
  }
  fs::path folder_;
};

TEST_P(Fused, GeneratesWhatThePlainGraphDoes) {
  const auto ours = fused(), theirs = plain();
  const Rows one = {{5, 6, 7, 8, 9}}, two = {{0, 0, 3, 4, 5, 9}, {7, 11, 2, 30, 8, 1}};
  const std::vector<std::pair<Rows, Json>> cases = {
      {one, {{"max_length", 40}}},  // The buffers grow on the way.
      {two, {{"max_length", 40}}},
      {one, {{"prefill_chunk_size", 2}, {"max_length", 12}}},
      {two, {{"prefill_chunk_size", 4}, {"max_length", 12}}},  // Refused by ONNX Runtime at once.
      {two, {{"num_beams", 3}, {"num_return_sequences", 2}, {"max_length", 40}}},
      {two, {{"num_beams", 2}, {"prefill_chunk_size", 3}, {"max_length", 12}}},
      {one, {{"num_beams", 4}, {"num_beam_groups", 2}, {"diversity_penalty", 0.5}, {"max_length", 20}}},
      {two, {{"do_sample", true}, {"num_return_sequences", 2}, {"max_length", 20}}},
  };
  for (const auto& [prompt, options] : cases) {
    const auto expected = theirs.generate(inputs_of(prompt), config_of(options), {.seed = 1}).sequences;
    EXPECT_EQ(ours.generate(inputs_of(prompt), config_of(options), {.seed = 1}).sequences, expected)
        << options.dump();
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Fused,
    ::testing::Values("gpt2-text-generation-with-past", "llama-text-generation-with-past-fused",
                      "mistral-text-generation-with-past-fused", "gemma2-text-generation-with-past-fused"),
    [](const auto& instance) { return instance.param.substr(0, instance.param.find('-')); });

float number(const Json& value) {
  return value.is_string() ? std::stof(value.get<std::string>()) : value.get<float>();
}

TEST(LogitsProcessors, EqualTransformers) {
  for (const Json& entry : read_json(data("generation/processors.json"))) {
    const auto ids = entry.at("ids").get<std::vector<int64_t>>();
    const auto prompt = entry.at("prompt").get<size_t>();
    Json options = {{"top_k", 0}};
    options.update(entry.at("options"));
    const auto processors =
        generation::processors_of(config_of(options), {}, prompt, entry.at("max_length").get<int64_t>(),
                                  {{ids.begin(), ids.begin() + static_cast<ptrdiff_t>(prompt)}});
    std::vector<float> scores;
    for (const Json& score : entry.at("scores")) scores.push_back(number(score));
    for (const auto& processor : processors) processor({0, ids}, scores);
    for (size_t i = 0; i < scores.size(); ++i) {
      const float expected = number(entry.at("expected")[i]);
      if (scores[i] == expected) continue;
      EXPECT_NEAR(scores[i], expected, 1e-5f * (1 + std::abs(expected)))
          << i << " " << options.dump() << entry.at("ids").dump();
    }
  }
}

TEST(LogitsProcessors, APrefixMayAllowFewTokens) {
  std::vector<float> scores = {1, 2, 3, 4};
  generation::prefix_constrained([](const Hypothesis&) {
    return std::vector<int64_t>{2, 0};
  })({0, {}}, scores);
  EXPECT_EQ(scores, (std::vector<float>{1, -INFINITY, 3, -INFINITY}));
}

// The same logits at each step, whatever came before.
struct Fixed final : generation::Decoder {
  explicit Fixed(std::vector<float> values) : logits(std::move(values)) {}
  std::span<float> step(std::span<const int64_t>, size_t given) override {
    rows = given;
    return all();
  }
  void reorder(std::span<const size_t> places) override { rows = places.size(); }
  std::span<float> all() {
    memory.clear();
    for (size_t r = 0; r < rows; ++r) memory.insert(memory.end(), logits.begin(), logits.end());
    return memory;
  }
  std::vector<float> logits, memory;
  size_t rows = 1;
};

GenerateOutput continued(const Json& options, const std::vector<float>& logits, const GenerateOptions& more) {
  const Rows prompt = {{0}};
  Fixed fixed(logits);
  const auto plan = generation::make_plan(config_of(options), more, 1, prompt, std::nullopt);
  return generation::search(fixed, plan, prompt);
}

// How often each token comes, in parts of one.
std::vector<double> frequencies(const Json& options, const std::vector<float>& logits) {
  const auto out = continued(options, logits, {.seed = 7});
  std::vector<double> counts(logits.size());
  double all = 0;
  for (const auto& row : out.sequences) {
    for (size_t t = 1; t < row.size(); ++t, ++all) ++counts[static_cast<size_t>(row[t])];
  }
  for (double& count : counts) count /= all;
  return counts;
}

void expect_drawn(const Json& options, const std::vector<float>& logits, std::vector<double> weights) {
  Json all = {{"do_sample", true}, {"num_return_sequences", 4000}, {"max_new_tokens", 10}, {"top_k", 0}};
  all.update(options);
  const auto found = frequencies(all, logits);
  double sum = 0;
  for (const double weight : weights) sum += weight;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double p = weights[i] / sum;
    // Five standard deviations of 40000 draws.
    EXPECT_NEAR(found[i], p, 5 * std::sqrt(p * (1 - p) / 40000)) << i << options.dump();
  }
}

TEST(Sampling, TokensComeAsOftenAsTheirProbabilitiesSay) {
  const std::vector<double> p = {0.4, 0.3, 0.15, 0.1, 0.05};
  std::vector<float> logits;
  for (const double value : p) logits.push_back(static_cast<float>(std::log(value)) + 3);
  expect_drawn(Json::object(), logits, p);
  expect_drawn({{"top_k", 2}}, logits, {0.4, 0.3, 0, 0, 0});
  expect_drawn({{"top_p", 0.8}}, logits, {0.4, 0.3, 0.15, 0, 0});
  expect_drawn({{"min_p", 0.3}}, logits, {0.4, 0.3, 0.15, 0, 0});
  expect_drawn({{"typical_p", 0.5}}, logits, {0.4, 0.3, 0, 0, 0});
  expect_drawn({{"temperature", 0.5}}, logits, {0.16, 0.09, 0.0225, 0.01, 0.0025});
}

TEST(Sampling, ASeedGivesTheSameTokensAgain) {
  const Json options = {{"do_sample", true}, {"max_new_tokens", 40}};
  const std::vector<float> logits(30, 1.0f);
  const auto first = continued(options, logits, {.seed = 3}).sequences;
  EXPECT_EQ(continued(options, logits, {.seed = 3}).sequences, first);
  EXPECT_NE(continued(options, logits, {.seed = 4}).sequences, first);
  EXPECT_NE(continued(options, logits, {}).sequences, continued(options, logits, {}).sequences);
}

TEST(Sampling, BeamsAreDrawnWithoutReturn) {
  generation::Sampler sampler(1);
  std::vector<double> first(3);
  for (int i = 0; i < 20000; ++i) {
    const auto places = sampler.draw_several({0.5f, 0.3f, 0.2f}, 3);
    EXPECT_EQ(places[0] + places[1] + places[2], 3u);
    ++first[places[0]];
  }
  EXPECT_NEAR(first[0] / 20000, 0.5, 0.02);
  EXPECT_NEAR(first[2] / 20000, 0.2, 0.02);
  const auto out = continued({{"do_sample", true}, {"num_beams", 2}, {"max_new_tokens", 5}},
                             std::vector<float>(30, 1.0f), {.seed = 3});
  EXPECT_EQ(out.sequences[0].size(), 6u);
  EXPECT_NE(message([] {
              generation::Sampler(1).draw_several({1, 0}, 2);
            }).find("fewer possible tokens"),
            std::string::npos);
}

TEST(Stopping, CallbacksTimeAndStreams) {
  const std::vector<float> logits = {0, 5, 1};
  GenerateOptions options;
  std::vector<int64_t> streamed;
  options.streamer = [&](std::span<const int64_t> tokens) {
    streamed.insert(streamed.end(), tokens.begin(), tokens.end());
  };
  options.stopping_criteria = {[](const Hypothesis& row) { return row.ids.size() == 4; }};
  EXPECT_EQ(continued({{"max_new_tokens", 9}}, logits, options).sequences, (Rows{{0, 1, 1, 1}}));
  EXPECT_EQ(streamed, (std::vector<int64_t>{1, 1, 1}));
  options.logits_processor = {[](const Hypothesis&, std::span<float> scores) { scores[1] = -9; }};
  EXPECT_EQ(continued({{"max_new_tokens", 9}}, logits, options).sequences, (Rows{{0, 2, 2, 2}}));
  EXPECT_EQ(continued({{"max_new_tokens", 9}, {"max_time", 0}}, logits, {}).sequences, (Rows{{0, 1}}));
  EXPECT_EQ(message([&] {
              continued({{"num_beams", 2}}, logits, options);
            }),
            "beam search cannot be streamed; num_beams 1 can");
}

TEST(Stopping, ATextEndsASequence) {
  const auto tokenizer = AutoTokenizer::from_pretrained(data("pipelines/fill-mask"));
  const auto ids_of = [&](std::string_view text) {
    EncodeOptions plain;
    plain.add_special_tokens = false;
    const auto ids = tokenizer(text, plain).encodings[0].ids;
    return std::vector<int64_t>(ids.begin(), ids.end());
  };
  const auto stops = [&](std::string_view text, std::vector<std::string> texts) {
    const auto ids = ids_of(text);
    return generation::ends_with_text(tokenizer, std::move(texts))({0, ids});
  };
  EXPECT_TRUE(stops("the cat", {"dog", "cat"}));
  EXPECT_TRUE(stops("the cat sat", {"cat sat"}));
  EXPECT_TRUE(stops("the cat", {"a"}));  // The last token runs past the text's end.
  EXPECT_FALSE(stops("the cat sat", {"cat"}));
  EXPECT_FALSE(stops("the cat", {"mat", "the"}));
  EXPECT_EQ(message([] {
              continued({{"stop_strings", "a"}}, {1, 2}, {});
            }),
            "stop_strings need the tokenizer; give it as GenerateOptions::tokenizer");
}

TEST(Generate, RefusesWhatDoesNotFitTheModel) {
  const auto model = decoder("llama");  // 50 positions, 41 tokens.
  const auto refusal = [&](const Rows& rows, const Json& options) {
    return message([&] { static_cast<void>(model.generate(inputs_of(rows), config_of(options))); });
  };
  EXPECT_EQ(refusal({std::vector<int64_t>(60, 3)}, Json::object()),
            "the prompt has 60 tokens, more than the 50 that the model takes");
  EXPECT_EQ(refusal({{3, 4}}, {{"max_new_tokens", 49}}),
            "2 tokens of prompt and 49 new ones are more than the 50 that the model takes; at most 48 new "
            "tokens fit");
  EXPECT_EQ(refusal({{3, 4, 5}}, {{"max_length", 3}}),
            "the prompt has 3 tokens, and max_length is 3; give a larger max_length, or max_new_tokens");
  EXPECT_EQ(refusal({{3, 41}}, Json::object()),
            "token 41 is beyond the model's vocabulary of 41; does the tokenizer belong to the model?");
  EXPECT_EQ(refusal({{3}, {0}}, Json::object()), "row 1 of the prompt is padding alone");
  ModelInputs empty;
  empty.set("input_ids", HostTensor::i64({1, 0}, {}));
  EXPECT_EQ(message([&] { static_cast<void>(model.generate(empty)); }), "the prompt has no tokens");
  ModelInputs cached = inputs_of({{3, 4}});
  cached.set("past_key_values.0.key", HostTensor::zeros(DType::f32, {1, 2, 5, 6}));
  EXPECT_NE(message([&] { static_cast<void>(model.generate(cached)); }).find("begins with an empty cache"),
            std::string::npos);
  EXPECT_EQ(refusal({{3, 4}}, {{"suppress_tokens", {99}}, {"max_new_tokens", 1}}), "accepted");
  EXPECT_NE(refusal({{3, 4}}, {{"bad_words_ids", {{99}}}}).find("bad_words_ids: token 99 is beyond"),
            std::string::npos);
}

TEST(CausalLM, StepsOverACacheAndRefusesAnothers) {
  const auto model = decoder("llama");
  const auto whole = model(inputs_of({{3, 4, 5}}));
  EXPECT_EQ(whole.logits.dims, (Dims{1, 3, 41}));
  auto first = model(inputs_of({{3, 4}}));
  ModelInputs next = inputs_of({{5}});
  next.set("attention_mask", HostTensor::i64({1, 3}, {1, 1, 1}));
  next.set("position_ids", HostTensor::i64({1, 1}, {2}));
  for (auto& [name, tensor] : first.present) next.set("past_key_values" + name.substr(7), tensor);
  const auto logits = model(next).logits;
  for (size_t i = 0; i < 41; ++i)
    EXPECT_NEAR(logits.as<float>()[i], whole.logits.as<float>()[2 * 41 + i], 1e-5f);
  ModelInputs wide = next;
  wide.set("past_key_values.1.value", HostTensor::zeros(DType::f32, {1, 3, 2, 6}));
  EXPECT_NE(message([&] { static_cast<void>(model(wide)); }).find("past_key_values.1.value"),
            std::string::npos);
  next.set("past_key_values.2.key", HostTensor::zeros(DType::f32, {1, 2, 2, 6}));
  EXPECT_EQ(message([&] { static_cast<void>(model(next)); }),
            "the model does not take past_key_values.2.key; the cache of another model?");
}

class GenerationConfigFolder : public ::testing::Test {
 protected:
  GenerationConfigFolder() : folder(fs::path(::testing::TempDir()) / "ferry-generation-config") {
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  ~GenerationConfigFolder() override { fs::remove_all(folder); }
  void write(const std::string& name, const Json& json) { std::ofstream(folder / name) << json.dump(); }
  GenerationConfig read() {
    Log log;
    log.on_message = [this](LogLevel, std::string_view text) { warnings.emplace_back(text); };
    return GenerationConfig::from_pretrained(folder, &log);
  }
  fs::path folder;
  std::vector<std::string> warnings;
};

TEST_F(GenerationConfigFolder, ItsFileGoesBeforeTheModels) {
  write("config.json", {{"eos_token_id", 7}, {"temperature", 0.5}, {"top_k", nullptr}});
  EXPECT_EQ(read().eos_token_id, std::vector<int64_t>{7});
  EXPECT_EQ(read().top_k, 50);
  write("generation_config.json", {{"eos_token_id", {5, 6}},
                                   {"max_length", 20},
                                   {"early_stopping", "never"},
                                   {"top_k", nullptr},
                                   {"levitation", 3},
                                   {"transformers_version", "4.57.6"}});
  const auto config = read();
  EXPECT_EQ(config.eos_token_id, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(config.temperature, 1);
  EXPECT_EQ(config.top_k, 0);
  EXPECT_EQ(config.max_length, std::nullopt);
  EXPECT_EQ(config.early_stopping, EarlyStopping::never);
  EXPECT_EQ(warnings,
            std::vector<std::string>{"generation_config.json: levitation is not known and is ignored"});
}

TEST_F(GenerationConfigFolder, WhatIsNotBuiltIsRefusedByName) {
  write("generation_config.json", {{"penalty_alpha", 0.6}});
  EXPECT_EQ(message([&] { read(); }),
            "generation_config.json: penalty_alpha (0.6) is not built; leave it out to generate without it");
  write("generation_config.json", {{"temperature", "hot"}});
  EXPECT_EQ(message([&] { read(); }), "generation_config.json: temperature is \"hot\", not a number");
  write("generation_config.json", {{"force_words_ids", nullptr}, {"watermarking_config", nullptr}});
  read();
}

TEST(GenerationConfig, ContradictionsAreNamed) {
  const auto refusal = [](const Json& options) { return message([&] { config_of(options).validate(); }); };
  EXPECT_EQ(refusal({{"do_sample", true}, {"temperature", 0}}),
            "temperature is above 0; without do_sample the likeliest token is taken");
  EXPECT_EQ(refusal({{"num_return_sequences", 2}}),
            "greedy search gives one sequence: num_return_sequences is 1 without num_beams or do_sample");
  EXPECT_EQ(refusal({{"num_beams", 4}, {"num_beam_groups", 3}}),
            "num_beams is a multiple of num_beam_groups");
  EXPECT_EQ(refusal({{"top_p", 1.5}}), "top_p is between 0 and 1");
  EXPECT_EQ(refusal(Json::object()), "accepted");
}

}  // namespace
}  // namespace ferry
