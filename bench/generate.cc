// Greedy decoding, batch 1: generate FOLDER TOKENS [PROMPT_LENGTH]
// Prints tokens a second, the seconds that loading took, and megabytes resident at the end: all, and
// anonymous.
#include <chrono>
#include <fstream>
#include <iostream>

#include "base/error.h"
#include "ferry/generation.h"

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

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::cerr << "usage: generate FOLDER TOKENS [PROMPT_LENGTH]\n";
    return 2;
  }
  try {
    const auto start = std::chrono::steady_clock::now();
    const auto model = ferry::ORTModelForCausalLM::from_pretrained(argv[1], {.intra_op_threads = 2});
    const double loading = seconds_since(start);
    const auto prompt = prompt_of(argc == 4 ? std::stoll(argv[3]) : 8);
    ferry::GenerationConfig config;
    config.eos_token_id = {};
    // The first run reads the weights; its tokens and those of the prompt are not counted.
    const auto timed = [&](int64_t tokens) {
      config.max_new_tokens = tokens;
      const auto begin = std::chrono::steady_clock::now();
      static_cast<void>(model.generate(prompt, config));
      return seconds_since(begin);
    };
    static_cast<void>(timed(2));
    const int64_t tokens = std::stoll(argv[2]);
    const double prefill = timed(1);
    std::cout << static_cast<double>(tokens) / (timed(tokens + 1) - prefill) << ' ' << loading << ' '
              << resident_megabytes("VmRSS") << ' ' << resident_megabytes("RssAnon") << '\n';
  } catch (const ferry::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
