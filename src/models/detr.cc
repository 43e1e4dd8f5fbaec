// DETR: a convolutional backbone, a transformer over its last feature map, and queries that find objects
// there. Table Transformer is the same with norms before the layers. All of an image counts: there is no
// pixel_mask, as in Optimum's exports. Source: transformers 4.57.6, models/detr/modeling_detr.py,
// models/table_transformer/. Axes: B batch, N = h w tokens of the feature map, Q queries, D d_model.
#include <cmath>
#include <numbers>

#include "models/detr.h"
#include "models/image_encoders.h"

namespace ferry::models::detr {
using namespace nn;
namespace op = ir::op;

DetrConfig::DetrConfig(ConfigReader& r) : backbone(resnet::read_backbone(r)) {
  r.read("num_queries", num_queries, 1, 1 << 20);
  r.read("d_model", d_model);
  r.read("encoder_layers", encoder_layers, 0);
  r.read("encoder_ffn_dim", encoder_ffn_dim);
  r.read("encoder_attention_heads", encoder_attention_heads);
  r.read("decoder_layers", decoder_layers, 0);
  r.read("decoder_ffn_dim", decoder_ffn_dim);
  r.read("decoder_attention_heads", decoder_attention_heads);
  r.read_choice("activation_function", activation_function, activation_names());
  r.read_choice("position_embedding_type", position_embedding_type, {"sine", "learned"});
  r.read("auxiliary_loss", auxiliary_loss);
  for (const char* key :
       {"num_hidden_layers", "activation_dropout", "encoder_layerdrop", "decoder_layerdrop", "init_std",
        "init_xavier_std", "class_cost", "bbox_cost", "giou_cost", "mask_loss_coefficient",
        "dice_loss_coefficient", "bbox_loss_coefficient", "giou_loss_coefficient", "eos_coefficient",
        "scale_embedding", "max_position_embeddings"})
    r.ignore(key);
  if (d_model % encoder_attention_heads != 0 || d_model % decoder_attention_heads != 0)
    r.fail("d_model", "a multiple of both numbers of attention heads");
  if (d_model % (position_embedding_type == "sine" ? 4 : 2) != 0)
    r.fail("d_model",
           "a multiple of 4: a half each for rows and columns, of which a half each sines and cosines");
  num_labels = r.num_labels();
}

namespace {

constexpr float kEpsilon = 1e-5f;
constexpr int64_t kLearnedPositions = 50;  // Rows and columns that learned positions are for.

struct TableTransformerConfig : DetrConfig {
  explicit TableTransformerConfig(ConfigReader& r) : DetrConfig(r) { norms_first = true; }
};

// sin and cos of 1, 2, ..., count, the last of them a full turn, in count / 2 widening waves: [count, size]
Tensor waves(const Tensor& count, int64_t size) {
  constexpr float kTemperature = 10000;
  std::vector<float> lengths;
  for (int64_t i = 0; i < size / 2; ++i)
    lengths.push_back(std::pow(kTemperature, static_cast<float>(2 * i) / static_cast<float>(size)));
  const Tensor steps =
      op::cast(op::range(op::scalar(count.graph(), int64_t{1}), op::add(count, 1.0)), DType::f32);
  const Tensor turns = op::mul(steps / op::add(op::cast(count, DType::f32), 1e-6), 2 * std::numbers::pi);
  const Tensor angles = op::unsqueeze(turns, {1}) /
                        op::weight(count.graph(), "wave_lengths", Weight::from_f32({size / 2}, lengths));
  const Tensor pairs = op::concat(
      {op::unsqueeze(op::unary("Sin", angles), {2}), op::unsqueeze(op::unary("Cos", angles), {2})}, 2);
  return op::reshape(pairs, {0, size});
}

// The positions of an image [B, ?, h, w]: [N, D]. The first half tells the row and the second the column, or
// the other way round where they are learned.
Tensor positions(const Scope& place, const DetrConfig& c, const Tensor& image) {
  const auto named = place.named();
  const int64_t half = c.d_model / 2;
  const auto half_of = [&](const Tensor& table, bool first) {  // [n, D], zeros in the other half
    const std::vector<int64_t> pads = {0, first ? 0 : half, 0, first ? half : 0};
    return op::emit("Pad", {table, op::integers(table.graph(), pads)});
  };
  Tensor rows, columns;
  if (c.position_embedding_type == "sine") {
    rows = half_of(waves(op::size_of(image, 2), half), true);
    columns = half_of(waves(op::size_of(image, 3), half), false);
  } else {
    const Embedding row_embeddings(place / "row_embeddings", kLearnedPositions, half);
    const Embedding column_embeddings(place / "column_embeddings", kLearnedPositions, half);
    rows = half_of(row_embeddings.first_rows(op::shape_of(image, 2, 3)), false);
    columns = half_of(column_embeddings.first_rows(op::shape_of(image, 3, 4)), true);
  }
  const Tensor both = op::unsqueeze(rows, {1}) + columns;  // [h, w, D]
  return op::cast(op::reshape(both, {-1, c.d_model}), image.dtype());
}

struct DetrAttention : Module<DetrConfig> {
  DetrAttention(Scope place, const DetrConfig& config, int64_t num_heads)
      : Module(std::move(place), config), heads(num_heads) {}
  int64_t heads;
  Linear q_proj{at("q_proj"), c.d_model, c.d_model};
  Linear k_proj{at("k_proj"), c.d_model, c.d_model};
  Linear v_proj{at("v_proj"), c.d_model, c.d_model};
  Linear out_proj{at("out_proj"), c.d_model, c.d_model};

  Tensor operator()(const Tensor& q, const Tensor& k, const Tensor& v) const {
    const auto named = scope.named();
    return out_proj(op::attention(q_proj(q), k_proj(k), v_proj(v), {.heads = heads}));
  }
};

// A part of a layer with its residual and its norm, which comes before or after.
struct Residual : Module<DetrConfig> {
  using Module::Module;
  LayerNorm norm{scope, c.d_model, kEpsilon};

  template <typename Part>
  Tensor operator()(const Tensor& x, const Part& part) const {
    return c.norms_first ? x + part(norm(x)) : norm(x + part(x));
  }
};

struct FeedForward : Module<DetrConfig> {
  FeedForward(Scope layer, const DetrConfig& config, int64_t width)
      : Module(std::move(layer), config), inner(width) {}
  int64_t inner;
  Linear fc1{at("fc1"), c.d_model, inner};
  Linear fc2{at("fc2"), inner, c.d_model};

  Tensor operator()(const Tensor& x) const {
    const Scope function = at("activation_fn");
    return fc2(activation(c.activation_function, fc1(x), &function));
  }
};

struct DetrEncoderLayer : Module<DetrConfig> {
  using Module::Module;
  DetrAttention self_attn{at("self_attn"), c, c.encoder_attention_heads};
  Residual after_self{at("self_attn_layer_norm"), c};
  FeedForward feed_forward{scope, c, c.encoder_ffn_dim};
  Residual after_all{at("final_layer_norm"), c};

  Tensor operator()(const Tensor& x, const Tensor& pos) const {  // [B, N, D] -> [B, N, D]
    const auto named = scope.named();
    const Tensor y = after_self(x, [&](const Tensor& v) { return self_attn(v + pos, v + pos, v); });
    return after_all(y, feed_forward);
  }
};

struct DetrDecoderLayer : Module<DetrConfig> {
  using Module::Module;
  DetrAttention self_attn{at("self_attn"), c, c.decoder_attention_heads};
  Residual after_self{at("self_attn_layer_norm"), c};
  DetrAttention encoder_attn{at("encoder_attn"), c, c.decoder_attention_heads};
  Residual after_encoder{at("encoder_attn_layer_norm"), c};
  FeedForward feed_forward{scope, c, c.decoder_ffn_dim};
  Residual after_all{at("final_layer_norm"), c};

  // x [B, Q, D], or [1, Q, D] where it is the same for all images; keys: memory and its positions.
  Tensor operator()(const Tensor& x, const Tensor& queries, const Tensor& keys, const Tensor& memory) const {
    const auto named = scope.named();
    Tensor y = after_self(x, [&](const Tensor& v) { return self_attn(v + queries, v + queries, v); });
    if (y.dim(0) != memory.dim(0)) y = for_each_image(y, memory);
    y = after_encoder(y, [&](const Tensor& v) { return encoder_attn(v + queries, keys, memory); });
    return after_all(y, feed_forward);
  }

 private:
  [[nodiscard]] Tensor for_each_image(const Tensor& y, const Tensor& memory) const {
    const Tensor rest = op::integers(y.graph(), {c.num_queries, c.d_model});
    return op::expand(y, op::concat({op::shape_of(memory, 0, 1), rest}, 0));
  }
};

struct DetrModel : Module<DetrConfig> {
  using Module::Module;

  DetrResult run(const Inputs& in) const {
    DetrResult out;
    const Scope backbone = at("backbone");
    const auto maps =
        resnet::feature_maps(backbone / "conv_encoder.model", c.backbone.config, in["pixel_values"]);
    for (const size_t stage : c.backbone.features) out.features.push_back(maps.at(stage));
    const Tensor& image = out.features.back();
    const Tensor pos = positions(backbone / "position_embedding", c, image);
    out.projected = Conv(at("input_projection"), *image.dim(1).constant(), c.d_model, 1)(image);
    out.memory = encode(image_to_tokens(out.projected), pos);
    out.last_hidden_state = decode(out.memory, pos);
    return out;
  }
  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", run(in).last_hidden_state}}; }

 private:
  [[nodiscard]] Tensor encode(const Tensor& tokens, const Tensor& pos) const {
    const Scope encoder = at("encoder");
    Tensor x = tokens;
    for (const DetrEncoderLayer& layer : List<DetrEncoderLayer>(encoder / "layers", c.encoder_layers, c))
      x = layer(x, pos);
    return c.norms_first ? LayerNorm(encoder / "layernorm", c.d_model, kEpsilon)(x) : x;
  }
  [[nodiscard]] Tensor decode(const Tensor& memory, const Tensor& pos) const {
    const Scope decoder = at("decoder");
    const LayerNorm layernorm(decoder / "layernorm", c.d_model, kEpsilon);
    const Tensor queries = Embedding(at("query_position_embeddings"), c.num_queries, c.d_model).weight();
    const Tensor keys = memory + pos;
    Tensor x =
        op::weight(scope.graph(), "queries", Weight::zeros(memory.dtype(), {1, c.num_queries, c.d_model}));
    for (const DetrDecoderLayer& layer : List<DetrDecoderLayer>(decoder / "layers", c.decoder_layers, c)) {
      x = layer(x, queries, keys, memory);
      if (c.auxiliary_loss) x = layernorm(x);
    }
    return layernorm(x);
  }
};

struct DetrForObjectDetection : Module<DetrConfig> {
  using Module::Module;
  DetrModel model{at("model"), c};

  [[nodiscard]] Tensor logits(const Tensor& x) const {  // -> [B, Q, labels + 1]: the last is no object
    return Linear(at("class_labels_classifier"), c.d_model, c.num_labels + 1)(x);
  }
  [[nodiscard]] Tensor boxes(const Tensor& x) const {  // -> [B, Q, 4]
    const Scope layers = at("bbox_predictor.layers");
    const Tensor y = op::unary("Relu", Linear(layers / "0", c.d_model, c.d_model)(x));
    const Tensor z = op::unary("Relu", Linear(layers / "1", c.d_model, c.d_model)(y));
    return op::unary("Sigmoid", Linear(layers / "2", c.d_model, 4)(z));
  }
  Outputs operator()(const Inputs& in) const {
    const Tensor x = model.run(in).last_hidden_state;
    return {{"logits", logits(x)}, {"pred_boxes", boxes(x)}};
  }
};

struct DetrForSegmentation : Module<DetrConfig> {
  using Module::Module;
  DetrForObjectDetection detr{at("detr"), c};

  Outputs operator()(const Inputs& in) const {
    const DetrResult result = detr.model.run(in);
    scope.ignore("detr.bbox_predictor");  // Boxes are no result here.
    return {{"logits", detr.logits(result.last_hidden_state)}, {"pred_masks", masks(scope, c, result)}};
  }
};

std::vector<InputSpec> images(const DetrConfig& c) {
  return {image_input({.num_channels = c.backbone.config.num_channels})};
}

OutputAxes query_axes() {
  return {{"logits", {{1, "num_queries"}}},
          {"pred_boxes", {{1, "num_queries"}}},
          {"pred_masks", {{1, "num_queries"}}}};
}

}  // namespace

Architecture arch() {
  return ArchBuilder<DetrConfig>("detr")
      .prefix("model")
      .may_be_unused({"class_labels_classifier", "bbox_predictor", "detr", "mask_head", "bbox_attention",
                      "*.num_batches_tracked"})
      .inputs(images)
      .body<DetrModel>("feature-extraction", "DetrModel")
      .output_axes(query_axes())
      .task<DetrForObjectDetection>("object-detection", "DetrForObjectDetection")
      .task<DetrForSegmentation>("image-segmentation", "DetrForSegmentation");
}

Architecture table_transformer_arch() {
  return ArchBuilder<TableTransformerConfig>("table-transformer")
      .prefix("model")
      .may_be_unused({"class_labels_classifier", "bbox_predictor", "*.num_batches_tracked"})
      .inputs(images)
      .body<DetrModel>("feature-extraction", "TableTransformerModel")
      .output_axes(query_axes())
      .task<DetrForObjectDetection>("object-detection", "TableTransformerForObjectDetection");
}

}  // namespace ferry::models::detr
