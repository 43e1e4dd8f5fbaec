// An encoder of images with a decoder of text: ViT or DeiT with TrOCR's decoder, which is BART's. Sources:
// transformers 4.57.6, models/vision_encoder_decoder/modeling_vision_encoder_decoder.py,
// models/trocr/modeling_trocr.py. Axes: B batch, E tokens of the image, S new tokens, H d_model.
#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "models/bart.h"
#include "models/seq2seq.h"
#include "models/vit.h"

namespace ferry::models::vision_encoder_decoder {
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
    if (!learned && d_model % 2 != 0) r.fail("d_model", "an even number, of sines and cosines");
  }
};

// The reader of one side, whose model type must be one of `known`.
ConfigReader side(ConfigReader& r, const char* name, const std::vector<std::string>& known,
                  std::string& found) {
  auto nested = r.object(name);
  if (!nested) r.fail(name, "the configuration of that side");
  nested->read("model_type", found);
  if (std::find(known.begin(), known.end(), found) == known.end()) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{}: {}s of type {} are not built in a vision-encoder-decoder", r.origin(), name,
                            printable(found)))
        .with_hint("these are: " + join(known));
  }
  return std::move(*nested);
}

struct VisionEncoderDecoderConfig {
  explicit VisionEncoderDecoderConfig(ConfigReader& r)
      : encoder(read_side<vit::ViTConfig>(r, "encoder", {"vit", "deit"}, encoder_type)),
        decoder(read_side<TrOCRConfig>(r, "decoder", {"trocr"}, decoder_type)) {
    r.ignore("tie_word_embeddings");  // Of the two sides with each other: there is nothing that they share.
  }

  std::string encoder_type, decoder_type;
  vit::ViTConfig encoder;
  TrOCRConfig decoder;

  [[nodiscard]] Seq2SeqSignature signature() const {
    Seq2SeqSignature out = decoder.signature();
    out.encoder = encoder.image_inputs();
    out.encoder_size = encoder.hidden_size;
    out.max_encoder_length = 0;
    return out;
  }

 private:
  template <typename Side>
  static Side read_side(ConfigReader& r, const char* name, const std::vector<std::string>& known,
                        std::string& found) {
    ConfigReader nested = side(r, name, known, found);
    Side out(nested);
    r.adopt_unknown(name, nested);
    return out;
  }
};

struct VisionEncoderDecoderModel : Module<VisionEncoderDecoderConfig> {
  using Module::Module;

  [[nodiscard]] Tensor encode(const Inputs& in) const {  // -> [B, E, size]
    for (const char* name : {"pooler", "embeddings.mask_token"}) at("encoder").ignore(name);
    if (c.encoder_type == "deit") return vit::DeiTModel(at("encoder"), c.encoder).hidden(in);
    return vit::ViTModel(at("encoder"), c.encoder).hidden(in);
  }
  [[nodiscard]] Tensor decode(Decoding& run) const {  // -> [B, S, vocab]
    if (c.encoder.hidden_size != c.decoder.d_model && !c.decoder.cross_attention_hidden_size) {
      const Linear project(at("enc_to_dec_proj"), c.encoder.hidden_size, c.decoder.d_model);
      run.project_encoder([&](const Tensor& states) { return project(states); });
    }
    const Scope place = at("decoder.model.decoder");
    const Embedding tokens(place / "embed_tokens", c.decoder.vocab_size, c.decoder.d_model);
    const Tensor x = bart::BartDecoder(place, c.decoder)(tokens, run, true);
    return language_head(at("decoder.output_projection"), tokens, c.decoder.tie_word_embeddings, x);
  }
};

Architecture arch() {
  ArchBuilder<VisionEncoderDecoderConfig> builder("vision-encoder-decoder");
  const std::function<Seq2SeqSignature(const VisionEncoderDecoderConfig&)> signature =
      [](const VisionEncoderDecoderConfig& c) { return c.signature(); };
  for (const char* task : {"image-to-text", "image-to-text-with-past"}) {
    builder.add(seq2seq_task(task, "VisionEncoderDecoderModel",
                             seq2seq_model<VisionEncoderDecoderModel>(signature, "logits")));
  }
  return builder;
}

}  // namespace ferry::models::vision_encoder_decoder
