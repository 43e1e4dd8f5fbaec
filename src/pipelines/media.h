#pragma once
// What the pipelines of pictures and sound share.
#include <string>
#include <string_view>

#include "ferry/audio.h"
#include "ferry/vision.h"
#include "pipelines/runner.h"

namespace ferry::pipelines {

/// The picture that an input names: a path, or an object whose "image" is one. Errors: those of load_image.
Image image_of(std::string_view task, const Json& input);

/// The recording of an input: a path, an object whose "audio" is one, or {"array" or "raw", "sampling_rate"}.
/// Errors: those of load_audio.
Audio audio_of(std::string_view task, const Json& input);

/// The samples at the rate that the extractor takes.
std::vector<float> samples_at(const Audio& audio, uint32_t sampling_rate);

/// [{"label", "score"}] in transformers' order of members.
Json labels_first(const std::vector<Classification>& results);
Json scores_first(const std::vector<Classification>& results);

/// Nested lists of a tensor's numbers.
Json nested_lists(const HostTensor& tensor);

/// logits f32[C, h, w] at every pixel of a larger picture, as torch's bilinear interpolate with
/// align_corners=False computes them.
class Upsampled {
 public:
  Upsampled(std::span<const float> planes, size_t channels, size_t height, size_t width, size_t to_height,
            size_t to_width);
  /// Line `y` of the picture: f32[C, to_width].
  void line(size_t y, std::vector<float>& out) const;

 private:
  struct Tap {
    size_t low = 0, high = 0;
    float weight = 0;  // Of `high`.
  };
  static std::vector<Tap> taps(size_t from, size_t to);

  std::span<const float> planes_;
  size_t channels_, height_, width_, to_width_;
  std::vector<Tap> lines_, columns_;
};

/// The runner R of a pipeline that is made of what Auto finds in the model's folder, and the model.
template <typename R, typename Auto, typename Model>
std::shared_ptr<Pipeline::Runner> open_media_runner(std::string_view folder, const LoadOptions& options) {
  Model model = Model::from_pretrained(folder, options);
  auto processor = Auto::from_pretrained(model.folder());
  return std::make_shared<R>(decltype(R::pipeline)(std::move(processor), std::move(model)));
}

std::string base64(std::string_view bytes);
/// Errors: Error{usage} for a text that is no base64.
std::string from_base64(std::string_view text);

}  // namespace ferry::pipelines
