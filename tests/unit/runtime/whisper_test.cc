// Whisper's rules and its way through long recordings.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "runtime/model_folder.h"
#include "runtime/whisper/fallback.h"
#include "runtime/whisper/languages.h"
#include "runtime/whisper/transcribe.h"
#include "support/test_folder.h"

namespace ferry::whisper {
namespace {
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;
using Ids = std::vector<int64_t>;

std::string message(const auto& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::internal);
    return error.what();
  }
  return "accepted";
}

TEST(TimestampRules, AreThoseOfTransformers) {
  for (const Json& entry : read_json(fs::path(FERRY_TEST_DATA) / "whisper" / "rules.json")) {
    Settings settings;
    settings.no_timestamps_token_id = 21;
    settings.eos_token_id = 20;
    if (!entry.at("max_initial_timestamp_index").is_null())
      settings.max_initial_timestamp_index = entry.at("max_initial_timestamp_index").get<int64_t>();
    auto scores = entry.at("scores").get<std::vector<float>>();
    apply_timestamp_rules(settings, entry.at("generated").get<Ids>(), scores);
    Ids allowed;
    for (size_t i = 0; i < scores.size(); ++i) {
      if (std::isfinite(scores[i])) allowed.push_back(static_cast<int64_t>(i));
    }
    EXPECT_EQ(allowed, entry.at("allowed").get<Ids>()) << entry.dump();
  }
}

// Times from 100 on, 10 positions (20 frames) a window; 0 ends and pads.
Settings small() {
  return Settings::read(
      Json::parse(R"({
    "no_timestamps_token_id": 99, "lang_to_id": {"<|en|>": 51, "<|de|>": 52}, "is_multilingual": true,
    "task_to_id": {"transcribe": 61, "translate": 62}, "decoder_start_token_id": 50, "eos_token_id": 0,
    "prev_sot_token_id": 70})"),
      Json::parse(R"({"vocab_size": 111, "max_source_positions": 10, "max_target_positions": 20})"));
}

struct Calls {
  std::vector<Ids> prompts;
  std::vector<float> firsts;  // Of each window.
  std::vector<Ids> answers;
  std::vector<double> sure = {};  // The mean log probability of each answer.
  std::vector<std::string> attempts = {};
  std::vector<Ids> asked = {};  // Of next_scores.
  Hearing hearing() {
    return {[this](const HostTensor& window, const Ids& prompt, const Attempt& attempt) {
              prompts.push_back(prompt);
              firsts.push_back(window.as<float>()[0]);
              const auto temperature =
                  attempt.temperature ? std::to_string(*attempt.temperature).substr(0, 3) : "-";
              attempts.push_back(temperature + (attempt.one_beam ? " alone" : "") +
                                 (attempt.measured ? "" : "?"));
              const size_t i = prompts.size() - 1;
              return Said{answers.at(i), i < sure.size() ? sure[i] : 0};
            },
            [this](const HostTensor&, const Ids& prompt) {
              asked.push_back(prompt);
              std::vector<float> scores(111);
              scores[52] = 1;
              scores[61] = 2;
              scores[98] = 5;  // exp(5) / (exp(5) + exp(2) + exp(1) + 108) = 0.556
              return scores;
            }};
  }
};

HostTensor frames(int64_t count) {
  std::vector<float> values(static_cast<size_t>(2 * count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return HostTensor::f32({1, 2, count}, values);
}

TEST(Transcribe, TheLanguageIsDetectedOrGiven) {
  Calls calls;
  calls.answers = {{7, 0}, {7}, {7, 0, 0}, {100, 7, 103, 0}};
  EXPECT_EQ(transcribe(frames(9), small(), {}, calls.hearing()), (Ids{7}));
  (void)transcribe(frames(9), small(), {.language = "English"}, calls.hearing());
  EXPECT_EQ(transcribe(frames(9), small(), {.language = "de", .task = "translate"}, calls.hearing()),
            (Ids{7}));
  EXPECT_EQ(transcribe(frames(20), small(), {.return_timestamps = true}, calls.hearing()),
            (Ids{100, 7, 103}));
  EXPECT_EQ(calls.prompts, (std::vector<Ids>{{50, 52, 99}, {50, 51, 61, 99}, {50, 52, 62, 99}, {50, 52}}));
}

TEST(Transcribe, ALongRecordingIsHeardInWindows) {
  Calls calls;
  // The first stops at a pair of times, 6 of 10 positions on; the second at a single one; the third is the
  // rest.
  calls.answers = {{100, 7, 103, 103, 8, 106, 106, 9, 0}, {101, 5, 104, 0}, {100, 4, 0}};
  const auto ids = transcribe(frames(45), small(),
                              {.return_timestamps = true, .condition_on_prev_tokens = true}, calls.hearing());
  EXPECT_EQ(ids, (Ids{100, 7, 103, 103, 8, 106, 106, 101, 5, 104, 100, 4}));
  EXPECT_EQ(calls.firsts, (std::vector<float>{0, 12, 32}));
  EXPECT_EQ(calls.prompts[1], (Ids{70, 100, 7, 103, 103, 8, 106, 50, 52}));
  EXPECT_EQ(calls.prompts[2],
            (Ids{70, 100, 7, 103, 103, 8, 106, 101, 5, 104, 50, 52}));  // 9 of before at most.
}

TEST(Transcribe, WhatIsHeardBadlyIsHeardAgain) {
  // Unsure, then a repetition, then good; the last window is good at once, in one beam from then on.
  Calls calls;
  const Ids repeated(17, 7);
  calls.answers = {{100, 7, 110, 0}, repeated, {100, 8, 110, 0}, {100, 9, 110, 0}};
  calls.sure = {-2, -0.5, -0.5, -0.1};
  const TranscribeOptions options = {.return_timestamps = true,
                                     .condition_on_prev_tokens = true,
                                     .temperature = {0, 0.4, 0.8},
                                     .compression_ratio_threshold = 1.3,
                                     .logprob_threshold = -1};
  EXPECT_EQ(transcribe(frames(40), small(), options, calls.hearing()), (Ids{100, 8, 110, 100, 9, 110}));
  EXPECT_EQ(calls.attempts, (std::vector<std::string>{"0.0", "0.4 alone", "0.8 alone", "0.0 alone"}));
  EXPECT_EQ(calls.firsts, (std::vector<float>{0, 0, 0, 20}));
  // What was drawn at a high temperature is not handed on.
  EXPECT_EQ(calls.prompts[3], (Ids{50, 52}));
}

TEST(Transcribe, TheLastTemperatureIsTakenAsItIs) {
  Calls calls;
  calls.answers = {{100, 7, 110, 0}, {100, 8, 110, 0}};
  calls.sure = {-2, -2};
  const TranscribeOptions options = {
      .return_timestamps = true, .temperature = {0, 1}, .logprob_threshold = -1};
  EXPECT_EQ(transcribe(frames(20), small(), options, calls.hearing()), (Ids{100, 8, 110}));
  Calls once;
  once.answers = {{100, 7, 110, 0}};
  EXPECT_EQ(transcribe(frames(20), small(), {.return_timestamps = true}, once.hearing()), (Ids{100, 7, 110}));
  EXPECT_EQ(once.attempts, (std::vector<std::string>{"-?"}));
}

TEST(Transcribe, SilenceIsSkippedWhereWhatIsHeardIsUnsure) {
  const TranscribeOptions options = {.return_timestamps = true,
                                     .temperature = {0, 0.5},
                                     .logprob_threshold = -1,
                                     .no_speech_threshold = 0.5};
  Calls calls;
  calls.answers = {{100, 7, 110, 0}, {100, 8, 110, 0}};
  calls.sure = {-2, -0.5};
  EXPECT_EQ(transcribe(frames(40), small(), options, calls.hearing()), (Ids{100, 8, 110}));
  EXPECT_EQ(calls.attempts, (std::vector<std::string>{"0.0", "0.0"}));
  EXPECT_EQ(calls.asked, (std::vector<Ids>{{50}, {50}}));  // The language; as far as decoder_start_token_id.
  Calls louder;
  louder.answers = {{100, 7, 110, 0}, {100, 8, 110, 0}};
  louder.sure = {-2, -0.5};
  TranscribeOptions sensitive = options;
  sensitive.no_speech_threshold = 0.6;
  EXPECT_EQ(transcribe(frames(20), small(), sensitive, louder.hearing()), (Ids{100, 8, 110}));
}

TEST(Likelihood, FollowsEveryBeamAndItsEnd) {
  const auto log_of = [](std::vector<float> scores, size_t at) { return std::log(probability(scores, at)); };
  const std::vector<float> first = {0, 1, 2}, a = {3, 0, 1}, b = {0, 0, 4}, c = {1, 1, 0};
  Likelihood likelihood(1, {0});
  likelihood.observe({}, first);
  likelihood.observe(Ids{1}, a);
  likelihood.observe(Ids{2}, b);
  likelihood.observe(Ids{2, 2}, c);
  likelihood.observe(Ids{2, 2, 1}, a);
  EXPECT_NEAR(likelihood.mean(Ids{1, 0}), (log_of(first, 1) + log_of(a, 0)) / 2, 1e-6);
  EXPECT_NEAR(likelihood.mean(Ids{2, 2, 1, 2}),
              (log_of(first, 2) + log_of(b, 2) + log_of(c, 1) + log_of(a, 2)) / 4, 1e-6);
  EXPECT_EQ(likelihood.mean({}), 0);
  // Scores of sampling, divided by a temperature of 0.5, are those of the model again.
  Likelihood sampled(0.5, {0});
  sampled.observe({}, std::vector<float>{0, 2, 4});
  EXPECT_NEAR(sampled.mean(Ids{2}), log_of(first, 2), 1e-6);
}

// len(bytes) / len(zlib.compress(bytes)) of Python 3.11, for tokens of 2 bytes.
TEST(CompressionRatio, IsThatOfZlib) {
  EXPECT_DOUBLE_EQ(compression_ratio(Ids(40, 1234), 51865), 80.0 / 13);
  EXPECT_DOUBLE_EQ(compression_ratio(Ids{1, 2, 3, 4, 5}, 51865), 10.0 / 18);
  EXPECT_DOUBLE_EQ(compression_ratio(Ids(40, 123), 100), 40.0 / 12);
}

TEST(Transcribe, WhatCannotBeIsSaid) {
  Calls calls;
  const auto with = [&](const TranscribeOptions& options, int64_t count = 5) {
    return message([&] { (void)transcribe(frames(count), small(), options, calls.hearing()); });
  };
  EXPECT_EQ(with({.language = "klingon"}).substr(0, 32), "Whisper knows no language klingo");
  EXPECT_EQ(with({.language = "fr"}), "this model does not know the language fr; it knows <|de|>, <|en|>");
  EXPECT_EQ(with({.task = "sing"}), "this model has no task sing; tasks are transcribe and translate");
  EXPECT_NE(with({.return_timestamps = false}, 50), "accepted");
  EXPECT_NE(with({.max_new_tokens = 18}), "accepted");
  EXPECT_NE(message([] { Settings::read(Json{{"logprob_threshold", "low"}}, Json::object()); }), "accepted");
  EXPECT_EQ(with({.no_speech_threshold = 0.5}), "no_speech_threshold needs a logprob_threshold beside it");
  EXPECT_EQ(language_code("Castilian"), "es");
}

void touch(const fs::path& file) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << "{}";
}

// Which of two ways of speech recognition a model takes; wherever it is.
TEST(EncoderDecoder, IsToldByTheFilesThatAreThere) {
  const std::string task = "automatic-speech-recognition-with-past";
  const fs::path golden = fs::path(FERRY_TEST_DATA) / "golden", folder = testing::fresh_test_folder();
  const auto is = [&](const fs::path& model, const LoadOptions& options = {}) {
    return runtime::is_encoder_decoder(model.string(), options, task);
  };
  EXPECT_TRUE(is(golden / "whisper-automatic-speech-recognition-with-past"));
  EXPECT_FALSE(is(golden / "wav2vec2-automatic-speech-recognition"));
  touch(folder / "a" / "encoder_model.onnx");
  touch(folder / "b" / "onnx" / "encoder_model_q4.onnx");
  touch(folder / "c" / "model.onnx");
  EXPECT_TRUE(is(folder / "a"));
  EXPECT_TRUE(is(folder / "b"));
  EXPECT_FALSE(is(folder / "c"));
  EXPECT_TRUE(is(folder, {.subfolder = "a"}));
  EXPECT_FALSE(is(folder, {.subfolder = "c"}));
  // A checkpoint is asked for, whatever was exported beside it.
  fs::copy_file(golden / "whisper-automatic-speech-recognition-with-past" / "config.json",
                folder / "c" / "config.json");
  EXPECT_TRUE(is(folder / "c", {.export_model = true}));
  // One of the Hub, in the cache.
  const fs::path cached = folder / "hub" / "models--org--name";
  const std::string commit(40, 'a');
  touch(cached / "snapshots" / commit / "encoder_model.onnx");
  touch(cached / "snapshots" / commit / "config.json");
  fs::create_directories(cached / "refs");
  std::ofstream(cached / "refs" / "main") << commit;
  EXPECT_TRUE(is("org/name", {.cache_dir = folder / "hub", .local_files_only = true}));
  EXPECT_NE(message([&] { (void)is("org/other", {.cache_dir = folder / "hub", .local_files_only = true}); }),
            "accepted");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ferry::whisper
