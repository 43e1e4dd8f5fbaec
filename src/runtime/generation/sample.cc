// Greedy search and sampling.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "runtime/generation/processors.h"
#include "runtime/generation/search.h"

namespace ferry::generation {
namespace {

int64_t choose(const Plan& plan, std::span<const float> scores, Sampler& sampler) {
  if (!plan.config.do_sample) return std::max_element(scores.begin(), scores.end()) - scores.begin();
  return static_cast<int64_t>(sampler.draw(softmax(scores)));
}

}  // namespace

GenerateOutput sample(Decoder& decoder, const Plan& plan, const Rows& prompt) {
  const auto copies = static_cast<size_t>(plan.config.num_return_sequences);
  GenerateOutput out;
  out.prompt_length = plan.prompt_length;
  for (const auto& row : prompt) out.sequences.insert(out.sequences.end(), copies, row);
  Rows& rows = out.sequences;
  std::vector<bool> finished(rows.size(), false);
  // Without an end token, rows that something else has ended go on until all have.
  const bool pads = !plan.config.eos_token_id.empty();
  Sampler sampler(plan.seed);

  std::vector<float> first = prefill(decoder, plan, prompt, copies);
  std::span<float> logits = first;
  for (;;) {
    const size_t vocabulary = logits.size() / rows.size();
    for (size_t r = 0; r < rows.size(); ++r) {
      const Hypothesis row{r / copies, rows[r]};
      if (finished[r] && pads) {
        rows[r].push_back(*plan.config.pad_token_id);
        continue;
      }
      const auto scores = logits.subspan(r * vocabulary, vocabulary);
      process(plan, row, scores);
      rows[r].push_back(choose(plan, scores, sampler));
    }
    const auto tokens = last_tokens(rows);
    if (plan.streamer) plan.streamer(tokens);
    for (size_t r = 0; r < rows.size(); ++r)
      finished[r] = finished[r] || is_done(plan, {r / copies, rows[r]});
    if (std::all_of(finished.begin(), finished.end(), [](bool done) { return done; })) return out;
    logits = decoder.step(tokens, rows.size());
  }
}

}  // namespace ferry::generation
