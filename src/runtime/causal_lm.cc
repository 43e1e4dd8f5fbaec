#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "ferry/generation.h"
#include "runtime/generation/causal_decoder.h"
#include "runtime/generation/inputs.h"
#include "runtime/generation/search.h"
#include "runtime/model_impl.h"

namespace ferry {
namespace {

HostTensor empty_past(const ort::ValueInfo& past, int64_t rows) {
  Dims declared;
  for (const auto& axis : past.axes) declared.push_back(axis.size);
  return runtime::empty_past(past.dtype, std::move(declared), rows);
}

bool takes(const ort::Session& session, const std::string& name) {
  const auto& inputs = session.inputs();
  return std::any_of(inputs.begin(), inputs.end(), [&](const auto& input) { return input.name == name; });
}

bool ends_padded(const generation::TokenInputs& inputs) {
  return std::any_of(inputs.mask.begin(), inputs.mask.end(), [](const auto& row) { return row.back() == 0; });
}

// Texts leave such tokens out, as transformers' do.
void warn_of_unknown_tokens(const GenerateOutput& output, const Tokenizer& tokenizer, const Log& log) {
  for (const auto& row : output.sequences) {
    for (const int64_t id : row) {
      if (tokenizer.id_to_token(static_cast<uint32_t>(id))) continue;
      return log.warning(fmt::format(
          "The model gave token {}, which the tokenizer does not have ({} tokens): do they belong "
          "together? Texts leave such tokens out.",
          id, tokenizer.vocab_size()));
    }
  }
}

std::optional<int64_t> vocabulary_of(const ort::Session& session, const std::string& config) {
  for (const auto& output : session.outputs()) {
    if (output.name == "logits" && output.axes.size() == 3 && output.axes[2].size > 0)
      return output.axes[2].size;
  }
  return generation::vocabulary_size(config);
}

}  // namespace

std::vector<uint32_t> GenerateOutput::tokens(size_t row) const {
  const auto& ids = sequences.at(row);
  return {ids.begin(), ids.end()};
}

std::vector<uint32_t> GenerateOutput::new_tokens(size_t row) const {
  const auto& ids = sequences.at(row);
  return {ids.begin() + static_cast<ptrdiff_t>(prompt_length), ids.end()};
}

void TextStreamer::operator()(std::span<const int64_t> tokens) {
  if (tokens.size() != 1) throw Error(ErrorCode::usage, "text is streamed for one sequence alone");
  if (const auto text = stream_.step(static_cast<uint32_t>(tokens[0]))) write_(*text);
}

ORTModelForCausalLM::ORTModelForCausalLM(std::string_view model, const LoadOptions& options)
    : ORTModel(model, options, "text-generation-with-past"),
      generation_config_(GenerationConfig::from_pretrained(folder(), options.log)) {}

ORTModelForCausalLM ORTModelForCausalLM::from_pretrained(std::string_view model, const LoadOptions& options) {
  return {model, options};
}

ORTModelForCausalLM::Output ORTModelForCausalLM::operator()(const ModelInputs& given) const {
  ModelInputs inputs = given;
  const auto ids = given.tensors().find("input_ids");
  const int64_t rows = ids == given.tensors().end() || ids->second.dims.empty() ? 1 : ids->second.dims[0];
  bool has_past = false;
  for (const auto& [name, tensor] : given.tensors()) {
    if (!starts_with(name, "past_key_values")) continue;
    has_past = true;
    if (!takes(impl_->session, name)) {
      throw Error(ErrorCode::not_found, fmt::format("the model does not take {}", printable(name)))
          .with_hint("the cache of another model?");
    }
  }
  for (const auto& declared : impl_->session.inputs()) {
    if (declared.name == "use_cache_branch") inputs.set(declared.name, HostTensor::boolean({1}, {has_past}));
    if (!has_past && starts_with(declared.name, "past_key_values"))
      inputs.set(declared.name, empty_past(declared, rows));
  }
  auto outputs = run(inputs);
  Output out;
  out.logits = runtime::take_output(outputs, "logits");
  outputs.erase("logits");
  out.present = std::move(outputs);
  return out;
}

GenerateOutput ORTModelForCausalLM::generate(const ModelInputs& inputs, const GenerationConfig& config,
                                             const GenerateOptions& options) const {
  const auto& session = impl_->session;
  auto tokens = generation::token_inputs(inputs, config, vocabulary_of(session, impl_->config));
  if (ends_padded(tokens)) {
    impl_->log.warning(
        "A decoder-only architecture is being used, but right-padding was detected! For correct generation "
        "results, please set padding_side to left.");
  }
  const auto plan = generation::make_plan(config, options, tokens.ids[0].size(), tokens.ids,
                                          generation::context_length(impl_->config));
  generation::CausalDecoder decoder(session, std::move(tokens.mask));
  auto output = generation::search(decoder, plan, tokens.ids);
  if (options.tokenizer != nullptr) warn_of_unknown_tokens(output, *options.tokenizer, impl_->log);
  return output;
}

}  // namespace ferry
