// Source: transformers 4.57.6, pipelines/image_to_text.py.
#include "base/error.h"
#include "base/text.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

struct ImageToTextRunner final : Pipeline::Runner {
  explicit ImageToTextRunner(ImageToTextPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    Json settings = Json::object();
    std::optional<int64_t> max_new_tokens;
    OptionReader reader(task, given);
    reader.read("generate_kwargs", settings);
    reader.read("max_new_tokens", max_new_tokens);
    reader.check();
    if (!settings.is_object()) refuse(task, "generate_kwargs is no object");
    if (max_new_tokens && settings.contains("max_new_tokens"))
      refuse(task, "max_new_tokens stands both beside and in generate_kwargs");
    if (max_new_tokens) settings["max_new_tokens"] = *max_new_tokens;
    GenerationConfig config = pipeline.default_config();
    const auto unknown = config.update(settings.dump(), "generate_kwargs");
    if (!unknown.empty()) refuse(task, "generate_kwargs has no " + join(unknown));
    Json out = Json::array();
    for (auto& text : pipeline(image_of(task, input), config))
      out.push_back({{"generated_text", std::move(text)}});
    return out;
  }
  ImageToTextPipeline pipeline;
};

}  // namespace

ImageToTextPipeline::ImageToTextPipeline(Tokenizer tokenizer, ImageProcessor processor,
                                         ORTModelForVision2Seq model)
    : tokenizer_(std::move(tokenizer)), processor_(std::move(processor)), model_(std::move(model)) {}

GenerationConfig ImageToTextPipeline::default_config() const {
  GenerationConfig out = model_.generation_config();
  constexpr int64_t kGlobalDefault = 20;
  if (!out.max_new_tokens && (!out.max_length || *out.max_length == kGlobalDefault)) out.max_new_tokens = 256;
  if (!out.pad_token_id) {
    if (const auto pad = tokenizer_.special_token_id("pad_token")) out.pad_token_id = *pad;
  }
  return out;
}

std::vector<std::string> ImageToTextPipeline::operator()(const Image& image,
                                                         const GenerationConfig& config) const {
  const auto output = model_.generate(processor_(image), config);
  std::vector<std::string> out;
  for (size_t row = 0; row < output.sequences.size(); ++row)
    out.push_back(tokenizer_.decode(output.tokens(row), {.skip_special_tokens = true}));
  return out;
}

std::shared_ptr<Pipeline::Runner> pipelines::image_to_text(std::string_view folder,
                                                           const LoadOptions& options) {
  auto model = ORTModelForVision2Seq::from_pretrained(folder, options);
  auto processor = AutoImageProcessor::from_pretrained(model.folder());
  Tokenizer tokenizer = AutoTokenizer::from_pretrained(model.folder());
  return std::make_shared<ImageToTextRunner>(
      ImageToTextPipeline(std::move(tokenizer), std::move(processor), std::move(model)));
}

}  // namespace ferry
