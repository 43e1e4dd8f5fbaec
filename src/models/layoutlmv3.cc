// LayoutLMv3: the words of a page with their places, and the patches of its picture, read together.
// Source: transformers 4.57.6, models/layoutlmv3/modeling_layoutlmv3.py. Axes: B batch, S words' tokens, P
// patches and the token before them, T = S + P, H hidden size, h heads.
#include <cmath>

#include "models/roberta.h"
#include "models/text_encoders.h"
#include "nn/image.h"
#include "nn/relative_positions.h"

namespace ferry::models::layoutlmv3 {
using namespace nn;
namespace op = ir::op;

struct LayoutLMv3Config : bert::BertConfig {
  explicit LayoutLMv3Config(ConfigReader& r) {
    vocab_size = 50265;
    layer_norm_eps = 1e-5f;
    read(r);
    if (is_decoder) r.fail("is_decoder", "false");
    pad_token_id = roberta::read_pad_token_id(r, *this);
    r.read("max_2d_position_embeddings", max_2d_position_embeddings, 2);
    r.read("coordinate_size", coordinate_size);
    r.read("shape_size", shape_size);
    if (4 * coordinate_size + 2 * shape_size != hidden_size)
      r.fail("hidden_size", "4 coordinate_size + 2 shape_size: what they make is added to the words");
    r.read("has_relative_attention_bias", has_relative_attention_bias);
    r.read("has_spatial_attention_bias", has_spatial_attention_bias);
    read_buckets(r, "rel_pos_bins", "max_rel_pos", positions);
    read_buckets(r, "rel_2d_pos_bins", "max_rel_2d_pos", places);
    r.read("input_size", input_size, 1, 1 << 14);
    r.read("patch_size", patch_size, 1, input_size);
    r.read("num_channels", num_channels);
    r.only("text_embed", true);
    r.only("visual_embed", true);
  }
  int64_t pad_token_id = 1;
  int64_t max_2d_position_embeddings = 1024;
  int64_t coordinate_size = 128, shape_size = 128;
  bool has_relative_attention_bias = true, has_spatial_attention_bias = true;
  BucketOptions positions{.buckets = 32, .max_distance = 128};
  BucketOptions places{.buckets = 64, .max_distance = 256};
  int64_t input_size = 224, patch_size = 16, num_channels = 3;

  /// Patches a side.
  [[nodiscard]] int64_t side() const { return input_size / patch_size; }
  [[nodiscard]] int64_t visual_tokens() const { return side() * side() + 1; }

  /// Optimum's, whose order and axes depend on the task.
  [[nodiscard]] std::vector<InputSpec> inputs(bool bbox_first) const {
    auto specs = nn::text_inputs({vocab_size, std::nullopt, max_position_embeddings - pad_token_id - 1});
    const InputSpec bbox{"bbox",
                         DType::i64,
                         {"batch_size", "sequence_length", int64_t{4}},
                         {Fill::Kind::ids, 0, static_cast<double>(max_2d_position_embeddings)}};
    specs.insert(bbox_first ? specs.begin() + 1 : specs.end(), bbox);
    InputSpec pixels =
        image_input({.num_channels = num_channels, .size = Size{input_size, input_size}, .any_size = false});
    if (bbox_first) {
      pixels.axes[2] = pixels.axes[3] = input_size;
      for (auto* sizes : {&pixels.least, &pixels.most, &pixels.usual}) {
        for (const char* axis : {"height", "width"}) sizes->erase(axis);
      }
    }
    specs.push_back(pixels);
    return specs;
  }

 private:
  static void read_buckets(ConfigReader& r, const char* count, const char* distance, BucketOptions& options) {
    r.read(count, options.buckets, 4, 1 << 16);
    r.read(distance, options.max_distance, 1, 1 << 20);
    if (options.max_distance <= options.buckets / 4) r.fail(distance, "more than a quarter of the bins");
  }
};

struct LayoutLMv3TextEmbeddings : Module<LayoutLMv3Config> {
  using Module::Module;
  Embedding word_embeddings{at("word_embeddings"), c.vocab_size, c.hidden_size};
  Embedding token_type_embeddings{at("token_type_embeddings"), c.type_vocab_size, c.hidden_size};
  Embedding position_embeddings{at("position_embeddings"), c.max_position_embeddings, c.hidden_size};
  Embedding x{at("x_position_embeddings"), c.max_2d_position_embeddings, c.coordinate_size};
  Embedding y{at("y_position_embeddings"), c.max_2d_position_embeddings, c.coordinate_size};
  Embedding h{at("h_position_embeddings"), c.max_2d_position_embeddings, c.shape_size};
  Embedding w{at("w_position_embeddings"), c.max_2d_position_embeddings, c.shape_size};
  LayerNorm norm{at("LayerNorm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(const Tensor& ids, const Tensor& bbox) const {  // i64[B, S], i64[B, S, 4] -> [B, S, H]
    const auto named = scope.named();
    const Tensor words = word_embeddings(ids) + select(token_type_embeddings.weight(), 0, 0) +
                         position_embeddings(positions_without_padding(ids, c.pad_token_id));
    return norm(words + places(bbox));
  }

 private:
  [[nodiscard]] Tensor places(const Tensor& bbox) const {
    const Tensor left = select(bbox, 2, 0), upper = select(bbox, 2, 1);
    const Tensor right = select(bbox, 2, 2), lower = select(bbox, 2, 3);
    const auto extent = [](const Tensor& from, const Tensor& to) { return op::clip(to - from, 0.0, 1023.0); };
    return op::concat(
        {x(left), y(upper), x(right), y(lower), h(extent(upper, lower)), w(extent(left, right))}, -1);
  }
};

struct LayoutLMv3SelfAttention : Module<LayoutLMv3Config> {
  using Module::Module;
  Linear query{at("query"), c.hidden_size, c.hidden_size};
  Linear key{at("key"), c.hidden_size, c.hidden_size};
  Linear value{at("value"), c.hidden_size, c.hidden_size};

  // The source's softmax of scaled-down scores is one that overflows later in half precision.
  Tensor operator()(const Tensor& x, const Tensor& mask) const {  // [B, T, H] -> [B, T, H]
    const auto named = scope.named();
    return op::attention(query(x), key(x), value(x), {.mask = mask, .heads = c.num_attention_heads});
  }
};

struct LayoutLMv3Layer : Module<LayoutLMv3Config> {
  using Module::Module;
  LayoutLMv3SelfAttention self{at("attention.self"), c};
  bert::BertOutput attention_output{at("attention.output"), c, c.hidden_size};
  bert::BertIntermediate intermediate{at("intermediate"), c};
  bert::BertOutput output{at("output"), c, c.intermediate_size};

  Tensor operator()(const Tensor& x, const Tensor& mask) const {  // [B, T, H] -> [B, T, H]
    const Tensor y = attention_output(self(x, mask), x);
    return output(intermediate(y), y);
  }
};

struct LayoutLMv3Encoder : Module<LayoutLMv3Config> {
  using Module::Module;
  List<LayoutLMv3Layer> layer{at("layer"), c.num_hidden_layers, c};

  /// x [B, T, H], mask [B, 1, 1, T], position_ids i64[T], bbox i64[B, T, 4] -> [B, T, H]
  Tensor operator()(Tensor x, Tensor mask, const Tensor& position_ids, const Tensor& bbox) const {
    for (const char* name : {"rel_pos_bias", "rel_pos_x_bias", "rel_pos_y_bias"}) scope.ignore(name);
    // Without relative positions in the text, those on the page are not used either.
    if (c.has_relative_attention_bias) {
      Tensor bias = op::unsqueeze(by_distance("rel_pos_bias", c.positions, position_ids), {0});
      if (c.has_spatial_attention_bias) {
        const auto on_page = [&](const char* name, int64_t corner) {  // [B, h, T, T]
          return op::transpose(by_distance(name, c.places, select(bbox, 2, corner)), {1, 0, 2, 3});
        };
        bias = bias + (on_page("rel_pos_x_bias", 0) + on_page("rel_pos_y_bias", 3));
      }
      mask = mask + bias * (1 / std::sqrt(static_cast<double>(c.head_size())));
    }
    for (const LayoutLMv3Layer& one : layer) x = one(x, mask);
    return x;
  }

 private:
  // The entries for the distances between all pairs, key minus query: i64[..., T] -> [h, ..., T, T]
  [[nodiscard]] Tensor by_distance(const char* name, const BucketOptions& options,
                                   const Tensor& places) const {
    const auto named = at(name).named();
    std::vector<int64_t> buckets;
    for (int64_t distance = -options.max_distance; distance <= options.max_distance; ++distance)
      buckets.push_back(relative_position_bucket(distance, options));
    const Tensor table = at(name).parameter("weight", {c.num_attention_heads, options.buckets});
    const Tensor rows = op::gather(table, op::integers(scope.graph(), buckets), 1);
    const auto rank = static_cast<int64_t>(places.rank());
    const Tensor distance = op::unsqueeze(places, {rank - 1}) - op::unsqueeze(places, {rank});
    const auto most = static_cast<double>(options.max_distance);
    return op::gather(rows, op::add(op::clip(distance, -most, most), most), 1);
  }
};

struct LayoutLMv3Model : Module<LayoutLMv3Config> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "layoutlmv3";
  LayoutLMv3TextEmbeddings embeddings{at("embeddings"), c};
  LayoutLMv3Encoder encoder{at("encoder"), c};
  LayerNorm norm{at("norm"), c.hidden_size, 1e-6f};
  LayerNorm both_norm{at("LayerNorm"), c.hidden_size, c.layer_norm_eps};

  Tensor hidden(const Inputs& in) const {  // [B, T, H]
    const Tensor ids = in["input_ids"], bbox = in["bbox"];
    const Tensor x = op::concat({embeddings(ids, bbox), visual(in["pixel_values"])}, 1);
    const auto named = scope.named();
    const int64_t tokens = c.visual_tokens();
    const Tensor batch = op::shape_of(ids, 0, 1);
    const Tensor ones = op::expand(op::integers(ids.graph(), {1}),
                                   op::concat({batch, op::integers(ids.graph(), {tokens})}, 0));
    const Tensor mask = additive_mask(op::concat({in["attention_mask"], ones}, 1), x.dtype());
    const Tensor boxes = op::expand(scope.constant("visual_bbox", visual_bbox()),
                                    op::concat({batch, op::integers(ids.graph(), {tokens, 4})}, 0));
    const auto counted = [&](const Tensor& end) {
      return op::range(op::scalar(ids.graph(), int64_t{0}), end);
    };
    const Tensor position_ids =
        op::concat({counted(op::size_of(ids, 1)), counted(op::scalar(ids.graph(), tokens))}, 0);
    return encoder(both_norm(x), mask, position_ids, op::concat({bbox, boxes}, 1));
  }

  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }

 private:
  [[nodiscard]] Tensor visual(const Tensor& pixel_values) const {  // -> [B, P, H]
    const std::vector<int64_t> patch = {c.patch_size, c.patch_size};
    const Conv proj(at("patch_embed.proj"), c.num_channels, c.hidden_size,
                    {.kernel = patch, .stride = patch});
    const TokensAndPositions places{scope.weight("pos_embed", {1, c.visual_tokens(), c.hidden_size}),
                                    scope.weight("cls_token", {1, 1, c.hidden_size})};
    return norm(places.add_to(scope, image_to_tokens(proj(pixel_values))));
  }
  // Of the token before the patches, and of the patches, row by row, on a page of 1000 by 1000: [P, 4]
  [[nodiscard]] Weight visual_bbox() const {
    constexpr int64_t kPage = 1000;
    std::vector<int64_t> boxes = {1, 1, kPage - 1, kPage - 1};
    const int64_t side = c.side();
    const auto line = [&](int64_t i) { return kPage * i / side; };
    for (int64_t row = 0; row < side; ++row) {
      for (int64_t column = 0; column < side; ++column) {
        for (const int64_t edge : {line(column), line(row), line(column + 1), line(row + 1)})
          boxes.push_back(edge);
      }
    }
    return Weight::from_i64({c.visual_tokens(), 4}, boxes);
  }
};

// dense, tanh and out_proj, for each token of x.
Tensor token_head(const Scope& place, const LayoutLMv3Config& c, int64_t labels, const Tensor& x) {
  const Linear dense(place / "dense", c.hidden_size, c.hidden_size);
  return Linear(place / "out_proj", c.hidden_size, labels)(op::unary("Tanh", dense(x)));
}

struct LayoutLMv3ForTokenClassification : OverBody<LayoutLMv3Model> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, S, labels]
    constexpr int64_t kFew = 10;
    const Tensor all = body.hidden(in), length = op::shape_of(in["input_ids"], 1, 2);
    const Tensor x = op::slice(all, 1, op::integers(all.graph(), {0}), length);
    if (c.num_labels >= kFew) return {{"logits", token_head(at("classifier"), c, c.num_labels, x)}};
    return {{"logits", Linear(at("classifier"), c.hidden_size, c.num_labels)(x)}};
  }
};

struct LayoutLMv3ForQuestionAnswering : OverBody<LayoutLMv3Model> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> 2 x [B, T]
    return span_logits(token_head(at("qa_outputs"), c, 2, body.hidden(in)));
  }
};

Architecture arch() {
  const auto inputs = [](bool bbox_first) {
    return [bbox_first](const LayoutLMv3Config& c) { return c.inputs(bbox_first); };
  };
  const std::map<size_t, std::string> tokens = {{1, "sequence_length"}};
  return ArchBuilder<LayoutLMv3Config>("layoutlmv3")
      .prefix(LayoutLMv3Model::base_model_prefix)
      .may_be_unused({"classifier", "qa_outputs", "*.position_ids"})
      .inputs(inputs(true))
      .output_axes(OutputAxes{{"last_hidden_state", tokens}})
      .body<LayoutLMv3Model>("feature-extraction", "LayoutLMv3Model")
      .task<LayoutLMv3ForTokenClassification>("token-classification", "LayoutLMv3ForTokenClassification")
      .inputs(inputs(false))
      .output_axes(OutputAxes{{"start_logits", tokens}, {"end_logits", tokens}})
      .task<LayoutLMv3ForQuestionAnswering>("question-answering", "LayoutLMv3ForQuestionAnswering")
      .task<FirstTokenForSequenceClassification<LayoutLMv3Model>>("text-classification",
                                                                  "LayoutLMv3ForSequenceClassification");
}

}  // namespace ferry::models::layoutlmv3
