// Decoding, batch 1, greedy or with beams: generate FOLDER TOKENS [PROMPT_LENGTH [BEAMS]]
// A folder with an encoder_model.onnx is an encoder with its decoder, and the prompt what the encoder reads.
// Prints tokens a second, the seconds that loading took, and megabytes resident at the end: all, and
// anonymous.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/error.h"
#include "ferry/generation.h"
#include "ferry/seq2seq.h"

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double resident_megabytes(const std::string& what) {
  std::ifstream status("/proc/self/status");
  for (std::string key, rest; status >> key && std::getline(status, rest);) {
    if (key == what + ":") return std::stod(rest) * 1024 / 1e6;
  }
  return 0;
}

ferry::ModelInputs prompt_of(int64_t length) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < length; ++i) ids.push_back(3 + i * 7919 % 997);
  ferry::ModelInputs prompt;
  prompt.set("input_ids", ferry::HostTensor::i64({1, length}, ids));
  prompt.set("attention_mask", ferry::HostTensor::i64({1, length}, std::vector<int64_t>(ids.size(), 1)));
  return prompt;
}

template <typename Model>
void measure(const char* folder, int64_t tokens, int64_t length, int64_t beams) {
  const auto start = std::chrono::steady_clock::now();
  const auto model = Model::from_pretrained(folder, {.intra_op_threads = 2});
  const double loading = seconds_since(start);
  const auto prompt = prompt_of(length);
  ferry::GenerationConfig config = model.generation_config();
  config.eos_token_id = {};
  config.num_beams = beams;
  config.max_length.reset();
  // The first run reads the weights; its tokens and those of the prompt are not counted.
  const auto timed = [&](int64_t count) {
    config.max_new_tokens = count;
    const auto begin = std::chrono::steady_clock::now();
    static_cast<void>(model.generate(prompt, config));
    return seconds_since(begin);
  };
  static_cast<void>(timed(2));
  const double prefill = timed(1);
  std::cout << static_cast<double>(tokens) / (timed(tokens + 1) - prefill) << ' ' << loading << ' '
            << resident_megabytes("VmRSS") << ' ' << resident_megabytes("RssAnon") << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 5) {
    std::cerr << "usage: generate FOLDER TOKENS [PROMPT_LENGTH [BEAMS]]\n";
    return 2;
  }
  try {
    const int64_t tokens = std::stoll(argv[2]), length = argc > 3 ? std::stoll(argv[3]) : 8;
    const int64_t beams = argc > 4 ? std::stoll(argv[4]) : 1;
    const bool encodes = std::filesystem::exists(std::filesystem::path(argv[1]) / "encoder_model.onnx");
    if (encodes) {
      measure<ferry::ORTModelForSeq2SeqLM>(argv[1], tokens, length, beams);
    } else {
      measure<ferry::ORTModelForCausalLM>(argv[1], tokens, length, beams);
    }
  } catch (const ferry::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
