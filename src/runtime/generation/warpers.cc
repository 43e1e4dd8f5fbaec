// The processors of sampling, and the arithmetic they share.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/generation/processors.h"

namespace ferry::generation {
namespace {
constexpr float kNever = -std::numeric_limits<float>::infinity();

// The places of all scores that are not -inf.
std::vector<size_t> possible(std::span<const float> scores) {
  std::vector<size_t> out;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] != kNever) out.push_back(i);
  }
  return out;
}

float kth_largest(std::span<const float> scores, size_t k) {
  std::vector<float> sorted(scores.begin(), scores.end());
  const size_t place = std::min(k, sorted.size()) - 1;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(place), sorted.end(),
                   std::greater<>());
  return sorted[place];
}

// -inf for what is less likely than `least`, except for the `keep` best.
void cut_below(std::span<float> scores, std::span<const float> probabilities, float least, size_t keep) {
  const float protected_from = kth_largest(scores, keep);
  for (size_t i = 0; i < scores.size(); ++i) {
    if (probabilities[i] < least && scores[i] < protected_from) scores[i] = kNever;
  }
}

}  // namespace

std::vector<float> softmax(std::span<const float> scores) {
  std::vector<float> out(scores.size());
  const float top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (size_t i = 0; i < scores.size(); ++i) sum += out[i] = std::exp(scores[i] - top);
  for (float& value : out) value = static_cast<float>(value / sum);
  return out;
}

void log_softmax(std::span<float> scores) {
  const float top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const float score : scores) sum += std::exp(score - top);
  const auto log_sum = static_cast<float>(std::log(sum));
  for (float& score : scores) score = score - top - log_sum;
}

LogitsProcessor log_softmax_scores() {
  return [](const Hypothesis&, std::span<float> scores) { log_softmax(scores); };
}

LogitsProcessor temperature(double value) {
  return [value = static_cast<float>(value)](const Hypothesis&, std::span<float> scores) {
    for (float& score : scores) score /= value;
  };
}

LogitsProcessor top_k(int64_t k, size_t keep) {
  return [count = std::max(static_cast<size_t>(k), keep)](const Hypothesis&, std::span<float> scores) {
    const float least = kth_largest(scores, count);
    for (float& score : scores) {
      if (score < least) score = kNever;
    }
  };
}

LogitsProcessor top_p(double p, size_t keep) {
  return [p, keep](const Hypothesis&, std::span<float> scores) {
    auto order = possible(scores);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
    const auto probabilities = softmax(scores);
    const auto unlikely = static_cast<float>(1 - p);
    double sum = 0;
    for (size_t i = 0; i + keep < order.size(); ++i) {
      sum += probabilities[order[i]];
      if (static_cast<float>(sum) > unlikely) return;
      scores[order[i]] = kNever;
    }
  };
}

LogitsProcessor min_p(double p, size_t keep) {
  return [p = static_cast<float>(p), keep](const Hypothesis&, std::span<float> scores) {
    const auto probabilities = softmax(scores);
    const float least = p * *std::max_element(probabilities.begin(), probabilities.end());
    cut_below(scores, probabilities, least, keep);
  };
}

LogitsProcessor typical(double mass, size_t keep) {
  return [mass = static_cast<float>(mass), keep](const Hypothesis&, std::span<float> scores) {
    std::vector<float> logs(scores.begin(), scores.end());
    log_softmax(logs);
    double entropy = 0;
    for (const float log : logs) {
      if (log != kNever) entropy -= static_cast<double>(log) * std::exp(log);
    }
    // How far a token's surprise is from what is expected.
    std::vector<float> shifted(logs.size());
    for (size_t i = 0; i < logs.size(); ++i) shifted[i] = std::abs(-logs[i] - static_cast<float>(entropy));
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return shifted[a] < shifted[b]; });
    const auto probabilities = softmax(scores);
    double sum = 0;
    size_t last = 0;
    for (const size_t i : order) {
      sum += probabilities[i];
      if (static_cast<float>(sum) < mass) ++last;
    }
    const float most = shifted[order[std::min(last, order.size() - 1)]];
    for (size_t i = keep; i < order.size(); ++i) {
      if (shifted[order[i]] > most) scores[order[i]] = kNever;
    }
  };
}

LogitsProcessor epsilon_cutoff(double epsilon, size_t keep) {
  return [epsilon = static_cast<float>(epsilon), keep](const Hypothesis&, std::span<float> scores) {
    cut_below(scores, softmax(scores), epsilon, keep);
  };
}

LogitsProcessor eta_cutoff(double epsilon, size_t keep) {
  return [epsilon = static_cast<float>(epsilon), keep](const Hypothesis&, std::span<float> scores) {
    const auto probabilities = softmax(scores);
    double entropy = 0;
    for (const float p : probabilities) {
      if (p > 0) entropy -= static_cast<double>(p) * std::log(p);
    }
    const float eta = std::min(epsilon, std::sqrt(epsilon) * std::exp(-static_cast<float>(entropy)));
    cut_below(scores, probabilities, eta, keep);
  };
}

}  // namespace ferry::generation
