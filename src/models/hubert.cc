// HuBERT, UniSpeech and UniSpeech-SAT: wav2vec 2.0 under other names.
// Source: transformers 4.57.6, models/{hubert,unispeech,unispeech_sat}/modular_*.py.
#include "models/audio_encoders.h"
#include "models/wav2vec2.h"

namespace ferry::models {
using namespace nn;
using wav2vec2::Wav2Vec2Config;

struct HubertConfig : Wav2Vec2Config {
  explicit HubertConfig(ConfigReader& r) {
    read(r);
    r.read("feat_proj_layer_norm", feat_proj_layer_norm);
    r.read("conv_pos_batch_norm", conv_pos_batch_norm);
  }
  static constexpr const char* prefix = "hubert";
};

struct UniSpeechConfig : Wav2Vec2Config {
  explicit UniSpeechConfig(ConfigReader& r) { read(r); }
  static constexpr const char* prefix = "unispeech";
};

struct UniSpeechSatConfig : Wav2Vec2Config {
  explicit UniSpeechSatConfig(ConfigReader& r) { read(r); }
  static constexpr const char* prefix = "unispeech_sat";
};

Architecture hubert::arch() {
  return wav2vec2::audio_arch<wav2vec2::Model<HubertConfig>>("hubert", "Hubert");
}

Architecture unispeech::arch() {
  return wav2vec2::audio_arch<wav2vec2::Model<UniSpeechConfig>>("unispeech", "UniSpeech");
}

Architecture unispeech_sat::arch() {
  return wav2vec2::speaker_arch<wav2vec2::Model<UniSpeechSatConfig>>("unispeech-sat", "UniSpeechSat");
}

}  // namespace ferry::models
