#include "runtime/generation/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "runtime/generation/processors.h"
#include "runtime/generation/stopping.h"

namespace ferry::generation {
namespace {
constexpr int64_t kDefaultNewTokens = 20;

int64_t settle_max_length(const GenerationConfig& config, int64_t prompt, std::optional<int64_t> context) {
  const bool is_default = !config.max_new_tokens && !config.max_length;
  int64_t out = prompt + kDefaultNewTokens;
  if (config.max_new_tokens) {
    out = prompt + *config.max_new_tokens;
  } else if (config.max_length) {
    out = *config.max_length;
  } else if (context) {
    out = std::min(out, *context);
  }
  if (prompt >= out) {
    throw Error(ErrorCode::usage, fmt::format("the prompt has {} tokens, and max_length is {}", prompt, out))
        .with_hint("give a larger max_length, or max_new_tokens");
  }
  if (context && !is_default && out > *context) {
    throw Error(ErrorCode::usage,
                fmt::format("{} tokens of prompt and {} new ones are more than the {} that the model takes",
                            prompt, out - prompt, *context))
        .with_hint(fmt::format("at most {} new tokens fit", *context - prompt));
  }
  return out;
}

}  // namespace

Plan make_plan(GenerationConfig config, const GenerateOptions& options, size_t prompt_length,
               const Rows& encoder_ids, std::optional<int64_t> context) {
  config.validate();
  if (prompt_length == 0) throw Error(ErrorCode::usage, "the prompt has no tokens");
  const auto prompt = static_cast<int64_t>(prompt_length);
  if (context && prompt > *context) {
    throw Error(
        ErrorCode::usage,
        fmt::format("the prompt has {} tokens, more than the {} that the model takes", prompt, *context));
  }
  if (options.streamer && config.num_beams > 1)
    throw Error(ErrorCode::usage, "beam search cannot be streamed").with_hint("num_beams 1 can");
  if (!config.pad_token_id && !config.eos_token_id.empty()) config.pad_token_id = config.eos_token_id.front();
  Plan plan;
  plan.max_length = settle_max_length(config, prompt, context);
  plan.prompt_length = prompt_length;
  plan.processors = processors_of(config, options, prompt_length, plan.max_length, encoder_ids);
  plan.criteria = criteria_of(config, options, plan.max_length);
  plan.streamer = options.streamer;
  plan.seed = options.seed ? *options.seed : std::random_device{}();
  plan.config = std::move(config);
  return plan;
}

GenerateOutput search(Decoder& decoder, const Plan& plan, const Rows& prompt) {
  if (plan.config.num_beams == 1) return sample(decoder, plan, prompt);
  return plan.config.num_beam_groups > 1 ? group_beam_search(decoder, plan, prompt)
                                         : beam_search(decoder, plan, prompt);
}

std::vector<float> prefill(Decoder& decoder, const Plan& plan, const Rows& prompt, size_t copies) {
  const size_t chunk =
      static_cast<size_t>(plan.config.prefill_chunk_size.value_or(static_cast<int64_t>(plan.prompt_length)));
  std::span<float> logits;
  for (size_t begin = 0; begin < plan.prompt_length; begin += chunk) {
    const size_t end = std::min(begin + chunk, plan.prompt_length);
    std::vector<int64_t> ids;
    for (const auto& row : prompt)
      ids.insert(ids.end(), row.begin() + static_cast<ptrdiff_t>(begin),
                 row.begin() + static_cast<ptrdiff_t>(end));
    logits = decoder.step(ids, prompt.size());
  }
  const size_t vocabulary = logits.size() / prompt.size();
  std::vector<float> out;
  std::vector<size_t> rows;
  for (size_t row = 0; row < prompt.size(); ++row) {
    for (size_t copy = 0; copy < copies; ++copy) {
      const auto scores = logits.subspan(row * vocabulary, vocabulary);
      out.insert(out.end(), scores.begin(), scores.end());
      rows.push_back(row);
    }
  }
  if (copies > 1) decoder.reorder(rows);
  return out;
}

void process(const Plan& plan, const Hypothesis& row, std::span<float> scores) {
  for (const auto& processor : plan.processors) processor(row, scores);
}

bool is_done(const Plan& plan, const Hypothesis& row) {
  return std::any_of(plan.criteria.begin(), plan.criteria.end(),
                     [&](const StoppingCriteria& criterion) { return criterion(row); });
}

std::vector<int64_t> last_tokens(const Rows& rows) {
  std::vector<int64_t> out;
  for (const auto& row : rows) out.push_back(row.back());
  return out;
}

std::vector<size_t> largest(std::span<const float> values, size_t count) {
  std::vector<size_t> places(values.size());
  std::iota(places.begin(), places.end(), size_t{0});
  const auto end = places.begin() + static_cast<ptrdiff_t>(std::min(count, places.size()));
  std::partial_sort(places.begin(), end, places.end(), [&](size_t a, size_t b) {
    return values[a] > values[b] || (values[a] == values[b] && a < b);
  });
  places.erase(end, places.end());
  return places;
}

size_t Sampler::draw(std::span<const float> weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double place = static_cast<double>(engine_() >> 11) * 0x1p-53 * total;
  size_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > 0)) continue;
    last = i;
    place -= weights[i];
    if (place < 0) break;
  }
  return last;
}

std::vector<size_t> Sampler::draw_several(std::vector<float> weights, size_t count) {
  std::vector<size_t> out;
  while (out.size() < count) {
    if (std::none_of(weights.begin(), weights.end(), [](float weight) { return weight > 0; })) {
      throw Error(ErrorCode::usage, "beam sampling has fewer possible tokens left than it needs")
          .with_hint("cut less off: a larger top_k, top_p or temperature");
    }
    out.push_back(draw(weights));
    weights[out.back()] = 0;
  }
  return out;
}

}  // namespace ferry::generation
