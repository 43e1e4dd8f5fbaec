#include "processors/image_recipe.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace ferry::processors {
namespace {
using Json = nlohmann::ordered_json;
using Recipe = ImageProcessor::Recipe;

enum class Statistics : uint8_t { none, half, imagenet, clip };
constexpr SizeRule square(int64_t side) {
  return {.height = side, .width = side};
}
constexpr SizeRule shortest(int64_t edge, int64_t longest = 0) {
  return {.shortest_edge = edge, .longest_edge = longest};
}

// The defaults of a class (transformers 4.57.6, image_processing_*.py), and what sets it apart.
struct Class {
  std::string_view stem;         // Without "ImageProcessor".
  std::string_view model_types;  // That have it where no class is named, separated by blanks.
  ResizeRule rule;
  SizeRule size;
  Resampling resample;
  int64_t crop = 0;  // 0: the class knows no crop.
  bool do_center_crop = false;
  Statistics statistics = Statistics::half;
  Padding padding = Padding::none;
  bool do_pad = false;
};
constexpr auto kBilinear = Resampling::bilinear, kBicubic = Resampling::bicubic;
using R = ResizeRule;
using S = Statistics;
using P = Padding;

constexpr Class kClasses[] = {
    {"Beit", "beit data2vec-vision", R::fixed, square(256), kBicubic, 224, true},
    {"Bit", "bit dinov2 focalnet hiera", R::shortest, shortest(224), kBicubic, 224, true, S::clip},
    {"Blip", "blip blip-2", R::fixed, square(384), kBicubic, 0, false, S::clip},
    {"CLIP", "clip clip_vision_model git groupvit metaclip_2", R::shortest, shortest(224), kBicubic, 224,
     true, S::clip},
    {"ChineseCLIP", "chinese_clip", R::shortest, shortest(224), kBicubic, 224, true, S::clip},
    {"ConditionalDetr", "conditional_detr", R::edges, shortest(800, 1333), kBilinear, 0, false, S::imagenet,
     P::pixels_and_mask, true},
    {"ConvNext", "convnext convnextv2 cvt regnet resnet van", R::convnext, shortest(384), kBilinear},
    {"DeiT", "deit", R::fixed, square(256), kBicubic, 224, true},
    {"DeformableDetr", "deformable_detr", R::edges, shortest(800, 1333), kBilinear, 0, false, S::imagenet,
     P::pixels_and_mask, true},
    {"Detr", "detr table-transformer", R::edges, shortest(800, 1333), kBilinear, 0, false, S::imagenet,
     P::pixels_and_mask, true},
    {"EfficientNet", "efficientnet align", R::fixed, square(346), Resampling::nearest, 289, false},
    {"GLPN", "glpn", R::divisor, {}, kBilinear, 0, false, S::none},
    {"LayoutLMv3", "layoutlmv3", R::fixed, square(224), kBilinear},
    {"Levit", "levit", R::levit, shortest(224), kBicubic, 224, true, S::imagenet},
    {"MobileNetV1", "mobilenet_v1", R::shortest, shortest(256), kBilinear, 224, true},
    {"MobileNetV2", "mobilenet_v2", R::shortest, shortest(256), kBilinear, 224, true},
    {"MobileViT", "mobilevit mobilevitv2", R::shortest, shortest(224), kBilinear, 256, true, S::none},
    {"PoolFormer", "poolformer", R::poolformer, shortest(224), kBicubic, 224, true, S::imagenet},
    {"Pvt", "pvt pvt_v2", R::fixed, square(224), kBilinear, 0, false, S::imagenet},
    {"RTDetr", "rt_detr rt_detr_v2 d_fine", R::edges, square(640), kBilinear, 0, false, S::imagenet,
     P::pixels_and_mask, false},
    {"Segformer", "segformer upernet", R::fixed, square(512), kBilinear, 0, false, S::imagenet},
    {"Siglip", "siglip", R::fixed, square(224), kBicubic},
    {"ViT", "vit clipseg dinat ijepa mgp-str nat swiftformer swin swinv2 vit_mae vit_msn", R::fixed,
     square(224), kBilinear},
    {"Yolos", "yolos", R::edges_of_16, shortest(800, 1333), kBilinear, 0, false, S::imagenet, P::pixels,
     true},
};

bool names_type(std::string_view list, std::string_view type) {
  for (const auto& name : split(list, ' ')) {
    if (name == type) return true;
  }
  return false;
}

std::string stem_of(std::string name) {
  for (const std::string_view end : {"Fast", "ImageProcessor", "FeatureExtractor"}) {
    if (ends_with(name, end)) name.resize(name.size() - end.size());
  }
  return name;
}

const Class& class_of(const Settings& settings, const Json& config) {
  std::string name = settings.text("image_processor_type");
  if (name.empty()) name = settings.text("feature_extractor_type");
  const auto model_type = config.find("model_type");
  const std::string type =
      model_type != config.end() && model_type->is_string() ? model_type->get<std::string>() : "";
  const std::string stem = stem_of(name);
  std::vector<std::string> known;
  for (const auto& row : kClasses) {
    if (name.empty() ? names_type(row.model_types, type) : stem == row.stem) return row;
    known.push_back(std::string(row.stem) + "ImageProcessor");
  }
  if (name.empty() && type.empty())
    settings.refuse("image_processor_type", "the name of a class, or a config.json with a model_type");
  throw Error(ErrorCode::unsupported,
              fmt::format("preprocessor_config.json: the image processor {} is not built",
                          printable(name.empty() ? "of " + type : name)))
      .with_hint("there are " + join(known, ", ", 40));
}

std::vector<double> mean_of(Statistics statistics) {
  if (statistics == Statistics::imagenet) return {0.485, 0.456, 0.406};
  if (statistics == Statistics::clip) return {0.48145466, 0.4578275, 0.40821073};
  return {0.5, 0.5, 0.5};
}
std::vector<double> deviation_of(Statistics statistics) {
  if (statistics == Statistics::imagenet) return {0.229, 0.224, 0.225};
  if (statistics == Statistics::clip) return {0.26862954, 0.26130258, 0.27577711};
  return {0.5, 0.5, 0.5};
}

// rescale() and normalize() of image_transforms.py, in their precisions.
void read_values(const Settings& settings, const Class& row, Recipe& recipe) {
  const bool efficient = row.stem == "EfficientNet";
  const bool rescale = settings.boolean("do_rescale", true);
  // GLPN rescales in one way, and LayoutLMv3 reads another key than it writes.
  const char* key = row.stem == "LayoutLMv3" ? "rescale_value" : "rescale_factor";
  const double factor = row.stem == "GLPN" ? 1.0 / 255 : settings.number(key, 1.0 / 255);
  const bool offset = efficient && settings.boolean("rescale_offset", false);
  const bool has_normalize = row.statistics != Statistics::none;
  const bool normalize = has_normalize && settings.boolean("do_normalize", row.stem != "RTDetr");
  const bool include_top = efficient && settings.boolean("include_top", true);
  const auto mean = settings.numbers("image_mean", mean_of(row.statistics));
  const auto deviation = settings.numbers("image_std", deviation_of(row.statistics));
  for (const double value : deviation) {
    if ((normalize || include_top) && static_cast<float>(value) == 0)
      settings.refuse("image_std", "numbers other than zero");
  }
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < 256; ++i) {
      auto value = static_cast<float>(i);
      if (rescale) value = static_cast<float>(static_cast<double>(i) * factor);
      if (rescale && offset) value -= 1.0f;
      if (normalize) value = (value - static_cast<float>(mean[c])) / static_cast<float>(deviation[c]);
      if (include_top) value = value / static_cast<float>(deviation[c]);
      recipe.values[c][i] = value;
    }
  }
  if (row.stem == "MobileViT" && settings.boolean("do_flip_channel_order", true)) recipe.channels = {2, 1, 0};
}

void read_resize(const Settings& settings, const Class& row, Recipe& recipe) {
  recipe.do_resize = settings.boolean("do_resize", true);
  recipe.rule = row.rule;
  const bool detector = row.rule == R::edges || row.rule == R::edges_of_16;
  recipe.size = read_size(settings, "size", row.rule == R::fixed || row.stem == "RTDetr", row.size);
  // A number alone stands for the shortest edge, and 1333 or max_size for the longest.
  const Json* size = settings.find("size");
  if (detector && size != nullptr && size->is_number() && row.stem != "RTDetr")
    recipe.size.longest_edge = settings.integer("max_size", 1333, 1, 1 << 18);
  recipe.resample =
      static_cast<Resampling>(settings.integer("resample", static_cast<int64_t>(row.resample), 0, 5));
  if (row.rule == R::convnext || row.rule == R::poolformer)
    recipe.crop_pct = settings.number("crop_pct", row.rule == R::convnext ? 0.875 : 0.9);
  if (recipe.crop_pct < 0 || (recipe.crop_pct != 0 && recipe.crop_pct < 1e-3))
    settings.refuse("crop_pct", "a positive number");
  if (row.rule == R::divisor) recipe.size_divisor = settings.integer("size_divisor", 32, 1, 1 << 16);
  const SizeRule& given = recipe.size;
  const bool exact = given.height > 0 && given.width > 0;
  bool valid = true;
  if (recipe.do_resize) {
    switch (row.rule) {
      case R::fixed:
        valid = exact;
        break;
      case R::convnext:
        valid = given.shortest_edge > 0;
        break;
      case R::edges:
      case R::edges_of_16:
        valid = exact || (given.shortest_edge > 0 && given.longest_edge > 0) ||
                (given.max_height > 0 && given.max_width > 0);
        break;
      case R::shortest:
      case R::levit:
      case R::poolformer:
        valid = exact || given.shortest_edge > 0;
        break;
      case R::divisor:
        break;
    }
  }
  if (!valid) {
    settings.refuse(
        "size", row.rule == R::fixed      ? "height and width"
                : row.rule == R::convnext ? "shortest_edge"
                : detector ? "shortest_edge and longest_edge, height and width, or max_height and max_width"
                           : "shortest_edge, or height and width");
  }
}

void read_crop(const Settings& settings, const Class& row, Recipe& recipe) {
  if (row.crop == 0) return;
  recipe.do_center_crop = settings.boolean("do_center_crop", row.do_center_crop);
  const SizeRule size = read_size(settings, "crop_size", true, square(row.crop));
  if (recipe.do_center_crop && (size.height == 0 || size.width == 0))
    settings.refuse("crop_size", "height and width");
  recipe.crop_size = {size.height, size.width};
}

void read_padding(const Settings& settings, const Class& row, Recipe& recipe) {
  if (row.padding == P::none) return;
  const bool padded = settings.boolean("pad_and_return_pixel_mask", settings.boolean("do_pad", row.do_pad));
  if (!padded) return;
  recipe.padding = row.padding;
  const SizeRule size = read_size(settings, "pad_size", true, {});
  if (settings.has("pad_size") && (size.height == 0 || size.width == 0))
    settings.refuse("pad_size", "height and width");
  recipe.pad_size = {size.height, size.width};
}

}  // namespace

Recipe read_recipe(std::string_view preprocessor_config, std::string_view config) {
  Json json = parse_json(preprocessor_config, "preprocessor_config.json");
  // processor_config.json of newer checkpoints nests it.
  if (json.is_object() && json.contains("image_processor") && json.at("image_processor").is_object())
    json = Json(json.at("image_processor"));
  const Settings settings(json);
  const Json model = config.empty() ? Json::object() : parse_json(config, "config.json");
  const Class& row = class_of(settings, model.is_object() ? model : Json::object());
  if (row.stem == "LayoutLMv3" && settings.boolean("apply_ocr", true)) {
    throw Error(ErrorCode::unsupported,
                "preprocessor_config.json: apply_ocr is true, and ferry reads no text from pictures")
        .with_hint("set apply_ocr to false and give words and boxes");
  }
  Recipe recipe;
  recipe.type = std::string(row.stem) + "ImageProcessor";
  read_resize(settings, row, recipe);
  read_crop(settings, row, recipe);
  read_values(settings, row, recipe);
  read_padding(settings, row, recipe);
  return recipe;
}

}  // namespace ferry::processors
