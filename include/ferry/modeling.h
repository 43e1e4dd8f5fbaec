#pragma once
// Exported models, ready to run: Optimum's ORTModelForXXX.
//
//   auto tokenizer = ferry::AutoTokenizer::from_pretrained("out/");
//   auto model = ferry::ORTModelForQuestionAnswering::from_pretrained("out/");
//   auto outputs = model(tokenizer("What am I using?", {.text_pair = "Using DistilBERT with ONNX
//   Runtime!"})); outputs.start_logits.as<float>();
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "ferry/tokenizer.h"
#include "tensor/host_tensor.h"

namespace ferry {

/// The inputs of a model by name: "input_ids" i64[B, S], "attention_mask" i64[B, S], ...
class ModelInputs {
 public:
  ModelInputs() = default;
  ModelInputs(std::map<std::string, HostTensor> tensors)
      : tensors_(std::move(tensors)) {}  // NOLINT: what it is made of.
  /// The tensors of a padded batch. Errors: Error{usage} if its encodings differ in length.
  ModelInputs(const BatchEncoding& encoding);  // NOLINT: model(tokenizer(...)) is how it is used.

  [[nodiscard]] const std::map<std::string, HostTensor>& tensors() const { return tensors_; }
  void set(const std::string& name, HostTensor tensor) { tensors_[name] = std::move(tensor); }

 private:
  std::map<std::string, HostTensor> tensors_;
};

struct LoadOptions {
  bool export_model =
      false;  ///< Export the checkpoint first (Python's export=True). Implied where there is no .onnx.
  std::string task = "";  ///< Of that export; "": the one of the class.
  std::string file_name;  ///< "": model.onnx, else the only .onnx file.
  std::string
      dtype;  ///< Which of a folder's precisions (MainExportOptions::dtypes): "q4"; "": the plain file.
  std::string subfolder;
  std::string revision;  ///< Of a hub id; "": main.
  std::filesystem::path cache_dir;
  std::string token;
  bool local_files_only = false;
  std::vector<std::string> providers;  ///< In order of preference; empty: CPUExecutionProvider.
  int intra_op_threads = 0;            ///< 0: one a core.
  int inter_op_threads = 0;
  bool spinning = true;               ///< Idle threads keep a core busy for quicker starts. Off for servers.
  std::filesystem::path onnxruntime;  ///< The library; empty: searched.
  /// Where huggingface_hub's variables are read: std::getenv in a program. Unset: nowhere.
  std::function<const char*(const char*)> environment;
  const Log* log = nullptr;
};

/// What all models share.
///
/// Inputs    those the graph declares. token_type_ids that are missing are zeros, position_ids count from 0.
/// Errors    Error{not_found}  an input that is missing, or that the graph does not have
///           Error{shape_mismatch}, Error{dtype_mismatch}  an input that is not as declared; both name it
///           Error{runtime}    ONNX Runtime failed
/// Threads   operator() is const and may be called from several threads at once
/// Lifetime  outputs own their memory and outlive the model
/// Source    optimum-onnx 0.1.0, optimum/onnxruntime/modeling.py
class ORTModel {
 public:
  ORTModel(ORTModel&&) noexcept;
  ORTModel& operator=(ORTModel&&) noexcept;
  ~ORTModel();

  /// Outputs by name.
  [[nodiscard]] std::map<std::string, HostTensor> run(const ModelInputs& inputs) const;

  [[nodiscard]] std::vector<std::string> input_names() const;
  [[nodiscard]] std::vector<std::string> output_names() const;
  /// config.json as text; "{}" if there is none.
  [[nodiscard]] const std::string& config_json() const;
  /// The names of the labels by their number, from id2label; "LABEL_<n>" where the configuration has none.
  [[nodiscard]] std::vector<std::string> labels(size_t count) const;
  /// The folder that the model was loaded from.
  [[nodiscard]] const std::filesystem::path& folder() const;

  /// Copies the model, its weights and configuration into `folder`, which is created. Errors: Error{io}.
  void save_pretrained(const std::filesystem::path& folder) const;

 protected:
  struct Impl;
  ORTModel(std::string_view model, const LoadOptions& options, std::string_view task);
  std::shared_ptr<const Impl> impl_;
};

/// Any graph: named tensors in, named tensors out.
class ORTModelForCustomTasks : public ORTModel {
 public:
  /// Opens a folder or a hub id. Errors: Error{not_found}, Error{network}, Error{invalid_config},
  /// Error{runtime}.
  static ORTModelForCustomTasks from_pretrained(std::string_view model, const LoadOptions& options = {});
  [[nodiscard]] std::map<std::string, HostTensor> operator()(const ModelInputs& inputs) const {
    return run(inputs);
  }

 private:
  using ORTModel::ORTModel;
};

/// last_hidden_state f32[B, S, H]; of a sentence-transformers export, sentence_embedding f32[B, D], too.
class ORTModelForFeatureExtraction : public ORTModel {
 public:
  struct Output {
    HostTensor last_hidden_state;  ///< Or token_embeddings.
    std::optional<HostTensor> sentence_embedding;
  };
  static ORTModelForFeatureExtraction from_pretrained(std::string_view model,
                                                      const LoadOptions& options = {});
  [[nodiscard]] Output operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// start_logits, end_logits f32[B, S]: unnormalized, padding not masked.
class ORTModelForQuestionAnswering : public ORTModel {
 public:
  struct Output {
    HostTensor start_logits, end_logits;
  };
  static ORTModelForQuestionAnswering from_pretrained(std::string_view model,
                                                      const LoadOptions& options = {});
  [[nodiscard]] Output operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// The result of the classes whose graphs give `logits` alone.
struct LogitsOutput {
  HostTensor logits;
};

/// logits f32[B, S, vocabulary]
class ORTModelForMaskedLM : public ORTModel {
 public:
  static ORTModelForMaskedLM from_pretrained(std::string_view model, const LoadOptions& options = {});
  [[nodiscard]] LogitsOutput operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// logits f32[B, labels]
class ORTModelForSequenceClassification : public ORTModel {
 public:
  static ORTModelForSequenceClassification from_pretrained(std::string_view model,
                                                           const LoadOptions& options = {});
  [[nodiscard]] LogitsOutput operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// logits f32[B, S, labels]
class ORTModelForTokenClassification : public ORTModel {
 public:
  static ORTModelForTokenClassification from_pretrained(std::string_view model,
                                                        const LoadOptions& options = {});
  [[nodiscard]] LogitsOutput operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// Inputs [B, choices, S]; logits f32[B, choices]
class ORTModelForMultipleChoice : public ORTModel {
 public:
  static ORTModelForMultipleChoice from_pretrained(std::string_view model, const LoadOptions& options = {});
  [[nodiscard]] LogitsOutput operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

}  // namespace ferry
