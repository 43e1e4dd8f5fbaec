#pragma once
// What changes the scores of the next token. Each is transformers' class of the same name.
// Source: transformers 4.57.6, generation/logits_process.py.
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ferry/generation.h"

namespace ferry::generation {

LogitsProcessor sequence_bias(std::vector<std::pair<std::vector<int64_t>, double>> biases,
                              std::string_view option = "sequence_bias");
LogitsProcessor repetition_penalty(double penalty);
/// `encoder_ids`: one row an input.
LogitsProcessor encoder_repetition_penalty(double penalty, std::vector<std::vector<int64_t>> encoder_ids);
LogitsProcessor no_repeat_ngram(int64_t size);
LogitsProcessor encoder_no_repeat_ngram(int64_t size, std::vector<std::vector<int64_t>> encoder_ids);
/// Words that are one end token are left alone.
LogitsProcessor no_bad_words(const std::vector<std::vector<int64_t>>& words, const std::vector<int64_t>& eos);
/// The end tokens are out of reach below `length` tokens.
LogitsProcessor min_length(int64_t length, std::vector<int64_t> eos);
LogitsProcessor forced_bos(int64_t token);
LogitsProcessor forced_eos(int64_t max_length, std::vector<int64_t> tokens);
LogitsProcessor remove_invalid_values();
LogitsProcessor exponential_decay_length(int64_t start, double factor, std::vector<int64_t> eos);
LogitsProcessor suppress_tokens(std::vector<int64_t> tokens);
/// At the place `begin` alone.
LogitsProcessor suppress_tokens_at_begin(std::vector<int64_t> tokens, size_t begin);
LogitsProcessor prefix_constrained(std::function<std::vector<int64_t>(const Hypothesis&)> allowed);
LogitsProcessor log_softmax_scores();

// Those of sampling, with at least `keep` tokens left.
LogitsProcessor temperature(double value);
LogitsProcessor top_k(int64_t k, size_t keep = 1);
LogitsProcessor top_p(double p, size_t keep = 1);
LogitsProcessor min_p(double p, size_t keep = 1);
LogitsProcessor typical(double mass, size_t keep = 1);
LogitsProcessor epsilon_cutoff(double epsilon, size_t keep = 1);
LogitsProcessor eta_cutoff(double epsilon, size_t keep = 1);

/// log(softmax(scores)), in place.
void log_softmax(std::span<float> scores);
std::vector<float> softmax(std::span<const float> scores);

/// What a configuration asks for, in transformers' order. `max_length` is settled; `encoder_ids` are the
/// rows of the encoder, or of the prompt where there is none.
std::vector<LogitsProcessor> processors_of(const GenerationConfig& config, const GenerateOptions& options,
                                           size_t prompt_length, int64_t max_length,
                                           const std::vector<std::vector<int64_t>>& encoder_ids);

}  // namespace ferry::generation
