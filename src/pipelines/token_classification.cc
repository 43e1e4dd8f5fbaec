// Source: transformers 4.57.6, pipelines/token_classification.py.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {

struct Token {
  uint32_t id = 0;
  std::string word;
  std::vector<float> scores;
  uint32_t start = 0, end = 0;
  int64_t index = 0;
  bool is_subword = false;
};

// An entity before grouping, with the ids of its tokens for the text of the group.
struct Tagged {
  Entity entity;
  std::vector<uint32_t> ids;
};

size_t code_point_count(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(),
                                           [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

class Aggregation {
 public:
  Aggregation(const Tokenizer& tokenizer, std::vector<std::string> labels, AggregationStrategy strategy)
      : tokenizer_(tokenizer), labels_(std::move(labels)), strategy_(strategy) {}

  std::vector<Entity> operator()(const std::vector<Token>& tokens) const {
    if (strategy_ == AggregationStrategy::none) {
      std::vector<Entity> out;
      for (const Token& token : tokens) out.push_back(tag(token).entity);
      return out;
    }
    std::vector<Tagged> tagged;
    if (strategy_ == AggregationStrategy::simple) {
      for (const Token& token : tokens) tagged.push_back(tag(token));
    } else {
      tagged = words(tokens);
    }
    return groups(tagged);
  }

 private:
  [[nodiscard]] Tagged tag(const Token& token) const {
    const auto best = static_cast<size_t>(std::max_element(token.scores.begin(), token.scores.end()) -
                                          token.scores.begin());
    return {{labels_[best], token.scores[best], token.index, token.word, token.start, token.end}, {token.id}};
  }

  // Tokens of one word agree on one label.
  [[nodiscard]] std::vector<Tagged> words(const std::vector<Token>& tokens) const {
    std::vector<Tagged> out;
    for (size_t begin = 0; begin < tokens.size();) {
      size_t end = begin + 1;
      while (end < tokens.size() && tokens[end].is_subword) ++end;
      out.push_back(word({tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                          tokens.begin() + static_cast<std::ptrdiff_t>(end)}));
      begin = end;
    }
    return out;
  }

  [[nodiscard]] Tagged word(const std::vector<Token>& tokens) const {
    std::vector<float> scores = tokens[0].scores;
    if (strategy_ == AggregationStrategy::max) {
      const auto best_of = [](const Token& token) {
        return *std::max_element(token.scores.begin(), token.scores.end());
      };
      scores = std::max_element(tokens.begin(), tokens.end(), [&](const Token& a, const Token& b) {
                 return best_of(a) < best_of(b);
               })->scores;
    } else if (strategy_ == AggregationStrategy::average) {
      for (size_t i = 0; i < scores.size(); ++i) {
        double sum = 0;
        for (const Token& token : tokens) sum += token.scores[i];
        scores[i] = static_cast<float>(sum / static_cast<double>(tokens.size()));
      }
    }
    const auto best = static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    Tagged out{{labels_[best], scores[best], -1, "", tokens.front().start, tokens.back().end}, {}};
    for (const Token& token : tokens) out.ids.push_back(token.id);
    out.entity.word = text_of(out.ids);
    return out;
  }

  [[nodiscard]] std::string text_of(const std::vector<uint32_t>& ids) const {
    return tokenizer_.decode(ids, {.skip_special_tokens = false, .clean_up_tokenization_spaces = false});
  }

  static std::pair<bool, std::string> begins_and_tag(const std::string& label) {
    if (starts_with(label, "B-")) return {true, label.substr(2)};
    if (starts_with(label, "I-")) return {false, label.substr(2)};
    return {false, label};
  }

  [[nodiscard]] std::vector<Entity> groups(const std::vector<Tagged>& tagged) const {
    std::vector<Entity> out;
    for (size_t begin = 0; begin < tagged.size();) {
      size_t end = begin + 1;
      while (end < tagged.size()) {
        const auto [begins, tag] = begins_and_tag(tagged[end].entity.entity);
        if (begins || tag != begins_and_tag(tagged[end - 1].entity.entity).second) break;
        ++end;
      }
      out.push_back(group({tagged.begin() + static_cast<std::ptrdiff_t>(begin),
                           tagged.begin() + static_cast<std::ptrdiff_t>(end)}));
      begin = end;
    }
    return out;
  }

  [[nodiscard]] Entity group(const std::vector<Tagged>& parts) const {
    const std::string& label = parts[0].entity.entity;
    const size_t dash = label.find('-');
    Entity out{dash == std::string::npos ? label : label.substr(dash + 1),
               0,
               -1,
               "",
               parts.front().entity.start,
               parts.back().entity.end};
    double sum = 0;
    std::vector<uint32_t> ids;
    for (const Tagged& part : parts) {
      sum += part.entity.score;
      ids.insert(ids.end(), part.ids.begin(), part.ids.end());
    }
    out.score = static_cast<float>(sum / static_cast<double>(parts.size()));
    out.word = text_of(ids);
    return out;
  }

  const Tokenizer& tokenizer_;
  std::vector<std::string> labels_;
  AggregationStrategy strategy_;
};

// Entities of overlapping chunks: the longer, then the likelier one stays.
std::vector<Entity> without_overlaps(std::vector<Entity> entities) {
  if (entities.empty()) return entities;
  std::stable_sort(entities.begin(), entities.end(),
                   [](const Entity& a, const Entity& b) { return a.start < b.start; });
  std::vector<Entity> out;
  Entity previous = entities[0];
  for (const Entity& entity : entities) {
    if (previous.start <= entity.start && entity.start < previous.end) {
      const uint32_t length = entity.end - entity.start, before = previous.end - previous.start;
      if (length > before || (length == before && entity.score > previous.score)) previous = entity;
    } else {
      out.push_back(previous);
      previous = entity;
    }
  }
  out.push_back(previous);
  return out;
}

std::vector<Token> tokens_of(const Tokenizer& tokenizer, const Encoding& encoding,
                             std::span<const float> logits, size_t labels, std::string_view text) {
  const auto unknown = tokenizer.special_token_id("unk_token");
  const bool has_subword_prefix = !tokenizer.continuing_subword_prefix().empty();
  std::vector<Token> out;
  for (size_t i = 0; i < encoding.size(); ++i) {
    if (encoding.special_tokens_mask[i] != 0) continue;
    Token token{encoding.ids[i],
                encoding.token(i),
                pipelines::softmax(logits.subspan(i * labels, labels)),
                encoding.offsets[i].begin,
                encoding.offsets[i].end,
                static_cast<int64_t>(i),
                false};
    const auto reference = pipelines::code_points(text, token.start, token.end);
    if (has_subword_prefix) {
      token.is_subword = code_point_count(token.word) != code_point_count(reference);
    } else {
      token.is_subword =
          token.start > 0 &&
          pipelines::code_points(text, token.start - 1, token.start + 1).find(' ') == std::string_view::npos;
    }
    if (unknown && token.id == *unknown) {
      token.word = std::string(reference);
      token.is_subword = false;
    }
    out.push_back(std::move(token));
  }
  return out;
}

}  // namespace

TokenClassificationPipeline::TokenClassificationPipeline(Tokenizer tokenizer,
                                                         ORTModelForTokenClassification model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForTokenClassification>(std::move(model))) {}

std::vector<Entity> TokenClassificationPipeline::operator()(std::string_view text,
                                                            const TokenClassificationOptions& options) const {
  EncodeOptions encode;
  encode.truncation = Truncation::longest_first;
  if (options.stride) {
    if (options.aggregation_strategy == AggregationStrategy::none) {
      throw Error(ErrorCode::usage,
                  "`stride` was provided to process all the text but aggregation_strategy is none: choose "
                  "another one");
    }
    encode.return_overflowing_tokens = true;
    encode.stride = *options.stride;
  }
  const auto batch = tokenizer_(text, encode);
  std::vector<Entity> out;
  for (size_t i = 0; i < batch.encodings.size(); ++i) {
    const HostTensor logits = (*model_)(pipelines::single(batch, i)).logits.to_f32();
    const auto count = static_cast<size_t>(logits.dims.back());
    const Aggregation aggregate(tokenizer_, model_->labels(count), options.aggregation_strategy);
    for (auto& entity :
         aggregate(tokens_of(tokenizer_, batch.encodings[i], logits.as<float>(), count, text))) {
      const bool ignored = std::find(options.ignore_labels.begin(), options.ignore_labels.end(),
                                     entity.entity) != options.ignore_labels.end();
      if (!ignored) out.push_back(std::move(entity));
    }
  }
  return batch.encodings.size() > 1 ? without_overlaps(std::move(out)) : out;
}

namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

AggregationStrategy aggregation_strategy(std::string_view task, const std::string& name) {
  const std::vector<std::string> names = {"none", "simple", "first", "average", "max"};
  const auto found = std::find(names.begin(), names.end(), to_lower(name));
  if (found == names.end())
    refuse(task, fmt::format("aggregation_strategy \"{}\" is not one of {}", printable(name), join(names)));
  return static_cast<AggregationStrategy>(found - names.begin());
}

struct TokenClassificationRunner final : Pipeline::Runner {
  TokenClassificationRunner(Tokenizer tokenizer, ORTModelForTokenClassification model)
      : pipeline(std::move(tokenizer), std::move(model)) {}
  Json run(const Json& input, const Json& given) const override {
    TokenClassificationOptions options;
    std::string strategy = "none";
    OptionReader reader(task, given);
    reader.read("aggregation_strategy", strategy);
    reader.read("ignore_labels", options.ignore_labels);
    reader.read("stride", options.stride);
    reader.check();
    options.aggregation_strategy = aggregation_strategy(task, strategy);
    Json out = Json::array();
    for (const auto& entity : pipeline(text_of(task, input), options)) {
      const bool grouped = options.aggregation_strategy != AggregationStrategy::none;
      Json row = {{grouped ? "entity_group" : "entity", entity.entity}, {"score", entity.score}};
      if (!grouped) row["index"] = entity.index;
      row["word"] = entity.word;
      row["start"] = entity.start;
      row["end"] = entity.end;
      out.push_back(std::move(row));
    }
    return out;
  }
  TokenClassificationPipeline pipeline;
};

}  // namespace

std::shared_ptr<Pipeline::Runner> pipelines::token_classification(std::string_view folder,
                                                                  const LoadOptions& options) {
  return open_runner<TokenClassificationRunner, ORTModelForTokenClassification>(folder, options);
}

}  // namespace ferry
