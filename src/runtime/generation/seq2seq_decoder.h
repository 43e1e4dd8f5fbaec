#pragma once
// The decoder of a model with an encoder, in ONNX Runtime, as the search loops see it.
#include <map>
#include <string>
#include <vector>

#include "ort/session.h"
#include "runtime/generation/decoder.h"

namespace ferry::generation {

/// The graphs of a decoder: one that takes no cache, and one that takes it; or both in one, which
/// use_cache_branch chooses between. Without the second, each step computes all tokens again.
struct DecoderSessions {
  const ort::Session* decoder = nullptr;
  const ort::Session* with_past = nullptr;  ///< Or null.
  bool merged = false;                      ///< `decoder` is both.
};

/// Keeps the cache in ONNX Runtime's own tensors: what one step gives, the next one takes. Only reorder()
/// copies, and of the encoder's keys, values and results only where a row comes from another input.
class Seq2SeqDecoder final : public Decoder {
 public:
  /// `states` f32[B, E, size]: the encoder's results. `mask` i64[B, E], or no dims for a decoder that takes
  /// none. The sessions must outlive this.
  Seq2SeqDecoder(DecoderSessions sessions, HostTensor states, HostTensor mask);

  std::span<float> step(std::span<const int64_t> ids, size_t rows) override;
  void reorder(std::span<const size_t> rows) override;

 private:
  [[nodiscard]] bool caches() const { return sessions_.merged || sessions_.with_past != nullptr; }
  /// The tokens of the next run, [rows, n].
  HostTensor append(std::span<const int64_t> ids, size_t rows);
  [[nodiscard]] ort::OrtTensor made_input(const ort::ValueInfo& declared, size_t rows, bool uses_cache) const;
  [[nodiscard]] const ort::OrtTensor* kept_input(const std::string& name) const;
  void keep(const std::string& present, ort::OrtTensor value);
  std::span<float> last_logits(ort::OrtTensor logits, size_t rows);

  DecoderSessions sessions_;
  HostTensor states_memory_, mask_memory_;
  ort::OrtTensor states_, mask_;                 // In the dtypes that the graphs take; no mask: nothing.
  std::map<std::string, ort::OrtTensor> cache_;  // By the name of the input.
  std::vector<size_t> origins_;                  // Of each row: the row of the encoder's results.
  std::vector<std::vector<int64_t>> ids_;        // All of them, where there is no cache.
  ort::OrtTensor held_logits_;
  std::vector<float> logits_;
};

}  // namespace ferry::generation
