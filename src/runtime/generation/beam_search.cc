// Beam search as transformers has it since 4.50: finished and running beams side by side.
#include <algorithm>
#include <cmath>

#include "runtime/generation/processors.h"
#include "runtime/generation/search.h"

namespace ferry::generation {
namespace {
constexpr float kFar = -1e9f;  // transformers' stand-in for -inf; it is added, so its rounding counts.

struct Beam {
  std::vector<int64_t> ids;
  float score = kFar;
  bool finished = false;
  size_t parent = 0;  // Its row in the last step.
};

// The beams of one row of the prompt.
struct Input {
  std::vector<Beam> running, best;
  bool may_improve = true;
  bool all_candidates_done = false;
};

class BeamSearch {
 public:
  BeamSearch(Decoder& decoder, const Plan& plan, const Rows& prompt)
      : decoder_(decoder),
        plan_(plan),
        prompt_(prompt),
        beams_(static_cast<size_t>(plan.config.num_beams)),
        sampler_(plan.seed) {
    for (const auto& row : prompt) {
      Input input;
      input.running.assign(beams_, Beam{row, kFar, false, 0});
      input.best = input.running;
      input.running[0].score = 0;
      inputs_.push_back(std::move(input));
    }
  }

  GenerateOutput run() {
    std::vector<float> first = prefill(decoder_, plan_, prompt_, beams_);
    std::span<float> logits = first;
    for (size_t generated = 1;; ++generated) {
      const size_t share = logits.size() / inputs_.size();
      for (size_t i = 0; i < inputs_.size(); ++i) advance(i, logits.subspan(i * share, share), generated);
      if (!has_unfinished()) return result();
      std::vector<size_t> parents;
      std::vector<int64_t> tokens;
      for (const Input& input : inputs_) {
        for (const Beam& beam : input.running) {
          parents.push_back(beam.parent);
          tokens.push_back(beam.ids.back());
        }
      }
      decoder_.reorder(parents);
      logits = decoder_.step(tokens, tokens.size());
    }
  }

 private:
  void advance(size_t i, std::span<float> logits, size_t generated) {
    Input& input = inputs_[i];
    auto candidates = continuations(i, logits);
    for (Beam& beam : candidates) beam.finished = is_done(plan_, {i, beam.ids});
    input.all_candidates_done =
        std::all_of(candidates.begin(), candidates.end(), [](const Beam& beam) { return beam.finished; });
    keep_running(input, candidates);
    keep_finished(input, candidates, generated);
    input.may_improve = input.may_improve && can_improve(input, generated);
  }

  // The best (or drawn) next tokens over all beams, more than are kept: some may end.
  std::vector<Beam> continuations(size_t i, std::span<float> logits) {
    const Input& input = inputs_[i];
    const size_t vocabulary = logits.size() / beams_;
    for (size_t b = 0; b < beams_; ++b) {
      const auto scores = logits.subspan(b * vocabulary, vocabulary);
      log_softmax(scores);
      process(plan_, {i, input.running[b].ids}, scores);
      for (float& score : scores) score += input.running[b].score;
    }
    const size_t count = std::max<size_t>(2, 1 + plan_.config.eos_token_id.size()) * beams_;
    const auto places =
        plan_.config.do_sample ? sampler_.draw_several(softmax(logits), count) : largest(logits, count);
    std::vector<Beam> out;
    for (const size_t place : places) {
      const size_t parent = place / vocabulary;
      Beam beam{input.running[parent].ids, logits[place], false, i * beams_ + parent};
      beam.ids.push_back(static_cast<int64_t>(place % vocabulary));
      out.push_back(std::move(beam));
    }
    return out;
  }

  // The best that go on.
  void keep_running(Input& input, const std::vector<Beam>& candidates) const {
    std::vector<float> scores;
    for (const Beam& beam : candidates) scores.push_back(beam.score + (beam.finished ? kFar : 0.0f));
    input.running.clear();
    for (const size_t place : largest(scores, beams_)) {
      input.running.push_back(candidates[place]);
      input.running.back().score = scores[place];
    }
  }

  // The best that ended, of earlier steps and of the top candidates of this one.
  void keep_finished(Input& input, const std::vector<Beam>& candidates, size_t generated) const {
    const auto length =
        static_cast<float>(std::pow(static_cast<double>(generated), plan_.config.length_penalty));
    const bool full = plan_.config.early_stopping == EarlyStopping::yes && all_finished(input);
    std::vector<Beam> merged = input.best;
    for (size_t c = 0; c < candidates.size(); ++c) {
      Beam beam = candidates[c];
      beam.finished = beam.finished && c < beams_;
      beam.score /= length;
      if (full) beam.score += kFar;
      if (!input.may_improve) beam.score += kFar;
      if (!beam.finished) beam.score += kFar;
      merged.push_back(std::move(beam));
    }
    std::vector<float> scores;
    for (const Beam& beam : merged) scores.push_back(beam.score);
    input.best.clear();
    for (const size_t place : largest(scores, beams_)) input.best.push_back(merged[place]);
  }

  // Whether the best running beam may still beat the worst finished one.
  [[nodiscard]] bool can_improve(const Input& input, size_t generated) const {
    const auto& config = plan_.config;
    const bool longest = config.early_stopping == EarlyStopping::never && config.length_penalty > 0;
    const auto length = static_cast<double>(
        longest ? static_cast<size_t>(plan_.max_length) - plan_.prompt_length : generated);
    const float attainable =
        input.running[0].score / static_cast<float>(std::pow(length, config.length_penalty));
    float worst = input.best[0].score;
    for (const Beam& beam : input.best) worst = std::min(worst, beam.score);
    return std::any_of(input.best.begin(), input.best.end(),
                       [&](const Beam& beam) { return attainable > (beam.finished ? worst : kFar); });
  }

  static bool all_finished(const Input& input) {
    return std::all_of(input.best.begin(), input.best.end(), [](const Beam& beam) { return beam.finished; });
  }

  [[nodiscard]] bool has_unfinished() const {
    const auto any = [&](auto condition) { return std::any_of(inputs_.begin(), inputs_.end(), condition); };
    const bool open = plan_.config.early_stopping != EarlyStopping::yes ||
                      any([](const Input& input) { return !all_finished(input); });
    return open && any([](const Input& input) { return input.may_improve; }) &&
           any([](const Input& input) { return !input.all_candidates_done; });
  }

  [[nodiscard]] GenerateOutput result() const {
    GenerateOutput out;
    out.prompt_length = plan_.prompt_length;
    size_t longest = 0;
    for (const Input& input : inputs_) {
      for (size_t r = 0; r < static_cast<size_t>(plan_.config.num_return_sequences); ++r) {
        out.sequences.push_back(input.best[r].ids);
        out.sequences_scores.push_back(input.best[r].score);
        longest = std::max(longest, input.best[r].ids.size());
      }
    }
    for (auto& row : out.sequences) row.resize(longest, fill());
    return out;
  }

  // transformers takes a pad token 0 for none here.
  [[nodiscard]] int64_t fill() const {
    const auto& config = plan_.config;
    if (config.eos_token_id.empty()) return -1;
    return *config.pad_token_id != 0 ? *config.pad_token_id : config.eos_token_id.front();
  }

  Decoder& decoder_;
  const Plan& plan_;
  const Rows& prompt_;
  size_t beams_;
  Sampler sampler_;
  std::vector<Input> inputs_;
};

}  // namespace

GenerateOutput beam_search(Decoder& decoder, const Plan& plan, const Rows& prompt) {
  return BeamSearch(decoder, plan, prompt).run();
}

}  // namespace ferry::generation
