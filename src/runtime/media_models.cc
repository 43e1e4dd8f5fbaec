// The models of pictures and sound: what each takes out of a run.
#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "ferry/audio.h"
#include "ferry/vision.h"

namespace ferry {
namespace {

HostTensor take(std::map<std::string, HostTensor>& outputs, const std::string& name) {
  const auto found = outputs.find(name);
  if (found != outputs.end()) return std::move(found->second);
  std::vector<std::string> names;
  for (const auto& [known, tensor] : outputs) names.push_back(known);
  throw Error(ErrorCode::not_found, fmt::format("the model gives no \"{}\"", name))
      .with_hint("it gives " + join(names) + ": was it exported for another task?");
}

LogitsOutput logits_of(std::map<std::string, HostTensor> outputs) {
  return {take(outputs, "logits")};
}

}  // namespace

ORTModelForImageClassification ORTModelForImageClassification::from_pretrained(std::string_view model,
                                                                               const LoadOptions& options) {
  return {model, options, "image-classification"};
}
LogitsOutput ORTModelForImageClassification::operator()(const ModelInputs& inputs) const {
  return logits_of(run(inputs));
}

ORTModelForSemanticSegmentation ORTModelForSemanticSegmentation::from_pretrained(std::string_view model,
                                                                                 const LoadOptions& options) {
  return {model, options, "semantic-segmentation"};
}
LogitsOutput ORTModelForSemanticSegmentation::operator()(const ModelInputs& inputs) const {
  return logits_of(run(inputs));
}

ORTModelForObjectDetection ORTModelForObjectDetection::from_pretrained(std::string_view model,
                                                                       const LoadOptions& options) {
  return {model, options, "object-detection"};
}
ORTModelForObjectDetection::Output ORTModelForObjectDetection::operator()(const ModelInputs& inputs) const {
  auto outputs = run(inputs);
  return {take(outputs, "logits"), take(outputs, "pred_boxes")};
}

ORTModelForZeroShotImageClassification ORTModelForZeroShotImageClassification::from_pretrained(
    std::string_view model, const LoadOptions& options) {
  return {model, options, "zero-shot-image-classification"};
}
ORTModelForZeroShotImageClassification::Output ORTModelForZeroShotImageClassification::operator()(
    const ModelInputs& inputs) const {
  auto outputs = run(inputs);
  return {take(outputs, "logits_per_image"), take(outputs, "logits_per_text"), take(outputs, "text_embeds"),
          take(outputs, "image_embeds")};
}

ORTModelForCTC ORTModelForCTC::from_pretrained(std::string_view model, const LoadOptions& options) {
  return {model, options, "automatic-speech-recognition"};
}
LogitsOutput ORTModelForCTC::operator()(const ModelInputs& inputs) const {
  return logits_of(run(inputs));
}

ORTModelForAudioClassification ORTModelForAudioClassification::from_pretrained(std::string_view model,
                                                                               const LoadOptions& options) {
  return {model, options, "audio-classification"};
}
LogitsOutput ORTModelForAudioClassification::operator()(const ModelInputs& inputs) const {
  return logits_of(run(inputs));
}

ORTModelForAudioFrameClassification ORTModelForAudioFrameClassification::from_pretrained(
    std::string_view model, const LoadOptions& options) {
  return {model, options, "audio-frame-classification"};
}
LogitsOutput ORTModelForAudioFrameClassification::operator()(const ModelInputs& inputs) const {
  return logits_of(run(inputs));
}

ORTModelForAudioXVector ORTModelForAudioXVector::from_pretrained(std::string_view model,
                                                                 const LoadOptions& options) {
  return {model, options, "audio-xvector"};
}
ORTModelForAudioXVector::Output ORTModelForAudioXVector::operator()(const ModelInputs& inputs) const {
  auto outputs = run(inputs);
  return {take(outputs, "logits"), take(outputs, "embeddings")};
}

}  // namespace ferry
