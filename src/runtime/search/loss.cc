#include "runtime/search/loss.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "runtime/compare/metrics.h"

namespace ferry::runtime {
namespace {

constexpr uint64_t kMostExpectedBytes = uint64_t{4} << 30;

Outputs some_outputs(const ort::Session& session, const Sample& sample,
                     const std::vector<std::string>& names) {
  auto results = run_on(session, sample, names);
  Outputs out;
  for (size_t i = 0; i < names.size(); ++i) out.emplace(names[i], std::move(results[i]));
  return out;
}

}  // namespace

LossMetric loss_metric(const std::string& name) {
  if (name == "cosine") return LossMetric::cosine;
  if (name == "agreement") return LossMetric::agreement;
  if (name == "kl") return LossMetric::kl;
  throw Error(ErrorCode::usage,
              fmt::format("the metric {} is none of cosine, agreement, kl", printable(name)));
}

LossMeter::LossMeter(const ort::Session& reference, const std::string& config, std::vector<Sample> samples,
                     LossMetric metric)
    : metric_(metric), samples_(std::move(samples)) {
  for (const auto& output : reference.outputs()) {
    const bool cache = starts_with(output.name, "present") || starts_with(output.name, "past_key_values");
    const bool counts = metric != LossMetric::kl || holds_logits(output.name);
    if (!cache && counts && (is_floating(output.dtype) || metric == LossMetric::agreement))
      names_.push_back(output.name);
  }
  if (metric == LossMetric::agreement) {
    agreement_ = AgreementCounter::for_model(reference.outputs(), config);
    if (!agreement_) {
      throw Error(ErrorCode::usage, "agreement needs logits of a task that decides: labels, spans, tokens")
          .with_hint("the cosine of the outputs needs nothing: --metric cosine");
    }
  }
  if (names_.empty()) {
    throw Error(ErrorCode::usage, metric == LossMetric::kl ? "kl needs an output of logits"
                                                           : "the model gives no numbers to compare");
  }
  uint64_t bytes = 0;
  for (const Sample& sample : samples_) {
    expected_.push_back(some_outputs(reference, sample, names_));
    for (const auto& [name, tensor] : expected_.back()) bytes += tensor.bytes.size();
    if (bytes <= kMostExpectedBytes) continue;
    throw Error(ErrorCode::usage, fmt::format("the outputs of {} samples take more than {}", expected_.size(),
                                              human_bytes(static_cast<double>(kMostExpectedBytes))))
        .with_hint("take fewer samples, or shorter ones");
  }
}

double LossMeter::loss(const ort::Session& session) const {
  std::optional<AgreementCounter> agreement = agreement_;
  std::map<std::string, ErrorSum> sums;
  for (size_t i = 0; i < samples_.size(); ++i) {
    const Outputs found = some_outputs(session, samples_[i], names_);
    if (agreement) {
      agreement->add(samples_[i], expected_[i], found);
      continue;
    }
    for (const auto& [name, tensor] : expected_[i])
      sums[name].add(tensor, found.at(name), metric_ == LossMetric::kl);
  }
  if (agreement) return 1 - agreement->result().rate();
  double out = 0;
  for (const auto& [name, sum] : sums) {
    const ErrorFigures error = sum.figures();
    if (!std::isfinite(error.max_difference)) return std::numeric_limits<double>::infinity();
    out = std::max(out, metric_ == LossMetric::kl ? error.kl.value_or(0) : 1 - error.cosine);
  }
  return out;
}

}  // namespace ferry::runtime
