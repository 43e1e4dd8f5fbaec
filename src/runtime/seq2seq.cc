#include "ferry/seq2seq.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "runtime/generation/inputs.h"
#include "runtime/generation/search.h"
#include "runtime/generation/seq2seq_decoder.h"
#include "runtime/model_impl.h"

namespace ferry {
namespace fs = std::filesystem;

struct ORTModelForConditionalGeneration::Impl {
  runtime::ModelFolder folder;
  std::string config;
  GenerationConfig generation;
  ort::Runtime runtime;
  ort::Session encoder;
  std::optional<ort::Session> decoder, with_past;
  bool merged = false;
};

namespace {

// The encoder's results and its mask, by what its graph takes of the inputs.
std::pair<HostTensor, HostTensor> encode(const ort::Session& encoder, const ModelInputs& inputs) {
  std::vector<ort::NamedTensor> feeds;
  for (const auto& declared : encoder.inputs()) {
    const auto found = inputs.tensors().find(declared.name);
    if (found == inputs.tensors().end())
      throw Error(ErrorCode::not_found, fmt::format("the input \"{}\" is missing", printable(declared.name)));
    feeds.emplace_back(declared.name, runtime::in_dtype(found->second, declared.dtype));
  }
  auto results = encoder.run(feeds);
  const auto& outputs = encoder.outputs();
  for (size_t i = 0; i < results.size(); ++i) {
    if (outputs[i].name != "last_hidden_state" || results[i].dims.size() != 3) continue;
    const auto mask = inputs.tensors().find("attention_mask");
    return {std::move(results[i]), mask == inputs.tensors().end() ? HostTensor() : mask->second};
  }
  throw Error(ErrorCode::unsupported, "the encoder gives no \"last_hidden_state\" [batch, tokens, size]");
}

ModelInputs text_inputs(const ModelInputs& given) {
  ModelInputs out = given;
  const auto& tensors = given.tensors();
  const auto ids = tensors.find("input_ids");
  if (ids != tensors.end() && tensors.count("attention_mask") == 0)
    out.set("attention_mask",
            HostTensor::i64(ids->second.dims, std::vector<int64_t>(ids->second.count(), 1)));
  return out;
}

// Each row of the decoder's text begins with these.
generation::Rows decoder_prompt(const ModelInputs& inputs, const GenerationConfig& config, size_t rows) {
  const auto given = inputs.tensors().find("decoder_input_ids");
  if (given != inputs.tensors().end()) {
    ModelInputs prompt;
    prompt.set("input_ids", given->second);
    return generation::token_inputs(prompt, {}, std::nullopt).ids;
  }
  const auto start = config.decoder_start_token_id ? config.decoder_start_token_id : config.bos_token_id;
  if (!start) {
    throw Error(ErrorCode::usage,
                "neither decoder_start_token_id nor bos_token_id says what a text begins with")
        .with_hint("generation_config.json or the caller's configuration can name it");
  }
  return generation::Rows(rows, {*start});
}

}  // namespace

ORTModelForConditionalGeneration::ORTModelForConditionalGeneration(std::string_view model,
                                                                   const LoadOptions& options,
                                                                   std::string_view task) {
  auto folder = runtime::open_model_folder(std::string(model), options, task);
  auto runtime = runtime::open_runtime(options);
  const auto session = [&](const fs::path& file) {
    return ort::Session(runtime, file, runtime::session_options(options, runtime));
  };
  auto config = runtime::read_config(folder.path);
  auto generation = GenerationConfig::from_pretrained(folder.path, options.log);
  Impl impl{folder, std::move(config), std::move(generation), runtime, session(folder.model), {}, {}, false};
  if (const fs::path merged = folder.beside("decoder_model_merged.onnx"); ferry::is_regular_file(merged)) {
    impl.decoder.emplace(session(merged));
    impl.merged = true;
  } else if (const fs::path decoder = folder.beside("decoder_model.onnx"); ferry::is_regular_file(decoder)) {
    impl.decoder.emplace(session(decoder));
    const fs::path with_past = folder.beside("decoder_with_past_model.onnx");
    if (ferry::is_regular_file(with_past)) impl.with_past.emplace(session(with_past));
  } else {
    throw Error(ErrorCode::not_found,
                fmt::format("{} holds neither decoder_model_merged.onnx nor decoder_model.onnx",
                            printable(folder.model.parent_path().string())));
  }
  impl_ = std::make_shared<const Impl>(std::move(impl));
}

GenerateOutput ORTModelForConditionalGeneration::generate(const ModelInputs& given,
                                                          const GenerationConfig& config,
                                                          const GenerateOptions& options) const {
  const ModelInputs inputs = text_inputs(given);
  generation::Rows read;
  if (inputs.tensors().count("input_ids") > 0) {
    ModelInputs text;
    for (const char* name : {"input_ids", "attention_mask"}) text.set(name, inputs.tensors().at(name));
    read = generation::token_inputs(text, config, std::nullopt).ids;
  }
  auto [states, mask] = encode(impl_->encoder, inputs);
  const auto prompt = decoder_prompt(inputs, config, static_cast<size_t>(states.dims[0]));
  const auto plan = generation::make_plan(config, options, prompt[0].size(), read.empty() ? prompt : read,
                                          generation::context_length(impl_->config));
  generation::DecoderSessions sessions{&*impl_->decoder, impl_->with_past ? &*impl_->with_past : nullptr,
                                       impl_->merged};
  generation::Seq2SeqDecoder decoder(sessions, std::move(states), std::move(mask));
  return generation::search(decoder, plan, prompt);
}

const GenerationConfig& ORTModelForConditionalGeneration::generation_config() const {
  return impl_->generation;
}
const std::string& ORTModelForConditionalGeneration::config_json() const {
  return impl_->config;
}
const fs::path& ORTModelForConditionalGeneration::folder() const {
  return impl_->folder.path;
}

}  // namespace ferry
