#pragma once
// The pipeline of tokenizer.json: added tokens, normalizer, pre-tokenizer, model, post-processor, decoder.
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tokenizers/added_vocabulary.h"
#include "tokenizers/decoders/decoder.h"
#include "tokenizers/encoding.h"
#include "tokenizers/models/model.h"
#include "tokenizers/normalizers/normalizer.h"
#include "tokenizers/pre_tokenizers/pre_tokenizer.h"
#include "tokenizers/processors/post_processor.h"

namespace ferry::tokenizers {

/// The parts as JSON, null where there is none; kept to be written back.
struct PipelineJson {
  std::string normalizer = "null";
  std::string pre_tokenizer = "null";
  std::string post_processor = "null";
  std::string decoder = "null";
};

/// A text, or one that is cut into words.
struct Input {
  std::string_view text;
  std::span<const std::string> words;
  bool is_words = false;
};

struct EngineOptions {
  bool add_special_tokens = true;
  std::optional<TruncationParameters> truncation;
};

class Engine {
 public:
  /// `what` names the file in errors. Errors: Error{invalid_config}, Error{unsupported}.
  Engine(std::unique_ptr<Model> model, const PipelineJson& pipeline, const std::vector<AddedToken>& added,
         std::string_view what);
  ~Engine();

  // While it is put together:
  void add_tokens(const std::vector<AddedToken>& tokens);
  void set_encode_special_tokens(bool value) { added_.set_encode_special_tokens(value); }
  void set_part(std::string PipelineJson::*part, std::string json, std::string_view what);

  [[nodiscard]] const PipelineJson& pipeline() const { return json_; }
  [[nodiscard]] const Model& model() const { return *model_; }
  [[nodiscard]] const AddedVocabulary& added() const { return added_; }

  /// Const and for many threads at once. Errors: as ferry::Tokenizer.
  [[nodiscard]] Encoding encode(const Input& first, const Input* second, const EngineOptions& options) const;
  [[nodiscard]] std::string decode(std::span<const uint32_t> ids, bool skip_special_tokens) const;
  [[nodiscard]] std::optional<uint32_t> token_to_id(std::string_view token) const;
  /// A view without data if there is none.
  [[nodiscard]] std::string_view id_to_token(uint32_t id) const { return names_->name(id); }
  /// Different tokens, added ones included.
  [[nodiscard]] size_t vocab_size() const;
  [[nodiscard]] size_t added_by_post_processor(bool is_pair) const;
  /// tokenizer.json.
  [[nodiscard]] std::string to_json() const;

 private:
  struct Scratch;
  class Lease;
  void build_part(std::string PipelineJson::*part, std::string_view what);
  void refresh();
  Encoding encode_sequence(const Input& input, uint32_t type_id) const;
  void encode_text(std::string_view text, uint32_t type_id, int32_t word, Scratch& scratch,
                   Encoding& out) const;
  void add_piece_tokens(const PreTokenized& text, size_t piece, Scratch& scratch, uint32_t type_id,
                        int32_t word, Encoding& out) const;

  PipelineJson json_;
  std::shared_ptr<Model> model_;
  AddedVocabulary added_;
  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::unique_ptr<PostProcessor> post_processor_;
  std::unique_ptr<Decoder> decoder_;
  std::shared_ptr<const TokenNames> names_;
  mutable std::mutex scratch_mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> scratches_;  // Those not in use.
};

}  // namespace ferry::tokenizers
