// TrOCR's decoder: BART's, after an encoder of images. Source: transformers 4.57.6,
// models/trocr/modeling_trocr.py. Axes: B batch, S new tokens.
#include "models/bart.h"
#include "models/seq2seq.h"

namespace ferry::models::trocr {
using namespace nn;

struct TrOCRConfig : bart::BartConfig {
  explicit TrOCRConfig(ConfigReader& r) {
    max_position_embeddings = 512;
    encoder_attention_heads = 1;  // There is no encoder of the kind.
    read(r);
    bool learned = true;
    r.read("use_learned_position_embeddings", learned);
    r.read("layernorm_embedding", form.embedding_norm);
    r.read("cross_attention_hidden_size", cross_attention_hidden_size, 1);
    form.counted_sinusoids = !learned;
    if (!learned && (d_model % 2 != 0 || d_model < 4))
      r.fail("d_model", "an even number above 2, of sines and cosines");
  }
};

struct TrOCRForCausalLM : Module<TrOCRConfig> {
  using Module::Module;

  [[nodiscard]] Tensor logits(Decoding& run) const {  // -> [B, S, vocab]
    const Scope place = at("model.decoder");
    const Embedding tokens(place / "embed_tokens", c.vocab_size, c.d_model);
    const Tensor x = bart::BartDecoder(place, c)(tokens, run);
    return language_head(at("output_projection"), tokens, c.tie_word_embeddings, x);
  }
  Outputs operator()(const Inputs& in) const {
    Decoding run(in);
    const Tensor scores = logits(run);
    return run.outputs("logits", scores);
  }
};

Architecture arch() {
  return ArchBuilder<TrOCRConfig>("trocr")
      .prefix("model")
      .may_be_unused({"output_projection"})
      .decodes(decoder_side<TrOCRForCausalLM>())
      .decoder([](const TrOCRConfig& c) { return c.decoder_signature(); })
      .task<TrOCRForCausalLM>("text-generation", "TrOCRForCausalLM")
      .task<TrOCRForCausalLM>("text-generation-with-past", "TrOCRForCausalLM");
}

}  // namespace ferry::models::trocr
