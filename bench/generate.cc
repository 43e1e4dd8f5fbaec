// Tokens a second of greedy decoding, batch 1: generate FOLDER TOKENS
#include <chrono>
#include <iostream>

#include "base/error.h"
#include "ferry/generation.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: generate FOLDER TOKENS\n";
    return 2;
  }
  try {
    const auto model = ferry::ORTModelForCausalLM::from_pretrained(argv[1], {.intra_op_threads = 2});
    ferry::ModelInputs prompt;
    prompt.set("input_ids", ferry::HostTensor::i64({1, 8}, {11, 43, 57, 99, 31, 8, 74, 23}));
    prompt.set("attention_mask", ferry::HostTensor::i64({1, 8}, std::vector<int64_t>(8, 1)));
    ferry::GenerationConfig config;
    config.max_new_tokens = 4;
    static_cast<void>(model.generate(prompt, config));
    config.max_new_tokens = std::stoll(argv[2]);
    const auto start = std::chrono::steady_clock::now();
    static_cast<void>(model.generate(prompt, config));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::cout << static_cast<double>(*config.max_new_tokens) / seconds << '\n';
  } catch (const ferry::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
