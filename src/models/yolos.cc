// YOLOS: ViT with tokens for the objects to find, for images of any size: positions are interpolated.
// Source: transformers 4.57.6, models/yolos/modeling_yolos.py. Axes: B batch, S = 1 + patches + D tokens, D
// detection tokens, H hidden size.
#include "models/image_encoders.h"
#include "models/vit.h"

namespace ferry::models::yolos {
using namespace nn;
namespace op = ir::op;

namespace {

struct YolosConfig : vit::ViTConfig {
  explicit YolosConfig(ConfigReader& r) {
    image_size = {512, 864};
    read_common(r);
    r.read("intermediate_size", intermediate_size);
    r.read("num_detection_tokens", num_detection_tokens, 1, 1 << 20);
    r.read("use_mid_position_embeddings", use_mid_position_embeddings);
    for (const char* key : {"auxiliary_loss", "class_cost", "bbox_cost", "giou_cost", "bbox_loss_coefficient",
                            "giou_loss_coefficient", "eos_coefficient"})
      r.ignore(key);
    if (image_size.height % patch_size.height != 0 || image_size.width % patch_size.width != 0)
      r.fail("image_size", "multiples of patch_size");
  }
  int64_t num_detection_tokens = 100;
  bool use_mid_position_embeddings = true;

  [[nodiscard]] int64_t tokens() const { return 1 + num_patches() + num_detection_tokens; }
};

struct YolosModel : Module<YolosConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "vit";

  Tensor hidden(const Inputs& in) const {  // -> [B, S, H]
    const Scope embeddings = at("embeddings");
    const Tensor patches = vit::patch_embeddings(embeddings / "patch_embeddings", c, in["pixel_values"]);
    const auto named = embeddings.named();
    Weight first = embeddings.weight("position_embeddings", {1, c.tokens(), c.hidden_size});
    first = with_tokens(first, embeddings.weight("cls_token", {1, 1, c.hidden_size}),
                        embeddings.weight("detection_tokens", {1, c.num_detection_tokens, c.hidden_size}));
    const Tensor pads = op::integers(patches.graph(), {0, 1, 0, 0, c.num_detection_tokens, 0});
    const Tensor x = op::emit("Pad", {image_to_tokens(patches), pads});
    at("encoder").ignore("mid_position_embeddings");  // Of a single layer, too: none.
    Tensor between;                                   // [layers - 1, S, H]
    if (c.use_mid_position_embeddings && c.num_hidden_layers > 1) {
      const int64_t gaps = c.num_hidden_layers - 1;
      const Weight mid =
          at("encoder").weight("mid_position_embeddings", {gaps, 1, c.tokens(), c.hidden_size});
      between = positions("mid_positions", mid.reshape({gaps, c.tokens(), c.hidden_size}), patches);
    }
    return vit::encode(
        scope, c, x + positions("positions", first, patches), [&](const Tensor& y, int64_t layer) {
          return between && layer + 1 < c.num_hidden_layers ? y + select(between, 0, layer) : y;
        });
  }
  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }

 private:
  // The tokens become part of their positions: an image adds none of its own.
  [[nodiscard]] Weight with_tokens(const Weight& all, const Weight& cls, const Weight& detection) const {
    const int64_t patches_end = 1 + c.num_patches();
    const Weight parts[] = {all.slice(1, 0, 1).add(cls), all.slice(1, 1, patches_end),
                            all.slice(1, patches_end, c.tokens()).add(detection)};
    return Weight::concat(parts, 1);
  }
  // [layers, 1 + patches + D, H] for the patches of an image: [layers, S, H]
  [[nodiscard]] Tensor positions(const char* name, const Weight& all, const Tensor& image) const {
    const int64_t patches_end = 1 + c.num_patches();
    const Scope place = at("embeddings") / name;
    const Tensor middle = interpolated_positions(place, all.slice(1, 1, patches_end), c.grid(), image);
    return op::concat({place.constant("first", all.slice(1, 0, 1)), middle,
                       place.constant("last", all.slice(1, patches_end, c.tokens()))},
                      1);
  }
};

struct YolosForObjectDetection : OverBody<YolosModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {
    const Tensor x = op::slice(body.hidden(in), 1, -c.num_detection_tokens, kEnd);  // [B, D, H]
    return {{"logits", mlp(at("class_labels_classifier.layers"), c.num_labels + 1, x)},
            {"pred_boxes", op::unary("Sigmoid", mlp(at("bbox_predictor.layers"), 4, x))}};
  }

 private:
  static constexpr int64_t kEnd = INT64_MAX;
  [[nodiscard]] Tensor mlp(const Scope& layers, int64_t out, const Tensor& x) const {
    const Tensor y = op::unary("Relu", Linear(layers / "0", c.hidden_size, c.hidden_size)(x));
    return Linear(layers / "2", c.hidden_size,
                  out)(op::unary("Relu", Linear(layers / "1", c.hidden_size, c.hidden_size)(y)));
  }
};

}  // namespace

Architecture arch() {
  return ArchBuilder<YolosConfig>("yolos")
      .prefix(YolosModel::base_model_prefix)
      .may_be_unused({"class_labels_classifier", "bbox_predictor", "vit.pooler"})
      .inputs([](const YolosConfig& c) {
        return std::vector{image_input({.num_channels = c.num_channels,
                                        .size = c.image_size,
                                        .least = std::max(c.patch_size.height, c.patch_size.width)})};
      })
      .body<YolosModel>("feature-extraction", "YolosModel")
      .output_axes({{"logits", {{1, "num_queries"}}}, {"pred_boxes", {{1, "num_queries"}}}})
      .task<YolosForObjectDetection>("object-detection", "YolosForObjectDetection");
}

}  // namespace ferry::models::yolos
