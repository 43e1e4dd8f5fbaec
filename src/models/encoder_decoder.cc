// Composites: the body of one architecture as the encoder, the language model of another as the decoder.
// Sources: transformers 4.57.6, models/encoder_decoder/modeling_encoder_decoder.py,
// models/vision_encoder_decoder/modeling_vision_encoder_decoder.py; optimum-onnx 0.1.0,
// exporters/onnx/config.py EncoderDecoderBaseOnnxConfig. Axes: B batch, E tokens of the encoder, S new
// tokens.
#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "models/registry.h"
#include "models/seq2seq.h"
#include "nn/composite.h"

namespace ferry::models {
using namespace nn;

namespace {

using Known = std::shared_ptr<const Registry>;

/// In what the two composites differ.
struct Form {
  const char* model_type;
  const char* hf_class;
  const char* task;
  const char* main_input;
  bool ties_sides;  ///< Whether transformers can give the encoder the decoder's weights.
};

struct Side {
  const Architecture* architecture = nullptr;
  AnyConfig config;
};

std::vector<std::string> known_sides(const Registry& known, const Form& form, bool encoders) {
  std::vector<std::string> out;
  for (const auto& type : known.model_types()) {
    const Architecture& one = known.get(type);
    const bool fits = encoders ? one.encoder_side && one.encoder_side->main_input == form.main_input
                               : one.decoder_side != nullptr;
    if (fits) out.push_back(type);
  }
  return out;
}

const Architecture& find_side(const Registry& known, const Form& form, const ConfigReader& r,
                              const char* name, const std::string& type) {
  const auto types = known_sides(known, form, name == std::string_view("encoder"));
  if (std::find(types.begin(), types.end(), type) != types.end()) return known.get(type);
  throw Error(ErrorCode::unsupported,
              fmt::format("{}: {}s of type \"{}\" are not built in a model of type {}", r.origin(), name,
                          printable(type), form.model_type))
      .with_hint("these are: " + join(types, ", ", 100));
}

// What the encoder takes of its body's inputs, by the names of a model with a decoder.
std::vector<InputSpec> encoder_inputs(const Side& encoder) {
  const TaskEntry* task = encoder.architecture->find_task("feature-extraction");
  check_internal(task != nullptr, "an encoder without its task");
  std::vector<InputSpec> inputs = task->parts.front().inputs(encoder.config);
  std::erase_if(inputs, [&](const InputSpec& input) {
    return input.name != encoder.architecture->encoder_side->main_input && input.name != "attention_mask";
  });
  for (auto& input : inputs) {
    for (auto& axis : input.axes) {
      if (axis == Axis("sequence_length")) axis = "encoder_sequence_length";
    }
    if (auto most = input.most.extract("sequence_length")) {
      most.key() = "encoder_sequence_length";
      input.most.insert(std::move(most));
    }
  }
  return inputs;
}

struct CompositeConfig {
  CompositeConfig(ConfigReader& r, const Form& form, const Known& registry) : known(registry) {
    std::optional<int64_t> cross_attention_hidden_size;
    encoder = read_side(r, form, "encoder", cross_attention_hidden_size);
    cross_attention_hidden_size.reset();
    decoder = read_side(r, form, "decoder", cross_attention_hidden_size);
    signature = decoder.architecture->decoder_side->signature(decoder.config);
    states_size = signature.encoder_size;
    signature.encoder_size = encoder.architecture->encoder_side->size(encoder.config);
    signature.encoder = encoder_inputs(encoder);
    if (cross_attention_hidden_size && states_size != signature.encoder_size) {
      throw Error(
          ErrorCode::invalid_config,
          fmt::format("{}: \"cross_attention_hidden_size\" of the decoder is {}, its keys are made of states "
                      "of {}, the encoder's have {}",
                      r.origin(), *cross_attention_hidden_size, states_size, signature.encoder_size));
    }
    read_tie(r, form);
    // Each side ties its own; the size repeats the decoder's.
    for (const char* key : {"tie_word_embeddings", "vocab_size"}) r.ignore(key);
  }

  Known known;  ///< Has the architectures.
  Side encoder, decoder;
  Seq2SeqSignature signature;
  int64_t states_size = 0;  ///< Of what the decoder makes keys of.
  bool tied = false;        ///< The encoder has the decoder's weights.

 private:
  [[nodiscard]] Side read_side(ConfigReader& r, const Form& form, const char* name,
                               std::optional<int64_t>& cross_attention_hidden_size) const {
    auto nested = r.object(name);
    if (!nested) r.fail(name, "the configuration of that side");
    std::string type;
    nested->read("model_type", type);
    nested->read("cross_attention_hidden_size", cross_attention_hidden_size, 1);
    const Architecture& architecture = find_side(*known, form, r, name, type);
    Side side{&architecture, architecture.read_config(*nested)};
    r.adopt_unknown(name, *nested);
    return side;
  }
  void read_tie(ConfigReader& r, const Form& form) {
    const char* key = "tie_encoder_decoder";
    r.read(key, tied);
    if (tied && (!form.ties_sides || encoder.architecture != decoder.architecture))
      r.fail(key, "false: the sides are of two types");
  }
};

// What a checkpoint of one side may hold beside what the composite uses: its other heads.
void ignore_heads(const Scope& place, const Architecture& architecture, bool body) {
  const std::string prefix = architecture.base_model_prefix + ".";
  for (const std::string& name : architecture.may_be_unused) {
    if (starts_with(name, "*")) continue;
    if (!body) place.ignore(name);
    if (body && starts_with(name, prefix)) place.ignore(name.substr(prefix.size()));
  }
}

struct CompositeModel : Module<CompositeConfig> {
  using Module::Module;

  [[nodiscard]] Tensor encode(const Inputs& in) const {  // -> [B, E, size]
    const Architecture& type = *c.encoder.architecture;
    const Scope place = c.tied ? at("decoder") / type.base_model_prefix : at("encoder");
    ignore_heads(place, type, true);
    if (c.tied) scope.ignore("encoder");
    return type.encoder_side->states(place, c.encoder.config, in);
  }
  [[nodiscard]] Tensor decode(Decoding& run) const {  // -> [B, S, vocab]
    if (c.signature.encoder_size != c.states_size) {
      const Linear project(at("enc_to_dec_proj"), c.signature.encoder_size, c.states_size);
      run.project_encoder([&](const Tensor& states) { return project(states); });
    }
    const Architecture& type = *c.decoder.architecture;
    ignore_heads(at("decoder"), type, false);
    return type.decoder_side->logits(at("decoder"), c.decoder.config, run);
  }
};

Architecture composite(const Form& form, const Known& known) {
  Architecture made{.model_type = form.model_type, .base_model_prefix = ""};
  made.read_config = [form, known](ConfigReader& r) -> AnyConfig {
    return std::make_shared<const CompositeConfig>(r, form, known);
  };
  const std::function<Seq2SeqSignature(const CompositeConfig&)> signature = [](const CompositeConfig& c) {
    return c.signature;
  };
  for (const std::string past : {"", "-with-past"}) {
    made.tasks.push_back(
        seq2seq_task(form.task + past, form.hf_class, seq2seq_model<CompositeModel>(signature, "logits")));
  }
  // Buffers of either side, wherever they lie.
  for (const auto& type : known->model_types()) {
    for (const auto& name : known->get(type).may_be_unused) {
      if (starts_with(name, "*")) made.may_be_unused.push_back(name);
    }
  }
  return made;
}

}  // namespace

Architecture encoder_decoder::arch(const Known& known) {
  return composite({"encoder-decoder", "EncoderDecoderModel", "text2text-generation", "input_ids", true},
                   known);
}

Architecture vision_encoder_decoder::arch(const Known& known) {
  return composite(
      {"vision-encoder-decoder", "VisionEncoderDecoderModel", "image-to-text", "pixel_values", false}, known);
}

}  // namespace ferry::models
