#pragma once
// What an architecture registers: its model type, how its configuration is read, its tasks with their heads,
// and the signature of each file that a task exports to.
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"
#include "nn/config.h"
#include "nn/module.h"

namespace ferry::nn {

/// How example values for an input are made, for validation.
struct Fill {
  enum class Kind {
    ids,      ///< Whole numbers in [low, high); `marker` once in each row, if there is one.
    mask,     ///< 1 ... 1 0 ... 0: padding at the end of a row, of another length in each row.
    uniform,  ///< Numbers in [low, high).
    zeros,
  } kind = Kind::zeros;
  double low = 0, high = 1;
  std::optional<int64_t> marker = std::nullopt;
};

/// One axis of an input: a name that stays symbolic, a sum of such ("past_sequence_length +
/// sequence_length"), or a fixed size.
using Axis = std::variant<std::string, int64_t>;

struct InputSpec {
  std::string name;
  DType dtype = DType::i64;
  std::vector<Axis> axes;
  Fill fill;
  /// The largest size of a named axis that the model takes: {"sequence_length", 512}.
  std::map<std::string, int64_t> most = {};
  /// The smallest. Where both are one, the graph is built for that size, and only the file shows the name.
  std::map<std::string, int64_t> least = {};
  /// The size that examples have whatever the shape flags say: that of the images it was trained on.
  std::map<std::string, int64_t> usual = {};
  /// The shape flag that says the size of an axis, if it has not the axis's name: {"sequence_length",
  /// "audio_sequence_length"}.
  std::map<std::string, std::string> flags = {};

  /// The one size that the model takes for this axis, if there is one.
  [[nodiscard]] std::optional<int64_t> only_size(const std::string& axis) const;
};

/// The inputs of a graph, by Optimum's names.
class Inputs {
 public:
  void add(std::string name, Tensor tensor) { tensors_.emplace_back(std::move(name), tensor); }
  void set(std::string_view name, Tensor tensor);
  /// Errors: Error{internal} if there is no such input.
  [[nodiscard]] const Tensor& operator[](std::string_view name) const;
  /// The input, or an empty tensor.
  [[nodiscard]] Tensor find(std::string_view name) const;
  [[nodiscard]] const std::vector<std::pair<std::string, Tensor>>& all() const { return tensors_; }

 private:
  std::vector<std::pair<std::string, Tensor>> tensors_;
};

/// The results of a graph, by Optimum's names, in order.
using Outputs = std::vector<std::pair<std::string, Tensor>>;
/// Names that Optimum gives to axes of outputs where they are not what the graph says: {"logits", {{1,
/// "num_labels"}}}.
using OutputAxes = std::map<std::string, std::map<size_t, std::string>, std::less<>>;

/// A configuration that was read, type-erased: definitions are templates over their own struct.
using AnyConfig = std::shared_ptr<const void>;

/// One file that a task exports to.
struct ModelPart {
  std::string file;  ///< "model.onnx"
  std::function<std::vector<InputSpec>(const AnyConfig&)> inputs;
  std::function<Outputs(const Scope& root, const AnyConfig&, const Inputs&)> forward;
  std::function<OutputAxes(const AnyConfig&)> output_axes = {};
};

/// The file of the merged decoders.
inline constexpr const char* kMergedDecoder = "decoder_model_merged.onnx";

struct TaskEntry {
  std::string task;      ///< Canonical, with -with-past where it applies.
  std::string hf_class;  ///< transformers' class: "BertForQuestionAnswering".
  std::vector<ModelPart> parts;
  /// The one file that takes the place of several with --monolith.
  std::optional<ModelPart> monolith = std::nullopt;
  /// Whether the last two parts, a decoder without and one with a cache, are also written as one file.
  bool merges_decoders = false;
  /// Why a model of the architecture has no such task, if it has none: a decoder without a cache.
  std::function<std::optional<std::string>(const AnyConfig&)> unavailable = {};
};

struct EncoderSide;  // nn/composite.h
struct DecoderSide;

struct Architecture {
  std::string model_type;
  /// Where the body of a model with a head lies ("bert"): a checkpoint of the body alone lacks it.
  std::string base_model_prefix;
  std::vector<TaskEntry> tasks;
  std::function<AnyConfig(ConfigReader&)> read_config;
  /// Checkpoint names (prefixes ending in "." or whole names) that are fine to be left over: the other tasks'
  /// heads.
  std::vector<std::string> may_be_unused;
  /// The body as the encoder of a composite, and the language model as the decoder of one; null where
  /// transformers has no such.
  std::shared_ptr<const EncoderSide> encoder_side = nullptr;
  std::shared_ptr<const DecoderSide> decoder_side = nullptr;

  [[nodiscard]] const TaskEntry* find_task(std::string_view canonical) const;
  [[nodiscard]] std::vector<std::string> task_names() const;
};

/// What the inputs of a decoder-only model depend on.
struct DecoderSignature {
  int64_t vocab_size = 0;
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t max_length = 0;    ///< The longest text, cache included; 0: any.
  bool position_ids = true;  ///< Whether there is such an input.
  /// The input that past_key_values.N.key and .value follow: the order is that of the model's forward().
  std::string_view cache_after = "position_ids";
};
/// input_ids, attention_mask and, where the task takes them, position_ids and the cache.
std::vector<InputSpec> decoder_inputs(const DecoderSignature& signature, std::string_view task);
/// Of its cache, which is a past and what is new even where no past goes in (feature-extraction-with-past).
OutputAxes decoder_output_axes(const DecoderSignature& signature);

/// A model's results without its cache, unless the task keeps one ("-with-past").
Outputs outputs_of_task(std::string_view task, Outputs outputs);

/// The sizes that an axis adds up: {"past_sequence_length", "sequence_length"}.
std::vector<std::string> axis_terms(const std::string& axis);

/// Fluent construction of an Architecture over a configuration struct `C` that has `explicit
/// C(ConfigReader&)`.
template <typename C>
class ArchBuilder {
 public:
  explicit ArchBuilder(std::string model_type) {
    made_.model_type = std::move(model_type);
    made_.read_config = [](ConfigReader& reader) -> AnyConfig { return std::make_shared<const C>(reader); };
  }
  ArchBuilder& prefix(std::string name) {
    made_.base_model_prefix = std::move(name);
    return *this;
  }
  ArchBuilder& may_be_unused(std::vector<std::string> names) {
    made_.may_be_unused = std::move(names);
    return *this;
  }
  /// The inputs of the tasks that follow.
  ArchBuilder& inputs(std::function<std::vector<InputSpec>(const C&)> inputs) {
    inputs_ = [inputs = std::move(inputs)](const C& c, std::string_view) { return inputs(c); };
    return *this;
  }
  /// The same for a decoder: what the inputs are depends on the task as well.
  ArchBuilder& decoder(std::function<DecoderSignature(const C&)> signature) {
    output_axes([signature](const C& c) { return decoder_output_axes(signature(c)); });
    inputs_ = [signature = std::move(signature)](const C& c, std::string_view task) {
      return decoder_inputs(signature(c), task);
    };
    return *this;
  }
  /// Axes of the outputs of the tasks that follow.
  ArchBuilder& output_axes(OutputAxes axes) {
    output_axes_ = [axes = std::move(axes)](const AnyConfig&) { return axes; };
    return *this;
  }
  /// The same where the configuration decides.
  ArchBuilder& output_axes(std::function<OutputAxes(const C&)> axes) {
    output_axes_ = [axes = std::move(axes)](const AnyConfig& config) {
      return axes(*static_cast<const C*>(config.get()));
    };
    return *this;
  }
  /// A task of one file, model.onnx, whose graph is Model(scope, config)(inputs) with the scope at the root.
  template <typename Model>
  ArchBuilder& task(std::string name, std::string hf_class) {
    return add_task<Model>(std::move(name), std::move(hf_class), "");
  }
  /// The same for the body alone, which lies at the base model prefix.
  template <typename Model>
  ArchBuilder& body(std::string name, std::string hf_class) {
    return add_task<Model>(std::move(name), std::move(hf_class), made_.base_model_prefix);
  }
  /// A decoder's body and language model, each with and without a cache.
  template <typename Body, typename CausalLM>
  ArchBuilder& generation(const std::string& body_class, const std::string& lm_class) {
    for (const std::string past : {"", "-with-past"}) {
      body<Body>("feature-extraction" + past, body_class);
      task<CausalLM>("text-generation" + past, lm_class);
    }
    return *this;
  }
  /// Composites may take it for their encoder: encoder_side<Body>() of nn/composite.h.
  ArchBuilder& encodes(std::shared_ptr<const EncoderSide> side) {
    made_.encoder_side = std::move(side);
    return *this;
  }
  /// Composites may take it for their decoder: decoder_side<LanguageModel>().
  ArchBuilder& decodes(std::shared_ptr<const DecoderSide> side) {
    made_.decoder_side = std::move(side);
    return *this;
  }
  /// A task that is made of more than one graph (nn/seq2seq.h).
  ArchBuilder& add(TaskEntry entry) {
    made_.tasks.push_back(std::move(entry));
    return *this;
  }
  operator Architecture() const { return made_; }  // NOLINT(google-explicit-constructor): the row itself.

 private:
  template <typename Model>
  ArchBuilder& add_task(std::string name, std::string hf_class, const std::string& place) {
    const auto typed_inputs = [inputs = inputs_, name](const AnyConfig& config) {
      return inputs(*static_cast<const C*>(config.get()), name);
    };
    const auto forward = [place, name](const Scope& root, const AnyConfig& config,
                                       const Inputs& in) -> Outputs {
      const Model model(place.empty() ? root : root / place, *static_cast<const C*>(config.get()));
      return outputs_of_task(name, model(in));
    };
    ModelPart part{"model.onnx", typed_inputs, forward, output_axes_};
    made_.tasks.push_back({std::move(name), std::move(hf_class), {std::move(part)}});
    return *this;
  }
  Architecture made_;
  std::function<std::vector<InputSpec>(const C&, std::string_view task)> inputs_;
  std::function<OutputAxes(const AnyConfig&)> output_axes_;
};

/// What the inputs of a text encoder depend on.
struct TextInputOptions {
  int64_t vocab_size = 0;
  std::optional<int64_t> type_vocab_size;  ///< Nothing: the model takes no token_type_ids.
  int64_t max_length = 0;                  ///< The longest sequence; 0: any.
  bool choices = false;                    ///< [batch_size, num_choices, sequence_length]
};
/// input_ids, attention_mask and, if asked for, token_type_ids over [batch_size, sequence_length].
std::vector<InputSpec> text_inputs(const TextInputOptions& options);

/// [batch_size, num_choices, ...] -> [batch_size * num_choices, ...] for every input of rank 3.
Inputs flatten_choices(const Inputs& in);
/// logits [batch_size * num_choices, 1] -> [batch_size, num_choices]
Tensor unflatten_choices(const Tensor& logits, const Inputs& in);

/// logits [B, S, 2] -> start_logits, end_logits [B, S] of a question answering head.
Outputs span_logits(const Tensor& logits);

/// Checkpoint names as definitions ask for them: LayerNorm.gamma/beta become weight/bias, and a checkpoint of
/// the body alone gains the base model prefix. Decided from the set of names, before anything is built.
StateDict canonical_names(const StateDict& state, const Architecture& architecture);

/// What to do about tensors that no module asked for: those inside the body would change the numbers, and
/// throw Error{unused_tensor} (all of them in one message); those known to belong to other heads are fine;
/// the rest is a warning.
void check_unused(const Build& build, const Architecture& architecture, const Log& log);

}  // namespace ferry::nn
