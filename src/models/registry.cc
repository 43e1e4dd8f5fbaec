#include "models/registry.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "models/architectures.h"
#include "models/audio_encoders.h"
#include "models/bert.h"
#include "models/distilbert.h"
#include "models/image_encoders.h"
#include "models/llama.h"
#include "models/seq2seq.h"
#include "models/text_encoders.h"

namespace ferry::models {

Registry Registry::builtin() {
  Registry registry;
  registry.add(albert::arch());
  registry.add(bart::arch());
  registry.add(beit::arch());
  registry.add(bert::arch());
  registry.add(bloom::arch());
  registry.add(camembert::arch());
  registry.add(clip::arch());
  registry.add(clip::text_arch());
  registry.add(clip::vision_arch());
  registry.add(convnext::arch());
  registry.add(data2vec_audio::arch());
  registry.add(deberta::arch());
  registry.add(deberta_v2::arch());
  registry.add(deit::arch());
  registry.add(detr::arch());
  registry.add(detr::table_transformer_arch());
  registry.add(dinov2::arch());
  registry.add(distilbert::arch());
  registry.add(electra::arch());
  registry.add(falcon::arch());
  registry.add(gemma2::arch());
  registry.add(gemma3_text::arch());
  registry.add(gemma::arch());
  registry.add(gpt2::arch());
  registry.add(gpt_neox::arch());
  registry.add(hubert::arch());
  registry.add(layoutlmv3::arch());
  registry.add(llama::arch());
  registry.add(marian::arch());
  registry.add(mbart::arch());
  registry.add(mistral::arch());
  registry.add(mixtral::arch());
  registry.add(mobilenet_v2::arch());
  registry.add(modernbert::arch());
  registry.add(mpnet::arch());
  registry.add(mt5::arch());
  registry.add(opt::arch());
  registry.add(phi3::arch());
  registry.add(phi::arch());
  registry.add(qwen2::arch());
  registry.add(qwen3::arch());
  registry.add(qwen3_moe::arch());
  registry.add(resnet::arch());
  registry.add(roberta::arch());
  registry.add(segformer::arch());
  registry.add(siglip::arch());
  registry.add(swin::arch());
  registry.add(swin::donut_arch());
  registry.add(t5::arch());
  registry.add(timm::arch());
  registry.add(trocr::arch());
  registry.add(unispeech::arch());
  registry.add(unispeech_sat::arch());
  registry.add(vit::arch());
  registry.add(wav2vec2::arch());
  registry.add(wavlm::arch());
  registry.add(whisper::arch());
  registry.add(xlm_roberta::arch());
  registry.add(yolos::arch());
  // Composites are made of those above.
  const auto known = std::make_shared<const Registry>(registry);
  registry.add(encoder_decoder::arch(known));
  registry.add(vision_encoder_decoder::arch(known));
  return registry;
}

void Registry::add(nn::Architecture architecture) {
  const auto at = std::lower_bound(architectures_.begin(), architectures_.end(), architecture,
                                   [](const auto& a, const auto& b) { return a.model_type < b.model_type; });
  if (at != architectures_.end() && at->model_type == architecture.model_type) {
    *at = std::move(architecture);
  } else {
    architectures_.insert(at, std::move(architecture));
  }
}

const nn::Architecture* Registry::find(std::string_view model_type) const {
  const auto found =
      std::find_if(architectures_.begin(), architectures_.end(),
                   [&](const auto& architecture) { return architecture.model_type == model_type; });
  return found == architectures_.end() ? nullptr : &*found;
}

const nn::Architecture& Registry::get(std::string_view model_type) const {
  if (const auto* found = find(model_type)) return *found;
  const auto known = model_types();
  const auto near = nearest(model_type, known);
  Error error(ErrorCode::unsupported, "model_type \"" + printable(model_type, 80) + "\" is not supported");
  error.with_hint(near.empty() ? "supported: " + join(known, ", ", 200) : "nearest supported: " + join(near));
  throw error;
}

std::vector<std::string> Registry::model_types() const {
  std::vector<std::string> out;
  for (const auto& architecture : architectures_) out.push_back(architecture.model_type);
  return out;
}

}  // namespace ferry::models
