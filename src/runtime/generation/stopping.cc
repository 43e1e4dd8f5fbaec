#include "runtime/generation/stopping.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "base/error.h"

namespace ferry::generation {
namespace {

size_t code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(),
                                           [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

// What each token adds to a text that it does not begin.
class TokenTexts {
 public:
  explicit TokenTexts(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
    EncodeOptions plain;
    plain.add_special_tokens = false;
    base_ = tokenizer_(kBase, plain).encodings[0].ids;
  }

  const std::string& operator()(int64_t id) {
    const auto [found, is_new] = texts_.try_emplace(id);
    if (is_new) {
      auto ids = base_;
      ids.push_back(static_cast<uint32_t>(id));
      const std::string text = tokenizer_.decode(ids, {.clean_up_tokenization_spaces = false});
      const size_t place = text.find(kBase);
      found->second = place == std::string::npos ? text : text.substr(place + kBase.size());
    }
    return found->second;
  }

 private:
  static constexpr std::string_view kBase = "abcdef";
  const Tokenizer& tokenizer_;
  std::vector<uint32_t> base_;
  std::map<int64_t, std::string> texts_;
};

}  // namespace

StoppingCriteria max_length_reached(int64_t max_length) {
  return [max_length](const Hypothesis& row) { return static_cast<int64_t>(row.ids.size()) >= max_length; };
}

StoppingCriteria max_time_passed(double seconds) {
  using Clock = std::chrono::steady_clock;
  return [seconds, start = Clock::now()](const Hypothesis&) {
    return std::chrono::duration<double>(Clock::now() - start).count() > seconds;
  };
}

StoppingCriteria ends_with_token(std::vector<int64_t> tokens) {
  return [tokens = std::move(tokens)](const Hypothesis& row) {
    return std::find(tokens.begin(), tokens.end(), row.ids.back()) != tokens.end();
  };
}

StoppingCriteria ends_with_text(const Tokenizer& tokenizer, std::vector<std::string> texts) {
  size_t longest = 0;
  for (const auto& text : texts) longest = std::max(longest, code_points(text));
  return [token_texts = std::make_shared<TokenTexts>(tokenizer), texts = std::move(texts),
          longest](const Hypothesis& row) {
    const auto tail = row.ids.last(std::min(longest, row.ids.size()));
    std::string text;
    for (const int64_t id : tail.first(tail.size() - 1)) text += (*token_texts)(id);
    const size_t before = text.size();
    text += (*token_texts)(tail.back());
    return std::any_of(texts.begin(), texts.end(), [&](const std::string& wanted) {
      const size_t first = before + 1 > wanted.size() ? before + 1 - wanted.size() : 0;
      return text.find(wanted, first) != std::string::npos;
    });
  };
}

std::vector<StoppingCriteria> criteria_of(const GenerationConfig& config, const GenerateOptions& options,
                                          int64_t max_length) {
  std::vector<StoppingCriteria> out = {max_length_reached(max_length)};
  if (config.max_time) out.push_back(max_time_passed(*config.max_time));
  if (!config.stop_strings.empty()) {
    if (options.tokenizer == nullptr)
      throw Error(ErrorCode::usage, "stop_strings need the tokenizer")
          .with_hint("give it as GenerateOptions::tokenizer");
    out.push_back(ends_with_text(*options.tokenizer, config.stop_strings));
  }
  if (!config.eos_token_id.empty()) out.push_back(ends_with_token(config.eos_token_id));
  out.insert(out.end(), options.stopping_criteria.begin(), options.stopping_criteria.end());
  return out;
}

}  // namespace ferry::generation
