#pragma once
// The decoder of a model with an encoder, in ONNX Runtime, as the search loops see it.
#include <map>
#include <optional>
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

class Seq2SeqDecoder final : public Decoder {
 public:
  /// `states` f32[B, E, size]: the encoder's results. `mask` i64[B, E], or no dims for a decoder that takes
  /// none. The sessions must outlive this.
  Seq2SeqDecoder(DecoderSessions sessions, HostTensor states, HostTensor mask);

  std::span<float> step(std::span<const int64_t> ids, size_t rows) override;
  void reorder(std::span<const size_t> rows) override;

 private:
  [[nodiscard]] HostTensor input(const ort::ValueInfo& declared, const HostTensor& ids,
                                 bool uses_cache) const;
  void keep(const std::string& present, HostTensor value);

  DecoderSessions sessions_;
  HostTensor states_, mask_;
  std::map<std::string, HostTensor> cache_;  // By the name of the input.
  std::vector<std::vector<int64_t>> ids_;    // All of them, where there is no cache.
  std::vector<float> logits_;
};

}  // namespace ferry::generation
