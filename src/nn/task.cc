#include "nn/task.h"

#include <algorithm>

#include "base/text.h"

namespace ferry {
namespace {

// clang-format off
const std::vector<TaskInfo> kTasks = {
    {"audio-classification", "ForAudioClassification", "ORTModelForAudioClassification", "audio-classification", {}, {"logits"}},
    {"audio-frame-classification", "ForAudioFrameClassification", "ORTModelForAudioFrameClassification", "", {}, {"logits"}},
    {"audio-xvector", "ForAudioXVector", "ORTModelForAudioXVector", "", {}, {"logits", "embeddings"}},
    {"automatic-speech-recognition", "ForSpeechSeq2Seq", "ORTModelForSpeechSeq2Seq", "automatic-speech-recognition", {"audio-ctc", "speech2seq-lm"}, {"logits"}},
    {"depth-estimation", "ForDepthEstimation", "", "depth-estimation", {}, {"predicted_depth"}},
    {"document-question-answering", "ForDocumentQuestionAnswering", "", "document-question-answering", {}, {"logits"}},
    {"feature-extraction", "", "ORTModelForFeatureExtraction", "feature-extraction", {"default", "mask-generation", "sentence-similarity", "image-feature-extraction", "pretraining"}, {"last_hidden_state"}},
    {"fill-mask", "ForMaskedLM", "ORTModelForMaskedLM", "fill-mask", {"masked-lm"}, {"logits"}},
    {"image-classification", "ForImageClassification", "ORTModelForImageClassification", "image-classification", {}, {"logits"}},
    {"image-segmentation", "ForImageSegmentation", "", "image-segmentation", {}, {"logits", "pred_masks"}},
    {"image-text-to-text", "ForImageTextToText", "", "image-text-to-text", {}, {"logits"}},
    {"image-to-image", "ForImageToImage", "ORTModelForImageToImage", "image-to-image", {}, {"reconstruction"}},
    {"image-to-text", "ForVision2Seq", "ORTModelForVision2Seq", "image-to-text", {"vision2seq-lm"}, {"logits"}},
    {"inpainting", "", "", "", {}, {}},
    {"keypoint-detection", "ForKeypointDetection", "", "keypoint-detection", {}, {"heatmaps"}},
    {"masked-im", "ForMaskedImageModeling", "", "", {}, {"reconstruction"}},
    {"multiple-choice", "ForMultipleChoice", "ORTModelForMultipleChoice", "", {}, {"logits"}},
    {"object-detection", "ForObjectDetection", "", "object-detection", {}, {"logits", "pred_boxes"}},
    {"question-answering", "ForQuestionAnswering", "ORTModelForQuestionAnswering", "question-answering", {}, {"start_logits", "end_logits"}},
    {"reinforcement-learning", "", "", "", {}, {}},
    {"semantic-segmentation", "ForSemanticSegmentation", "ORTModelForSemanticSegmentation", "image-segmentation", {}, {"logits"}},
    {"text-classification", "ForSequenceClassification", "ORTModelForSequenceClassification", "text-classification", {"sequence-classification", "zero-shot-classification"}, {"logits"}},
    {"text-generation", "ForCausalLM", "ORTModelForCausalLM", "text-generation", {"causal-lm"}, {"logits"}},
    {"text-to-audio", "ForTextToSpectrogram", "", "", {"text-to-speech"}, {}},
    {"text-to-image", "", "", "", {"stable-diffusion", "stable-diffusion-xl", "latent-consistency"}, {}},
    {"text2text-generation", "ForSeq2SeqLM", "ORTModelForSeq2SeqLM", "text2text-generation", {"seq2seq-lm", "summarization", "translation"}, {"logits"}},
    {"time-series-forecasting", "", "", "", {}, {"prediction_outputs"}},
    {"token-classification", "ForTokenClassification", "ORTModelForTokenClassification", "token-classification", {}, {"logits"}},
    {"visual-question-answering", "ForVisualQuestionAnswering", "", "visual-question-answering", {}, {"logits"}},
    {"zero-shot-image-classification", "ForZeroShotImageClassification", "ORTModelForZeroShotImageClassification", "zero-shot-image-classification", {}, {"logits_per_image", "logits_per_text", "text_embeds", "image_embeds"}},
    {"zero-shot-object-detection", "ForZeroShotObjectDetection", "", "zero-shot-object-detection", {}, {"logits", "pred_boxes", "text_embeds", "image_embeds"}},
};
// clang-format on

std::string_view without_past(std::string_view name) {
  if (ends_with(name, kWithPast)) name.remove_suffix(kWithPast.size());
  return name;
}

}  // namespace

std::span<const TaskInfo> all_tasks() {
  return kTasks;
}

const TaskInfo* find_task(std::string_view canonical) {
  const auto name = without_past(canonical);
  const auto found =
      std::find_if(kTasks.begin(), kTasks.end(), [&](const TaskInfo& task) { return task.name == name; });
  return found == kTasks.end() ? nullptr : &*found;
}

std::string canonical_task(std::string_view name) {
  const auto base = without_past(name);
  const bool past = base.size() != name.size();
  for (const TaskInfo& task : kTasks) {
    const bool is_synonym =
        std::find(task.synonyms.begin(), task.synonyms.end(), base) != task.synonyms.end();
    // Summaries and translations have no -with-past spelling of their own.
    if (is_synonym && !(past && (base == "summarization" || base == "translation"))) {
      return std::string(task.name) + (past ? std::string(kWithPast) : "");
    }
  }
  return std::string(name);
}

std::vector<std::string> task_synonyms(std::string_view canonical) {
  const TaskInfo* task = find_task(canonical);
  if (task == nullptr) return {};
  return {task->synonyms.begin(), task->synonyms.end()};
}

}  // namespace ferry
