#include "nn/composite.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "nn/task.h"

namespace ferry::nn {
namespace {

constexpr const char* kEncoderLength = "encoder_sequence_length";
constexpr const char* kLength = "decoder_sequence_length";

bool has_mask(const Seq2SeqSignature& signature) {
  return std::any_of(signature.encoder.begin(), signature.encoder.end(),
                     [](const InputSpec& input) { return input.name == "attention_mask"; });
}

// The axis of the cache. Where the encoder's tokens are not in it, Optimum names it as a decoder alone does.
std::string past_axis(Cache cache) {
  return cache == Cache::tokens_and_encoder ? "past_decoder_sequence_length" : "past_sequence_length";
}

std::map<std::string, int64_t> most_sizes(const Seq2SeqSignature& signature, bool past) {
  std::map<std::string, int64_t> most;
  if (signature.max_encoder_length > 0) most[kEncoderLength] = signature.max_encoder_length;
  if (signature.max_length > 0) {
    const int64_t share = past ? std::max<int64_t>(1, signature.max_length / 2) : signature.max_length;
    most[kLength] = most[past_axis(signature.cache)] = share;
  }
  return most;
}

InputSpec decoder_ids(const Seq2SeqSignature& signature, const char* name, bool past) {
  return {name,
          DType::i64,
          {"batch_size", kLength},
          {Fill::Kind::ids, 0, static_cast<double>(signature.vocab_size)},
          most_sizes(signature, past)};
}

// Of decoder_model.onnx or, with the cache, decoder_with_past_model.onnx. The order is that of forward().
std::vector<InputSpec> decoder_part_inputs(const Seq2SeqSignature& signature, bool past) {
  const auto most = most_sizes(signature, past);
  std::vector<InputSpec> out;
  if (has_mask(signature))
    out.push_back(
        {"encoder_attention_mask", DType::i64, {"batch_size", kEncoderLength}, {Fill::Kind::mask}, most});
  out.push_back(decoder_ids(signature, "input_ids", past));
  const bool both = signature.cache == Cache::tokens_and_encoder;
  if (!past || !both) {
    out.push_back({"encoder_hidden_states",
                   DType::f32,
                   {"batch_size", kEncoderLength, signature.encoder_size},
                   {Fill::Kind::uniform, -1, 1},
                   most});
  }
  for (int64_t layer = 0; past && layer < signature.layers; ++layer) {
    const auto add = [&](const char* which, const std::string& length) {
      out.push_back({fmt::format("past_key_values.{}.{}", layer, which),
                     DType::f32,
                     {"batch_size", signature.heads, length, signature.head_dim},
                     {Fill::Kind::uniform, -1, 1},
                     most});
    };
    for (const char* which : {"decoder.key", "decoder.value"})
      add(both ? which : which + 8, past_axis(signature.cache));
    if (!both) continue;
    for (const char* which : {"encoder.key", "encoder.value"}) add(which, kEncoderLength);
  }
  return out;
}

// Optimum's names: every cache is a past and what is new, a step with a cache is one token.
OutputAxes decoder_axes(const Seq2SeqModel& model, const Seq2SeqSignature& signature, bool past) {
  const bool both = signature.cache == Cache::tokens_and_encoder;
  const std::string length = both ? "past_decoder_sequence_length + decoder_sequence_length"
                                  : "past_sequence_length + sequence_length";
  OutputAxes axes;
  for (int64_t layer = 0; layer < signature.layers; ++layer) {
    for (const char* which : {"key", "value"})
      axes[fmt::format("present.{}.{}{}", layer, both ? "decoder." : "", which)] = {{2, length}};
  }
  if (past) axes[model.result] = {{1, "1"}};
  return axes;
}

ModelPart encoder_part(const Seq2SeqModel& model) {
  return {"encoder_model.onnx", [=](const AnyConfig& c) { return model.signature(c).encoder; },
          [=](const Scope& root, const AnyConfig& c, const Inputs& in) -> Outputs {
            return {{"last_hidden_state", model.encode(root, c, in)}};
          }};
}

ModelPart decoder_part(const Seq2SeqModel& model, const std::string& task, bool past) {
  return {past ? "decoder_with_past_model.onnx" : "decoder_model.onnx",
          [=](const AnyConfig& c) { return decoder_part_inputs(model.signature(c), past); },
          [=](const Scope& root, const AnyConfig& c, const Inputs& in) {
            Decoding run(in, model.signature(c).cache);
            const Tensor result = model.decode(root, c, run);
            return outputs_of_task(task, run.outputs(model.result, result));
          },
          [=](const AnyConfig& c) { return decoder_axes(model, model.signature(c), past); }};
}

ModelPart whole(const Seq2SeqModel& model) {
  const auto inputs = [=](const AnyConfig& c) {
    const Seq2SeqSignature signature = model.signature(c);
    std::vector<InputSpec> out = signature.encoder;
    out.push_back(decoder_ids(signature, "decoder_input_ids", false));
    return out;
  };
  const auto forward = [=](const Scope& root, const AnyConfig& c, const Inputs& in) -> Outputs {
    const Tensor encoded = model.encode(root, c, in);
    Inputs decoder;
    decoder.add("input_ids", in["decoder_input_ids"]);
    decoder.add("encoder_hidden_states", encoded);
    if (const Tensor mask = in.find("attention_mask")) decoder.add("encoder_attention_mask", mask);
    const Seq2SeqSignature signature = model.signature(c);
    Decoding run(decoder, signature.cache);
    Outputs out = {{model.result, model.decode(root, c, run)}};
    if (signature.encoder_last_hidden_state) out.emplace_back("encoder_last_hidden_state", encoded);
    return out;
  };
  return {"model.onnx", inputs, forward};
}

}  // namespace

void require_cross_attention(bool has_it, const char* keys) {
  if (has_it) return;
  throw Error(ErrorCode::invalid_config,
              fmt::format("the decoder attends to no encoder: its configuration says no to {}", keys));
}

std::vector<InputSpec> encoder_text_inputs(int64_t vocab_size, int64_t max_length) {
  std::map<std::string, int64_t> most;
  if (max_length > 0) most[kEncoderLength] = max_length;
  const auto input = [&](const char* name, Fill fill) {
    return InputSpec{name, DType::i64, {"batch_size", kEncoderLength}, fill, most};
  };
  return {input("input_ids", {Fill::Kind::ids, 0, static_cast<double>(vocab_size)}),
          input("attention_mask", {Fill::Kind::mask})};
}

TaskEntry seq2seq_task(std::string task, std::string hf_class, const Seq2SeqModel& model) {
  TaskEntry entry{task, std::move(hf_class), {}};
  const bool past = ends_with(task, kWithPast);
  if (task == "feature-extraction") {
    entry.parts = {whole(model)};
  } else {
    entry.parts = {encoder_part(model), decoder_part(model, task, false)};
    if (past) {
      entry.parts.push_back(decoder_part(model, task, true));
    } else {
      entry.monolith = whole(model);
    }
    entry.merges_decoders = past;
    entry.unavailable = [past, model](const AnyConfig& c) -> std::optional<std::string> {
      if (!past || model.signature(c).cache != Cache::none) return std::nullopt;
      return "its decoder does not need past key values";
    };
  }
  return entry;
}

}  // namespace ferry::nn
