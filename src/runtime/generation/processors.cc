#include "runtime/generation/processors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "base/error.h"

namespace ferry::generation {
namespace {
constexpr float kNever = -std::numeric_limits<float>::infinity();
using Ids = std::vector<int64_t>;

float& score_at(std::span<float> scores, int64_t id, std::string_view option) {
  if (id < 0 || static_cast<size_t>(id) >= scores.size()) {
    throw Error(ErrorCode::usage, fmt::format("{}: token {} is beyond the model's vocabulary of {}", option,
                                              id, scores.size()));
  }
  return scores[static_cast<size_t>(id)];
}

// Tokens that the vocabulary does not have are passed over, as torch.isin does.
void forbid(std::span<float> scores, const Ids& ids) {
  for (const int64_t id : ids) {
    if (id >= 0 && static_cast<size_t>(id) < scores.size()) scores[static_cast<size_t>(id)] = kNever;
  }
}

void penalize(std::span<float> scores, std::span<const int64_t> ids, float penalty) {
  Ids unique(ids.begin(), ids.end());
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  for (const int64_t id : unique) {
    if (id < 0) continue;
    float& score = score_at(scores, id, "repetition_penalty");
    score = score < 0 ? score * penalty : score / penalty;
  }
}

// Forbids what followed the last size - 1 tokens of `ids` wherever they stand in `text`.
void forbid_repeated(std::span<const int64_t> text, std::span<const int64_t> ids, size_t size,
                     std::span<float> scores) {
  if (ids.size() + 1 < size || text.size() < size) return;
  const auto tail = ids.subspan(ids.size() + 1 - size);
  for (size_t i = 0; i + size <= text.size(); ++i) {
    if (std::equal(tail.begin(), tail.end(), text.begin() + static_cast<ptrdiff_t>(i)))
      score_at(scores, text[i + size - 1], "no_repeat_ngram_size") = kNever;
  }
}

}  // namespace

LogitsProcessor sequence_bias(std::vector<std::pair<Ids, double>> biases, std::string_view option) {
  return [biases = std::move(biases), option](const Hypothesis& row, std::span<float> scores) {
    for (const auto& [sequence, bias] : biases) {
      for (const int64_t id : sequence) score_at(scores, id, option);
      if (sequence.size() > 1 && sequence.size() > row.ids.size()) continue;
      const size_t prefix = sequence.size() - 1;
      const bool matches =
          std::equal(sequence.begin(), sequence.end() - 1, row.ids.end() - static_cast<ptrdiff_t>(prefix));
      if (matches) score_at(scores, sequence.back(), option) += static_cast<float>(bias);
    }
  };
}

LogitsProcessor repetition_penalty(double penalty) {
  return [penalty = static_cast<float>(penalty)](const Hypothesis& row, std::span<float> scores) {
    penalize(scores, row.ids, penalty);
  };
}

LogitsProcessor encoder_repetition_penalty(double penalty, std::vector<Ids> encoder_ids) {
  return [penalty = static_cast<float>(1 / penalty), encoder_ids = std::move(encoder_ids)](
             const Hypothesis& row, std::span<float> scores) {
    penalize(scores, encoder_ids.at(row.input), penalty);
  };
}

LogitsProcessor no_repeat_ngram(int64_t size) {
  return [size](const Hypothesis& row, std::span<float> scores) {
    forbid_repeated(row.ids, row.ids, static_cast<size_t>(size), scores);
  };
}

LogitsProcessor encoder_no_repeat_ngram(int64_t size, std::vector<Ids> encoder_ids) {
  return [size, encoder_ids = std::move(encoder_ids)](const Hypothesis& row, std::span<float> scores) {
    forbid_repeated(encoder_ids.at(row.input), row.ids, static_cast<size_t>(size), scores);
  };
}

LogitsProcessor no_bad_words(const std::vector<Ids>& words, const Ids& eos) {
  std::vector<std::pair<Ids, double>> biases;
  for (const auto& word : words) {
    const bool ends = word.size() == 1 && std::find(eos.begin(), eos.end(), word[0]) != eos.end();
    if (!ends) biases.emplace_back(word, kNever);
  }
  return sequence_bias(std::move(biases), "bad_words_ids");
}

LogitsProcessor min_length(int64_t length, Ids eos) {
  return [length, eos = std::move(eos)](const Hypothesis& row, std::span<float> scores) {
    if (static_cast<int64_t>(row.ids.size()) < length) forbid(scores, eos);
  };
}

LogitsProcessor forced_bos(int64_t token) {
  return [token](const Hypothesis& row, std::span<float> scores) {
    if (row.ids.size() != 1) return;
    std::fill(scores.begin(), scores.end(), kNever);
    score_at(scores, token, "forced_bos_token_id") = 0;
  };
}

LogitsProcessor forced_eos(int64_t max_length, Ids tokens) {
  return [max_length, tokens = std::move(tokens)](const Hypothesis& row, std::span<float> scores) {
    if (static_cast<int64_t>(row.ids.size()) != max_length - 1) return;
    std::fill(scores.begin(), scores.end(), kNever);
    for (const int64_t token : tokens) score_at(scores, token, "forced_eos_token_id") = 0;
  };
}

LogitsProcessor remove_invalid_values() {
  return [](const Hypothesis&, std::span<float> scores) {
    for (float& score : scores) {
      if (std::isnan(score)) score = 0;
      score = std::clamp(score, std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
    }
  };
}

LogitsProcessor exponential_decay_length(int64_t start, double factor, Ids eos) {
  return [start, factor, eos = std::move(eos)](const Hypothesis& row, std::span<float> scores) {
    const auto beyond = static_cast<int64_t>(row.ids.size()) - start;
    if (beyond <= 0) return;
    const auto gain = static_cast<float>(std::pow(factor, static_cast<double>(beyond)) - 1);
    for (const int64_t id : eos) {
      float& score = score_at(scores, id, "exponential_decay_length_penalty");
      score += std::abs(score) * gain;
    }
  };
}

LogitsProcessor suppress_tokens(Ids tokens) {
  return [tokens = std::move(tokens)](const Hypothesis&, std::span<float> scores) { forbid(scores, tokens); };
}

LogitsProcessor suppress_tokens_at_begin(Ids tokens, size_t begin) {
  return [tokens = std::move(tokens), begin](const Hypothesis& row, std::span<float> scores) {
    if (row.ids.size() == begin) forbid(scores, tokens);
  };
}

LogitsProcessor prefix_constrained(std::function<Ids(const Hypothesis&)> allowed) {
  return [allowed = std::move(allowed)](const Hypothesis& row, std::span<float> scores) {
    const Ids tokens = allowed(row);
    if (tokens.empty())
      throw Error(ErrorCode::usage,
                  fmt::format("prefix_allowed_tokens_fn allows no token for input {}", row.input));
    std::vector<float> kept(scores.size(), kNever);
    for (const int64_t id : tokens)
      kept[static_cast<size_t>(id)] = score_at(scores, id, "prefix_allowed_tokens_fn");
    std::copy(kept.begin(), kept.end(), scores.begin());
  };
}

std::vector<LogitsProcessor> processors_of(const GenerationConfig& config, const GenerateOptions& options,
                                           size_t prompt_length, int64_t max_length,
                                           const std::vector<Ids>& encoder_ids) {
  std::vector<LogitsProcessor> out;
  const auto add = [&](bool wanted, auto make) {
    if (wanted) out.push_back(make());
  };
  const Ids& eos = config.eos_token_id;
  const auto prompt = static_cast<int64_t>(prompt_length);
  const int64_t least = config.min_new_tokens ? *config.min_new_tokens + prompt : config.min_length;
  add(!config.sequence_bias.empty(), [&] { return sequence_bias(config.sequence_bias); });
  add(config.encoder_repetition_penalty != 1,
      [&] { return encoder_repetition_penalty(config.encoder_repetition_penalty, encoder_ids); });
  add(config.repetition_penalty != 1, [&] { return repetition_penalty(config.repetition_penalty); });
  add(config.no_repeat_ngram_size > 0, [&] { return no_repeat_ngram(config.no_repeat_ngram_size); });
  add(config.encoder_no_repeat_ngram_size > 0,
      [&] { return encoder_no_repeat_ngram(config.encoder_no_repeat_ngram_size, encoder_ids); });
  add(!config.bad_words_ids.empty(), [&] { return no_bad_words(config.bad_words_ids, eos); });
  add(least > 0 && !eos.empty(), [&] { return min_length(least, eos); });
  add(options.prefix_allowed_tokens_fn != nullptr,
      [&] { return prefix_constrained(options.prefix_allowed_tokens_fn); });
  add(config.forced_bos_token_id.has_value(), [&] { return forced_bos(*config.forced_bos_token_id); });
  add(!config.forced_eos_token_id.empty(),
      [&] { return forced_eos(max_length, config.forced_eos_token_id); });
  add(config.remove_invalid_values, [&] { return remove_invalid_values(); });
  add(config.exponential_decay_length_penalty.has_value(), [&] {
    const auto& [start, factor] = *config.exponential_decay_length_penalty;
    return exponential_decay_length(start + prompt, factor, eos);
  });
  add(!config.suppress_tokens.empty(), [&] { return suppress_tokens(config.suppress_tokens); });
  add(!config.begin_suppress_tokens.empty(), [&] {
    const bool after_bos = prompt_length <= 1 && config.forced_bos_token_id.has_value();
    return suppress_tokens_at_begin(config.begin_suppress_tokens, prompt_length + (after_bos ? 1 : 0));
  });
  out.insert(out.end(), options.logits_processor.begin(), options.logits_processor.end());
  if (config.do_sample) {
    const size_t keep = config.num_beams > 1 ? std::max<size_t>(eos.size(), 1) + 1 : 1;
    add(config.temperature != 1, [&] { return temperature(config.temperature); });
    add(config.top_k != 0, [&] { return top_k(config.top_k, keep); });
    add(config.top_p < 1, [&] { return top_p(config.top_p, keep); });
    add(config.min_p.has_value(), [&] { return min_p(*config.min_p, keep); });
    add(config.typical_p < 1, [&] { return typical(config.typical_p, keep); });
    add(config.epsilon_cutoff > 0, [&] { return epsilon_cutoff(config.epsilon_cutoff, keep); });
    add(config.eta_cutoff > 0, [&] { return eta_cutoff(config.eta_cutoff, keep); });
  }
  add(config.renormalize_logits, [&] { return log_softmax_scores(); });
  add(options.observer != nullptr, [&]() -> LogitsProcessor {
    return [see = options.observer](const Hypothesis& row, std::span<float> scores) { see(row, scores); };
  });
  return out;
}

}  // namespace ferry::generation
