#include "runtime/whisper/fallback.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace ferry::whisper {
namespace {

// log(sum(exp(scores * factor))), and no overflow.
double log_total(std::span<const float> scores, double factor) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const float score : scores) top = std::max(top, score * factor);
  for (const float score : scores) sum += std::exp(score * factor - top);
  return top + std::log(sum);
}

}  // namespace

double compression_ratio(std::span<const int64_t> ids, int64_t vocab_size) {
  const auto width = static_cast<size_t>(std::log2(static_cast<double>(vocab_size)) / 8) + 1;
  std::vector<unsigned char> bytes;
  for (const int64_t id : ids) {
    for (size_t i = 0; i < width; ++i)
      bytes.push_back(static_cast<unsigned char>(static_cast<uint64_t>(id) >> (8 * i)));
  }
  uLongf length = ::compressBound(bytes.size());
  std::vector<unsigned char> compressed(length);
  check_internal(::compress(compressed.data(), &length, bytes.data(), bytes.size()) == Z_OK,
                 "zlib does not compress tokens");
  return static_cast<double>(bytes.size()) / static_cast<double>(length);
}

double probability(std::span<const float> scores, size_t place) {
  return std::exp(static_cast<double>(scores[place]) - log_total(scores, 1));
}

double Likelihood::Next::after(int64_t token) const {
  if (static_cast<size_t>(token) < log_probabilities.size())
    return log_probabilities[static_cast<size_t>(token)];
  const auto found = of_ends.find(token);
  check_internal(found != of_ends.end(), "a sequence was generated that was not observed");
  return found->second;
}

void Likelihood::forget(std::map<Ids, Next>& step) const {
  for (auto& [ids, next] : step) {
    for (const int64_t end : ends_) {
      if (static_cast<size_t>(end) < next.log_probabilities.size())
        next.of_ends[end] = next.log_probabilities[static_cast<size_t>(end)];
    }
    next.log_probabilities = {};
  }
}

void Likelihood::observe(std::span<const int64_t> generated, std::span<const float> scores) {
  const size_t length = generated.size();
  if (length >= steps_.size()) {
    if (length >= 2) forget(steps_[length - 2]);
    steps_.resize(length + 1);
  }
  Next next;
  if (length > 0) {
    const auto before = steps_[length - 1].find(Ids(generated.begin(), generated.end() - 1));
    // A beam that goes on after its end is none of the results.
    if (before == steps_[length - 1].end()) return;
    next.sum = before->second.sum + before->second.after(generated.back());
  }
  const double total = log_total(scores, temperature_);
  for (const float score : scores)
    next.log_probabilities.push_back(static_cast<float>(score * temperature_ - total));
  steps_[length][Ids(generated.begin(), generated.end())] = std::move(next);
}

double Likelihood::mean(std::span<const int64_t> generated) const {
  if (generated.empty()) return 0;
  const size_t before = generated.size() - 1;
  check_internal(before < steps_.size(), "a sequence was generated that was not observed");
  const auto found = steps_[before].find(Ids(generated.begin(), generated.end() - 1));
  check_internal(found != steps_[before].end(), "a sequence was generated that was not observed");
  return (found->second.sum + found->second.after(generated.back())) / static_cast<double>(generated.size());
}

}  // namespace ferry::whisper
