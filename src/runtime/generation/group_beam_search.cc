// Diverse beam search: groups of beams, each kept from the tokens that earlier groups have just chosen.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "runtime/generation/processors.h"
#include "runtime/generation/search.h"

namespace ferry::generation {
namespace {

struct Finished {
  double score = 0;
  std::vector<int64_t> ids;
};

// The best finished sequences of one group (transformers' BeamHypotheses).
class Hypotheses {
 public:
  Hypotheses(const Plan& plan, size_t capacity) : plan_(&plan), capacity_(capacity) {}

  void add(const std::vector<int64_t>& ids, float log_probability, size_t generated) {
    const double score = log_probability / penalty(generated);
    if (beams_.size() >= capacity_ && score <= worst_) return;
    beams_.push_back({score, ids});
    if (beams_.size() > capacity_) {
      beams_.erase(std::min_element(beams_.begin(), beams_.end(), worse));
      worst_ = std::min_element(beams_.begin(), beams_.end(), worse)->score;
    } else {
      worst_ = std::min(score, worst_);
    }
  }

  void close(float best, size_t generated) {
    if (done_ || beams_.size() < capacity_) return;
    const auto& config = plan_->config;
    const bool longest = config.early_stopping == EarlyStopping::never && config.length_penalty > 0;
    const size_t length = longest ? static_cast<size_t>(plan_->max_length) - plan_->prompt_length : generated;
    done_ = config.early_stopping == EarlyStopping::yes || worst_ >= best / penalty(length);
  }

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] const std::vector<Finished>& beams() const { return beams_; }
  static bool worse(const Finished& a, const Finished& b) { return a.score < b.score; }

 private:
  [[nodiscard]] double penalty(size_t generated) const {
    return std::pow(static_cast<double>(generated), plan_->config.length_penalty);
  }
  const Plan* plan_;
  size_t capacity_;
  std::vector<Finished> beams_;
  double worst_ = 1e9;
  bool done_ = false;
};

class GroupBeamSearch {
 public:
  GroupBeamSearch(Decoder& decoder, const Plan& plan, const Rows& prompt)
      : decoder_(decoder),
        plan_(plan),
        prompt_(prompt),
        beams_(static_cast<size_t>(plan.config.num_beams)),
        groups_(static_cast<size_t>(plan.config.num_beam_groups)),
        size_(beams_ / groups_) {
    for (const auto& row : prompt) rows_.insert(rows_.end(), beams_, row);
    scores_.assign(rows_.size(), -1e9f);
    for (size_t r = 0; r < rows_.size(); r += size_) scores_[r] = 0;
    hypotheses_.assign(prompt.size() * groups_, Hypotheses(plan, size_));
  }

  GenerateOutput run() {
    std::vector<float> first = prefill(decoder_, plan_, prompt_, beams_);
    std::span<float> logits = first;
    for (;;) {
      vocabulary_ = logits.size() / rows_.size();
      parents_.assign(rows_.size(), 0);
      tokens_.assign(rows_.size(), 0);
      for (size_t i = 0; i < prompt_.size(); ++i) {
        for (size_t g = 0; g < groups_; ++g) advance(i, g, logits);
      }
      for (size_t r = 0; r < rows_.size(); ++r) rows_[r].push_back(tokens_[r]);
      if (is_over()) return result();
      decoder_.reorder(parents_);
      logits = decoder_.step(tokens_, rows_.size());
    }
  }

 private:
  // One group of one input: chooses the tokens and parents of its rows.
  void advance(size_t i, size_t g, std::span<float> logits) {
    const size_t begin = i * beams_ + g * size_;
    Hypotheses& hypotheses = hypotheses_[i * groups_ + g];
    const auto scores = logits.subspan(begin * vocabulary_, size_ * vocabulary_);
    if (hypotheses.done()) return finish(begin);
    for (size_t b = 0; b < size_; ++b) {
      const auto row = scores.subspan(b * vocabulary_, vocabulary_);
      log_softmax(row);
      // Tokens that earlier groups of this input have just taken.
      for (size_t r = i * beams_; r < begin; ++r)
        row[static_cast<size_t>(tokens_[r])] -= static_cast<float>(plan_.config.diversity_penalty);
      process(plan_, {i, rows_[begin + b]}, row);
      for (float& score : row) score += scores_[begin + b];
    }
    const auto& eos = plan_.config.eos_token_id;
    const auto places = largest(scores, std::max<size_t>(2, 1 + eos.size()) * size_);
    const size_t generated = rows_[begin].size() + 1 - plan_.prompt_length;
    Rows kept;
    std::vector<float> kept_scores;
    for (size_t rank = 0; rank < places.size() && kept.size() < size_; ++rank) {
      const size_t row = begin + places[rank] / vocabulary_;
      const auto token = static_cast<int64_t>(places[rank] % vocabulary_);
      if (std::find(eos.begin(), eos.end(), token) != eos.end()) {
        if (rank < size_) hypotheses.add(rows_[row], scores[places[rank]], generated);
        continue;
      }
      parents_[begin + kept.size()] = row;
      tokens_[begin + kept.size()] = token;
      kept.push_back(rows_[row]);
      kept_scores.push_back(scores[places[rank]]);
    }
    if (kept.size() < size_) throw Error(ErrorCode::usage, "too few tokens of a beam group are no end token");
    for (size_t b = 0; b < size_; ++b) {
      rows_[begin + b] = std::move(kept[b]);
      scores_[begin + b] = kept_scores[b];
    }
    hypotheses.close(scores[places[0]], generated);
  }

  // A group that is done goes on with padding.
  void finish(size_t begin) {
    const auto first = rows_[begin];
    for (size_t b = 0; b < size_; ++b) {
      parents_[begin + b] = begin;
      tokens_[begin + b] = plan_.config.pad_token_id.value_or(0);
      rows_[begin + b] = first;
      scores_[begin + b] = 0;
    }
  }

  [[nodiscard]] bool is_over() const {
    const bool done = std::all_of(hypotheses_.begin(), hypotheses_.end(),
                                  [](const Hypotheses& group) { return group.done(); });
    if (done) return true;
    for (size_t r = 0; r < rows_.size(); ++r) {
      if (!is_done(plan_, {r / beams_, rows_[r]})) return false;
    }
    return true;
  }

  GenerateOutput result() {
    for (size_t group = 0; group < hypotheses_.size(); ++group) {
      if (hypotheses_[group].done()) continue;
      for (size_t r = group * size_; r < (group + 1) * size_; ++r)
        hypotheses_[group].add(rows_[r], scores_[r], rows_[r].size() - plan_.prompt_length);
    }
    GenerateOutput out;
    out.prompt_length = plan_.prompt_length;
    size_t longest = 0;
    for (size_t i = 0; i < prompt_.size(); ++i) {
      std::vector<Finished> all;
      for (size_t g = 0; g < groups_; ++g) {
        const auto& some = hypotheses_[i * groups_ + g].beams();
        all.insert(all.end(), some.begin(), some.end());
      }
      std::stable_sort(all.begin(), all.end(), Hypotheses::worse);
      for (int64_t r = 0; r < plan_.config.num_return_sequences; ++r) {
        longest = std::max(longest, all.back().ids.size());
        out.sequences_scores.push_back(static_cast<float>(all.back().score));
        out.sequences.push_back(std::move(all.back().ids));
        all.pop_back();
      }
    }
    pad(out.sequences, std::min(longest + 1, static_cast<size_t>(plan_.max_length)));
    return out;
  }

  // Ended sequences lack their end token here.
  void pad(Rows& rows, size_t length) const {
    for (auto& row : rows) {
      if (row.size() < length && !plan_.config.eos_token_id.empty())
        row.push_back(plan_.config.eos_token_id.front());
      row.resize(length, plan_.config.pad_token_id.value_or(0));
    }
  }

  Decoder& decoder_;
  const Plan& plan_;
  const Rows& prompt_;
  size_t beams_, groups_, size_;
  size_t vocabulary_ = 0;
  Rows rows_;
  std::vector<float> scores_;
  std::vector<Hypotheses> hypotheses_;
  std::vector<size_t> parents_;
  std::vector<int64_t> tokens_;
};

}  // namespace

GenerateOutput group_beam_search(Decoder& decoder, const Plan& plan, const Rows& prompt) {
  return GroupBeamSearch(decoder, plan, prompt).run();
}

}  // namespace ferry::generation
