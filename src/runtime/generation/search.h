#pragma once
// The loops: greedy search and sampling, beam search, diverse beam search.
// Source: transformers 4.57.6, generation/utils.py (_sample, _beam_search), 4.48 (_group_beam_search).
#include <cstdint>
#include <random>
#include <vector>

#include "ferry/generation.h"
#include "runtime/generation/decoder.h"

namespace ferry::generation {

using Rows = std::vector<std::vector<int64_t>>;

/// Everything that a search needs to know, settled.
struct Plan {
  GenerationConfig config;  ///< Validated; pad_token_id filled in where there is an end token.
  int64_t max_length = 0;
  size_t prompt_length = 0;
  std::vector<LogitsProcessor> processors;
  std::vector<StoppingCriteria> criteria;
  std::function<void(std::span<const int64_t>)> streamer;
  uint64_t seed = 0;
};

/// Settles lengths and special tokens for prompts of one length. `encoder_ids`: the encoder's rows, or the
/// prompt. `context`: the most tokens that the model takes, if that is known.
/// Errors: Error{usage} for values that contradict each other, the prompt or the model.
Plan make_plan(GenerationConfig config, const GenerateOptions& options, size_t prompt_length,
               const Rows& encoder_ids, std::optional<int64_t> context);

/// Continues `prompt`, rows of one length, with the decoder's cache empty.
GenerateOutput search(Decoder& decoder, const Plan& plan, const Rows& prompt);

// The parts of search().
GenerateOutput sample(Decoder& decoder, const Plan& plan, const Rows& prompt);
GenerateOutput beam_search(Decoder& decoder, const Plan& plan, const Rows& prompt);
GenerateOutput group_beam_search(Decoder& decoder, const Plan& plan, const Rows& prompt);

/// The prompt's logits for `copies` rows of each of its rows, whose cache is made for as many.
std::vector<float> prefill(Decoder& decoder, const Plan& plan, const Rows& prompt, size_t copies);
void process(const Plan& plan, const Hypothesis& row, std::span<float> scores);
bool is_done(const Plan& plan, const Hypothesis& row);
std::vector<int64_t> last_tokens(const Rows& rows);

/// The places of the `count` largest, largest first, equal ones in order.
std::vector<size_t> largest(std::span<const float> values, size_t count);

/// Draws places by their weights.
class Sampler {
 public:
  explicit Sampler(uint64_t seed) : engine_(seed) {}
  /// One place; weights are probabilities.
  size_t draw(std::span<const float> weights);
  /// `count` different places, in the order they were drawn.
  std::vector<size_t> draw_several(std::vector<float> weights, size_t count);

 private:
  std::mt19937_64 engine_;  // The standard fixes its numbers, unlike those of distributions.
};

}  // namespace ferry::generation
