// Source: transformers 4.57.6, pipelines/question_answering.py.
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

// One span of a long context, with the tokens that may belong to an answer.
struct Span {
  const Encoding* encoding = nullptr;
  std::vector<bool> allowed;
};

struct Candidate {
  size_t start = 0, end = 0;  // Tokens.
  float score = 0;
};

std::vector<bool> allowed_tokens(const Encoding& encoding, bool question_first, std::optional<uint32_t> cls) {
  const auto sequences = encoding.sequence_ids();
  std::vector<bool> out(encoding.size());
  for (size_t i = 0; i < out.size(); ++i) {
    // With the context first transformers leaves every token allowed.
    const bool context = !question_first || sequences[i] == 1;
    out[i] = (context || (cls && encoding.ids[i] == *cls)) && encoding.attention_mask[i] != 0;
  }
  return out;
}

std::vector<float> probabilities(std::span<const float> logits, const std::vector<bool>& allowed) {
  std::vector<float> masked(logits.begin(), logits.end());
  for (size_t i = 0; i < masked.size(); ++i) {
    if (!allowed[i]) masked[i] = -10000.0f;
  }
  return pipelines::softmax(masked);
}

// The best spans of at most max_answer_len tokens: decode_spans() of the source, without the square matrix.
std::vector<Candidate> decode_spans(const std::vector<float>& start, const std::vector<float>& end,
                                    size_t top_k, size_t max_answer_len, const std::vector<bool>& allowed) {
  const auto better = [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.start != b.start ? a.start < b.start : a.end < b.end;
  };
  std::vector<Candidate> best;  // A heap whose front is the worst that was kept.
  for (size_t s = 0; s < start.size(); ++s) {
    for (size_t e = s; e < std::min(end.size(), s + max_answer_len); ++e) {
      const Candidate candidate{s, e, start[s] * end[e]};
      if (best.size() < top_k) {
        best.push_back(candidate);
        std::push_heap(best.begin(), best.end(), better);
      } else if (better(candidate, best.front())) {
        std::pop_heap(best.begin(), best.end(), better);
        best.back() = candidate;
        std::push_heap(best.begin(), best.end(), better);
      }
    }
  }
  std::sort_heap(best.begin(), best.end(), better);
  std::erase_if(best, [&](const Candidate& c) {
    return !(allowed[c.start] || c.start == 0) || !(allowed[c.end] || c.end == 0);
  });
  return best;
}

// The characters of the words that a span of tokens begins and ends in.
Offset answer_offsets(const Encoding& encoding, const Candidate& candidate, bool align_to_words,
                      int32_t sequence) {
  const Offset by_token{encoding.offsets[candidate.start].begin, encoding.offsets[candidate.end].end};
  const int32_t first = encoding.word_ids[candidate.start];
  const int32_t last = encoding.word_ids[candidate.end];
  if (!align_to_words || first < 0 || last < 0) return by_token;
  const auto first_tokens = encoding.word_to_tokens(first, sequence);
  const auto last_tokens = encoding.word_to_tokens(last, sequence);
  if (!first_tokens || !last_tokens) return by_token;
  return {encoding.offsets[first_tokens->first].begin, encoding.offsets[last_tokens->second - 1].end};
}

void add_answer(std::vector<Answer>& answers, Answer answer) {
  const auto same = std::find_if(answers.begin(), answers.end(), [&](const Answer& known) {
    return to_lower(known.text) == to_lower(answer.text);
  });
  if (same != answers.end()) {
    same->score += answer.score;
  } else {
    answers.push_back(std::move(answer));
  }
}

BatchEncoding encode(const Tokenizer& tokenizer, const QuestionAnsweringInput& input,
                     const QuestionAnsweringOptions& options, bool question_first) {
  const int64_t longest = options.max_seq_len > 0
                              ? options.max_seq_len
                              : static_cast<int64_t>(std::min<uint64_t>(tokenizer.model_max_length(), 384));
  const int64_t stride = options.doc_stride > 0 ? options.doc_stride : std::min<int64_t>(longest / 2, 128);
  if (stride > longest) throw Error(ErrorCode::usage, "doc_stride is larger than max_seq_len");
  EncodeOptions encoding;
  encoding.text_pair = question_first ? input.context : input.question;
  encoding.truncation = question_first ? Truncation::only_second : Truncation::only_first;
  encoding.max_length = static_cast<uint64_t>(longest);
  encoding.stride = static_cast<uint64_t>(stride);
  encoding.return_overflowing_tokens = true;
  return tokenizer(question_first ? input.question : input.context, encoding);
}

}  // namespace

QuestionAnsweringPipeline::QuestionAnsweringPipeline(Tokenizer tokenizer, ORTModelForQuestionAnswering model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForQuestionAnswering>(std::move(model))) {}

std::vector<Answer> QuestionAnsweringPipeline::operator()(const QuestionAnsweringInput& input,
                                                          const QuestionAnsweringOptions& options) const {
  if (input.question.empty() || input.context.empty())
    throw Error(ErrorCode::usage, "question-answering wants a question and a context that are not empty");
  if (options.top_k < 1 || options.max_answer_len < 1)
    throw Error(ErrorCode::usage, "top_k and max_answer_len are at least 1");
  const bool question_first = tokenizer_.padding_side() == Side::right;
  const auto batch = encode(tokenizer_, input, options, question_first);
  const auto cls = tokenizer_.special_token_id("cls_token");
  // Aligning to words merges candidates.
  const auto wanted = static_cast<size_t>(options.align_to_words ? options.top_k * 2 + 10 : options.top_k);
  std::vector<Answer> answers;
  float null_score = 1e6f;
  for (size_t i = 0; i < batch.encodings.size(); ++i) {
    const Encoding& encoding = batch.encodings[i];
    const auto allowed = allowed_tokens(encoding, question_first, cls);
    const auto outputs = (*model_)(pipelines::single(batch, i));
    const HostTensor start_logits = outputs.start_logits.to_f32(), end_logits = outputs.end_logits.to_f32();
    auto start = probabilities(start_logits.as<float>(), allowed);
    auto end = probabilities(end_logits.as<float>(), allowed);
    null_score = std::min(null_score, start[0] * end[0]);
    start[0] = end[0] = 0;
    for (const auto& candidate :
         decode_spans(start, end, wanted, static_cast<size_t>(options.max_answer_len), allowed)) {
      const Offset at = answer_offsets(encoding, candidate, options.align_to_words, question_first ? 1 : 0);
      add_answer(answers, {std::string(pipelines::code_points(input.context, at.begin, at.end)),
                           candidate.score, at.begin, at.end});
    }
  }
  if (options.handle_impossible_answer) answers.push_back({"", null_score, 0, 0});
  std::stable_sort(answers.begin(), answers.end(),
                   [](const Answer& a, const Answer& b) { return a.score > b.score; });
  if (answers.size() > static_cast<size_t>(options.top_k)) answers.resize(static_cast<size_t>(options.top_k));
  return answers;
}

namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

Json to_json(const Answer& answer) {
  return {{"score", answer.score}, {"start", answer.start}, {"end", answer.end}, {"answer", answer.text}};
}

struct QuestionAnsweringRunner final : Pipeline::Runner {
  QuestionAnsweringRunner(Tokenizer tokenizer, ORTModelForQuestionAnswering model)
      : pipeline(std::move(tokenizer), std::move(model)) {}
  Json run(const Json& input, const Json& given) const override {
    QuestionAnsweringOptions options;
    OptionReader reader(task, given);
    reader.read("top_k", options.top_k);
    reader.read("doc_stride", options.doc_stride);
    reader.read("max_answer_len", options.max_answer_len);
    reader.read("max_seq_len", options.max_seq_len);
    reader.read("handle_impossible_answer", options.handle_impossible_answer);
    reader.read("align_to_words", options.align_to_words);
    reader.check();
    const auto answers =
        pipeline({string_member(task, input, "question"), string_member(task, input, "context")}, options);
    if (answers.size() == 1) return to_json(answers[0]);
    Json out = Json::array();
    for (const auto& answer : answers) out.push_back(to_json(answer));
    return out;
  }
  [[nodiscard]] const QuestionAnsweringPipeline* question_answering() const override { return &pipeline; }
  QuestionAnsweringPipeline pipeline;
};

}  // namespace

std::shared_ptr<Pipeline::Runner> pipelines::question_answering(std::string_view folder,
                                                                const LoadOptions& options) {
  return open_runner<QuestionAnsweringRunner, ORTModelForQuestionAnswering>(folder, options);
}

}  // namespace ferry
