// Source: transformers 4.57.6, pipelines/fill_mask.py.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {

std::vector<uint32_t> target_ids(const Tokenizer& tokenizer, const std::vector<std::string>& targets) {
  std::set<uint32_t> ids;
  for (const auto& target : targets) {
    if (const auto id = tokenizer.token_to_id(target)) {
      ids.insert(*id);
      continue;
    }
    EncodeOptions options;
    options.add_special_tokens = false;
    const auto pieces = tokenizer(target, options).encodings[0].ids;
    if (!pieces.empty()) ids.insert(pieces[0]);
  }
  if (ids.empty()) throw Error(ErrorCode::usage, "none of the targets is in the vocabulary");
  return {ids.begin(), ids.end()};
}

}  // namespace

FillMaskPipeline::FillMaskPipeline(Tokenizer tokenizer, ORTModelForMaskedLM model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForMaskedLM>(std::move(model))) {}

std::vector<std::vector<MaskPrediction>> FillMaskPipeline::operator()(std::string_view text,
                                                                      const FillMaskOptions& options) const {
  const auto mask = tokenizer_.special_token_id("mask_token");
  if (!mask) throw Error(ErrorCode::usage, "the tokenizer has no mask token");
  const auto inputs = tokenizer_(text);
  const auto& ids = inputs.encodings[0].ids;
  if (std::find(ids.begin(), ids.end(), *mask) == ids.end()) {
    throw Error(ErrorCode::usage, fmt::format("the text holds no mask token ({})",
                                              tokenizer_.special_token("mask_token").value_or("")));
  }
  pipelines::check_length(*model_, ids.size());
  const HostTensor logits = (*model_)(inputs).logits.to_f32();
  const auto vocabulary = static_cast<size_t>(logits.dims.back());
  const auto pad = tokenizer_.special_token_id("pad_token");
  const bool single_mask = std::count(ids.begin(), ids.end(), *mask) == 1;
  std::vector<uint32_t> targets;
  if (!options.targets.empty()) targets = target_ids(tokenizer_, options.targets);

  std::vector<std::vector<MaskPrediction>> out;
  for (size_t place = 0; place < ids.size(); ++place) {
    if (ids[place] != *mask) continue;
    auto scores = pipelines::softmax(logits.as<float>().subspan(place * vocabulary, vocabulary));
    if (!targets.empty()) {
      std::vector<float> chosen;
      for (const uint32_t id : targets) chosen.push_back(id < vocabulary ? scores[id] : 0.0f);
      scores = std::move(chosen);
    }
    std::vector<MaskPrediction> row;
    for (const size_t index :
         pipelines::largest(scores, static_cast<size_t>(std::max<int64_t>(options.top_k, 0)))) {
      const uint32_t token = targets.empty() ? static_cast<uint32_t>(index) : targets[index];
      std::vector<uint32_t> filled(ids.begin(), ids.end());
      filled[place] = token;
      if (pad) std::erase(filled, *pad);
      row.push_back({scores[index], token, tokenizer_.decode(std::vector<uint32_t>{token}),
                     tokenizer_.decode(filled, {.skip_special_tokens = single_mask})});
    }
    out.push_back(std::move(row));
  }
  return out;
}

namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

struct FillMaskRunner final : Pipeline::Runner {
  FillMaskRunner(Tokenizer tokenizer, ORTModelForMaskedLM model)
      : pipeline(std::move(tokenizer), std::move(model)) {}
  Json run(const Json& input, const Json& given) const override {
    FillMaskOptions options;
    OptionReader reader(task, given);
    reader.read("top_k", options.top_k);
    reader.read("targets", options.targets);
    reader.check();
    Json out = Json::array();
    for (const auto& row : pipeline(text_of(task, input), options)) {
      Json predictions = Json::array();
      for (const auto& p : row) {
        predictions.push_back(
            {{"score", p.score}, {"token", p.token}, {"token_str", p.token_str}, {"sequence", p.sequence}});
      }
      out.push_back(std::move(predictions));
    }
    return out.size() == 1 ? out[0] : out;
  }
  FillMaskPipeline pipeline;
};

}  // namespace

std::shared_ptr<Pipeline::Runner> pipelines::fill_mask(std::string_view folder, const LoadOptions& options) {
  return open_runner<FillMaskRunner, ORTModelForMaskedLM>(folder, options);
}

}  // namespace ferry
