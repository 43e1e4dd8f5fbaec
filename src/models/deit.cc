// DeiT: ViT with a second token, which learned from a teacher.
// Source: transformers 4.57.6, models/deit/modeling_deit.py.
#include "models/image_encoders.h"
#include "models/vit.h"

namespace ferry::models::vit {
using namespace nn;

Tensor DeiTModel::hidden(const Inputs& in) const {
  const Scope embeddings = at("embeddings");
  const Tensor patches = patch_embeddings(embeddings / "patch_embeddings", c, in["pixel_values"]);
  const Dims one = {1, 1, c.hidden_size};
  const Weight both[] = {embeddings.weight("cls_token", one), embeddings.weight("distillation_token", one)};
  const TokensAndPositions tokens{
      embeddings.weight("position_embeddings", {1, 2 + c.num_patches(), c.hidden_size}),
      Weight::concat(both, 1)};
  return encode(scope, c, tokens.add_to(embeddings, image_to_tokens(patches)));
}

}  // namespace ferry::models::vit

namespace ferry::models::deit {
using namespace nn;
using vit::DeiTModel;
using vit::ViTConfig;

Architecture arch() {
  return ArchBuilder<ViTConfig>("deit")
      .prefix(DeiTModel::base_model_prefix)
      .may_be_unused({"classifier", "cls_classifier", "distillation_classifier", "decoder", "deit.pooler",
                      "deit.embeddings.mask_token"})
      .inputs([](const ViTConfig& c) { return c.image_inputs(); })
      .encodes(encoder_side<DeiTModel>("pixel_values"))
      .body<DeiTModel>("feature-extraction", "DeiTModel")
      .task<vit::FirstTokenForImageClassification<DeiTModel>>("image-classification",
                                                              "DeiTForImageClassification")
      .task<vit::ForMaskedImageModeling<DeiTModel>>("masked-im", "DeiTForMaskedImageModeling");
}

}  // namespace ferry::models::deit
