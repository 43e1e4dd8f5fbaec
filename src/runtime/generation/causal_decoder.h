#pragma once
// A decoder-only model in ONNX Runtime as the search loops see it.
#include <string>
#include <vector>

#include "ort/binding.h"
#include "ort/session.h"
#include "runtime/generation/decoder.h"
#include "runtime/generation/kv_cache.h"

namespace ferry::generation {

/// The logits that a graph writes, and the last token's of them in f32.
class LogitsBuffer {
 public:
  /// Binds `name` for a run over [rows, tokens]; its last axis must be known. Errors: Error{unsupported}.
  void bind(ort::Binding& binding, const ort::Session& session, size_t rows, size_t tokens);
  /// After that run.
  std::span<float> last();

 private:
  Buffer memory_;
  std::vector<float> last_;
  std::span<std::byte> bytes_;
  DType dtype_ = DType::undefined;
  size_t rows_ = 0, tokens_ = 0, vocabulary_ = 0;
};

/// An integer input that a graph may or may not have.
class IntegerInput {
 public:
  IntegerInput(const ort::Session& session, std::string name);
  [[nodiscard]] bool exists() const { return dtype_ != DType::undefined; }
  /// Errors: Error{dtype_mismatch} if the graph's input is neither i64 nor i32.
  void bind(ort::Binding& binding, Dims dims, std::vector<int64_t> values);

 private:
  const ort::Runtime& runtime_;
  std::string name_;
  DType dtype_ = DType::undefined;
  HostTensor tensor_;
};

class CausalDecoder final : public Decoder {
 public:
  /// `mask`: a row for each row of the prompt, 1 = attend, 0 = padding. The session must outlive this.
  CausalDecoder(const ort::Session& session, std::vector<std::vector<int64_t>> mask);

  std::span<float> step(std::span<const int64_t> ids, size_t rows) override;
  void reorder(std::span<const size_t> rows) override;

 private:
  // One run over the same number of tokens in each row.
  std::span<float> run(std::span<const int64_t> ids, size_t rows);
  // What each row's next run begins with: all its tokens where there is no cache.
  void append(std::span<const int64_t> ids, size_t rows);

  const ort::Session& session_;
  bool one_row_;  // Several new tokens on a past in one row alone.
  ort::Binding binding_;
  KvCache cache_;
  LogitsBuffer logits_;
  IntegerInput input_ids_, attention_mask_, position_ids_;
  HostTensor use_cache_branch_;
  std::vector<std::vector<int64_t>> ids_, mask_, positions_;
  size_t length_ = 0;
};

}  // namespace ferry::generation
