#pragma once
// How sure Whisper is of what it heard, by which a window is heard again at another temperature.
// Source: transformers 4.57.6, models/whisper/generation_whisper.py (_need_fallback).
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace ferry::whisper {

/// How much smaller zlib makes the tokens: repetitions compress well.
double compression_ratio(std::span<const int64_t> ids, int64_t vocab_size);

/// The probability of the token at `place` by scores before softmax.
double probability(std::span<const float> scores, size_t place);

/// The mean log probability of what a search generates: told the scores of each next token, in any number of
/// beams, it follows every one.
class Likelihood {
 public:
  /// Scores are divided by 1 / `temperature` first: those of sampling are those of the model again.
  /// `ends`: tokens that end a sequence.
  Likelihood(double temperature, std::vector<int64_t> ends)
      : temperature_(temperature), ends_(std::move(ends)) {}

  /// `scores` of the token that follows `generated`, for sequences of a length before those of a greater one.
  void observe(std::span<const int64_t> generated, std::span<const float> scores);
  /// Of a sequence that was generated, its end token included. 0 for none.
  [[nodiscard]] double mean(std::span<const int64_t> generated) const;

 private:
  using Ids = std::vector<int64_t>;
  // What may follow a sequence. The whole vocabulary is kept until the sequences after the next ones come;
  // then what ended there is known by its end token.
  struct Next {
    double sum = 0;  // Of the sequence before it.
    std::vector<float> log_probabilities;
    std::map<int64_t, float> of_ends;
    [[nodiscard]] double after(int64_t token) const;
  };
  void forget(std::map<Ids, Next>& step) const;

  double temperature_;
  std::vector<int64_t> ends_;
  std::vector<std::map<Ids, Next>> steps_;  // By length of what was generated.
};

}  // namespace ferry::whisper
