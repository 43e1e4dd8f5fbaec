// Swin: attention within windows that every other layer shifts, over images that shrink from stage to stage.
//
// Tokens move into windows and back by one Gather each: its indices, one set a stage and kind of layer, hold
// the padding (a token of zeros behind the others), the shift and the order within windows. Source:
// transformers 4.57.6, models/swin/modeling_swin.py. Axes: B batch, N = H W tokens, C channels, n windows of
// S = window_size^2 tokens, h heads.
#include <algorithm>
#include <cmath>

#include "models/image_encoders.h"
#include "nn/encoder.h"
#include "nn/image.h"

namespace ferry::models::swin {
using namespace nn;
namespace op = ir::op;

namespace {

constexpr float kEpsilon = 1e-5f;  // Of the norms between stages.
constexpr size_t kMostStages = 12;

struct SwinConfig {
  explicit SwinConfig(ConfigReader& r) {
    read_size(r, "image_size", image_size);
    read_size(r, "patch_size", patch_size);
    r.read("num_channels", num_channels);
    r.read("embed_dim", embed_dim, 1, 1 << 16);
    read_sizes(r, "depths", depths);
    if (depths.size() > kMostStages) r.fail("depths", "at most 12 stages");
    read_sizes(r, "num_heads", num_heads, depths.size());
    r.read("window_size", window_size, 1, 64);
    r.read("mlp_ratio", mlp_ratio);
    r.read("qkv_bias", qkv_bias);
    r.read_choice("hidden_act", hidden_act, activation_names());
    r.read("layer_norm_eps", layer_norm_eps);
    r.read("encoder_stride", encoder_stride, 1, 1024);
    // transformers adds one position more than there are patches, which fails.
    r.only("use_absolute_embeddings", false);
    r.must_be_empty("pruned_heads");
    for (const char* key : {"drop_path_rate", "num_layers", "hidden_size", "path_norm", "out_features",
                            "out_indices", "stage_names"})
      r.ignore(key);
    for (size_t i = 0; i < depths.size(); ++i) {
      if (width(i) % num_heads[i] != 0) r.fail("num_heads", "divisors of embed_dim, doubled a stage");
      if (depths[i] > 1000) r.fail("depths", "at most 1000 layers a stage");
    }
    if (!(mlp_ratio > 0 && mlp_ratio < 1024)) r.fail("mlp_ratio", "a number from 0 to 1024");
    num_labels = labels_or_none(r);
  }
  Size image_size{224, 224};
  Size patch_size{4, 4};
  int64_t num_channels = 3;
  int64_t embed_dim = 96;
  std::vector<int64_t> depths = {2, 2, 6, 2};
  std::vector<int64_t> num_heads = {3, 6, 12, 24};
  int64_t window_size = 7;
  double mlp_ratio = 4;
  bool qkv_bias = true;
  std::string hidden_act = "gelu";
  float layer_norm_eps = 1e-5f;
  int64_t encoder_stride = 32;
  bool final_norm = true;
  int64_t num_labels = 2;

  [[nodiscard]] int64_t width(size_t stage) const { return embed_dim << stage; }
  [[nodiscard]] int64_t last_width() const { return width(depths.size() - 1); }
  /// No stage's image may be smaller than a window.
  [[nodiscard]] int64_t least_image() const {
    const int64_t shrinks = std::max(patch_size.height, patch_size.width) << (depths.size() - 1);
    return (window_size - 1) * shrinks + 1;
  }
};

// How many rows and columns of tokens an image has, scalars i64.
struct Grid {
  Tensor height, width;

  [[nodiscard]] Tensor count() const { return height * width; }
  [[nodiscard]] ir::Graph& graph() const { return height.graph(); }
};

Tensor up_to(const Tensor& limit) {  // 0, 1, ..., limit - 1
  return op::range(op::scalar(limit.graph(), int64_t{0}), limit);
}
Tensor mod(const Tensor& a, const Tensor& b) {
  return op::emit("Mod", {a, b});
}
Tensor whole(const Tensor& condition) {
  return op::cast(condition, DType::i64);
}

// Where the rows or the columns of an image are, moved back by `shift` (empty: not at all) within their
// number, padded to a multiple of `window`.
struct Side {
  Side(const Tensor& length, int64_t window, const Tensor& by)
      : size(length),
        shift(by),
        windows(op::div(op::add(length, static_cast<double>(window - 1)), static_cast<double>(window))),
        padded(op::mul(windows, static_cast<double>(window))) {}
  Tensor size, shift, windows, padded;

  /// Which of the image's rows stands at each place; those from `size` on are padding.
  [[nodiscard]] Tensor rows_at_places() const {
    const Tensor places = up_to(padded);
    return shift ? mod(places + shift, padded) : places;
  }
  /// Where each of the image's rows stands.
  [[nodiscard]] Tensor places_of_rows() const {
    const Tensor rows = up_to(size);
    return shift ? mod(rows + (padded - shift), padded) : rows;
  }
  /// Rows times `step`, `outside` where there is none.
  [[nodiscard]] Tensor offsets(const Tensor& step, const Tensor& outside) const {
    const Tensor rows = rows_at_places();
    return op::where(op::emit("Less", {rows, size}), step ? rows * step : rows, outside);
  }
  /// 0, 1 or 2: before the last window, in it, or in it and moved there from the other side.
  [[nodiscard]] Tensor regions(int64_t window) const {
    const Tensor places = up_to(padded);
    const Tensor last = op::add(padded, -static_cast<double>(window));
    return whole(op::emit("GreaterOrEqual", {places, last})) +
           whole(op::emit("GreaterOrEqual", {places, padded - shift}));
  }
};

// Tokens i64[n, S] of each window; the number of tokens stands for padding. Within a window they go row by
// row or, if `by_column`, column by column.
Tensor tokens_of_windows(const Grid& grid, int64_t window, const Tensor& shift, bool by_column = false) {
  const Tensor count = grid.count();
  const Side height(grid.height, window, shift), width(grid.width, window, shift);
  const Tensor down = height.offsets(grid.width, count), across = width.offsets({}, count);
  const Tensor sum = by_column ? op::reshape(down, {-1, 1, 1, window}) + op::reshape(across, {-1, window, 1})
                               : op::reshape(down, {-1, 1, window, 1}) + op::reshape(across, {-1, 1, window});
  return op::reshape(op::emit("Min", {sum, count}), {-1, window * window});
}

// Where each token i64[N] stands in the windows one after the other.
Tensor places_in_windows(const Grid& grid, int64_t window, const Tensor& shift) {
  const auto w = static_cast<double>(window);
  const Side height(grid.height, window, shift), width(grid.width, window, shift);
  const auto split = [&](const Side& side, const Tensor& a_window, double step) {
    const Tensor places = side.places_of_rows();
    return op::div(places, w) * a_window + op::mul(mod(places, op::scalar(grid.graph(), window)), step);
  };
  const Tensor a_window = op::scalar(grid.graph(), window * window);
  const Tensor down = split(height, op::mul(width.windows, w * w), w), across = split(width, a_window, 1);
  return op::reshape(op::unsqueeze(down, {1}) + across, {-1});
}

// -100 between tokens that the shift brought from different sides: [n, 1, S, S].
Tensor mask_of_windows(const Grid& grid, int64_t window, const Tensor& shift, DType dtype) {
  const Side height(grid.height, window, shift), width(grid.width, window, shift);
  const Tensor down = op::reshape(op::mul(height.regions(window), 3.0), {-1, 1, window, 1});
  const Tensor across = op::reshape(width.regions(window), {-1, 1, window});
  const Tensor regions = op::reshape(down + across, {-1, window * window});
  const Tensor same =
      op::emit("Equal", {op::unsqueeze(regions, {1, 2}), op::unsqueeze(regions, {1, 3})});  // [n, 1, S, S]
  const Tensor zero = op::scalar(grid.graph(), 0.0f, dtype);
  return op::where(same, zero, op::scalar_like(zero, -100.0));
}

// By how much the shifted layers of an image shift: not at all where it is a single window high or wide.
Tensor shift_of(const Grid& grid, int64_t window) {
  const Tensor least = op::emit("Min", {grid.height, grid.width});
  const Tensor single = op::emit("LessOrEqual", {least, op::scalar(grid.graph(), window)});
  return op::where(single, op::scalar(grid.graph(), int64_t{0}), op::scalar(grid.graph(), window / 2));
}

// What all layers of one kind of a stage share.
struct Windows {
  Windows(const Grid& grid, int64_t window, const Tensor& shift, DType dtype)
      : tokens(tokens_of_windows(grid, window, shift)), places(places_in_windows(grid, window, shift)) {
    if (shift) mask = mask_of_windows(grid, window, shift, dtype);
  }
  Tensor tokens, places, mask;
};

Tensor with_padding_token(const Tensor& x) {  // [B, N, C] -> [B, N + 1, C]
  return op::emit("Pad", {x, op::integers(x.graph(), {0, 0, 0, 0, 1, 0})});
}

struct SwinSelfAttention : Module<SwinConfig> {
  SwinSelfAttention(Scope place, const SwinConfig& config, size_t stage)
      : Module(std::move(place), config), dim(c.width(stage)), heads(c.num_heads[stage]) {}
  int64_t dim, heads;
  Linear query{at("query"), dim, dim, c.qkv_bias};
  Linear key{at("key"), dim, dim, c.qkv_bias};
  Linear value{at("value"), dim, dim, c.qkv_bias};

  Tensor operator()(const Tensor& x, const Tensor& mask) const {  // [B, n, S, C] -> [B, n, S, C]
    const auto named = scope.named();
    const int64_t size = dim / heads;
    const auto split = [&](const Tensor& y) { return op::reshape(y, {0, 0, 0, heads, size}); };
    const Tensor q =
        op::transpose(split(query(x)), {0, 1, 3, 2, 4}) * (1 / std::sqrt(static_cast<double>(size)));
    const Tensor k = op::transpose(split(key(x)), {0, 1, 3, 4, 2});
    const Tensor v = op::transpose(split(value(x)), {0, 1, 3, 2, 4});
    const Tensor bias = mask ? position_bias() + mask : position_bias();
    const Tensor y = op::matmul(op::softmax(op::matmul(q, k) + bias), v);  // [B, n, h, S, size]
    return op::reshape(op::transpose(y, {0, 1, 3, 2, 4}), {0, 0, 0, dim});
  }

 private:
  [[nodiscard]] Tensor position_bias() const {  // [h, S, S]
    const int64_t w = c.window_size, span = 2 * w - 1, area = w * w;
    const Weight table = scope.weight("relative_position_bias_table", {span * span, heads});
    scope.ignore("relative_position_index");
    std::vector<int64_t> index;
    for (int64_t a = 0; a < area; ++a) {
      for (int64_t b = 0; b < area; ++b)
        index.push_back((a / w - b / w + w - 1) * span + a % w - b % w + w - 1);
    }
    const Tensor rows =
        op::weight(scope.graph(), "relative_position_index", Weight::from_i64({area, area}, index));
    return op::gather(scope.constant("relative_position_bias_table", table.transpose()), rows, 1);
  }
};

struct SwinLayer : Module<SwinConfig> {
  SwinLayer(Scope place, const SwinConfig& config, size_t stage)
      : Module(std::move(place), config), i(stage) {}
  size_t i;
  int64_t dim = c.width(i);
  int64_t inner = static_cast<int64_t>(c.mlp_ratio * static_cast<double>(dim));
  LayerNorm layernorm_before{at("layernorm_before"), dim, c.layer_norm_eps};
  SwinSelfAttention attention{at("attention.self"), c, i};
  Linear attention_output{at("attention.output.dense"), dim, dim};
  LayerNorm layernorm_after{at("layernorm_after"), dim, c.layer_norm_eps};
  Linear intermediate{at("intermediate.dense"), dim, inner};
  Linear output{at("output.dense"), inner, dim};

  Tensor operator()(const Tensor& x, const Windows& windows) const {  // [B, N, C] -> [B, N, C]
    const auto named = scope.named();
    const Scope function = at("intermediate.intermediate_act_fn");
    const Tensor in = op::gather(with_padding_token(layernorm_before(x)), windows.tokens, 1);  // [B, n, S, C]
    const Tensor out = op::reshape(attention_output(attention(in, windows.mask)), {0, -1, dim});
    const Tensor y = x + op::gather(out, windows.places, 1);
    return y + output(activation(c.hidden_act, intermediate(layernorm_after(y)), &function));
  }
};

// Four neighbours become one token: [B, N, C] -> [B, N / 4, 2 C]
Tensor merge_patches(const Scope& place, int64_t width, const Grid& grid, const Tensor& x) {
  const auto named = place.named();
  const Tensor four = op::gather(with_padding_token(x), tokens_of_windows(grid, 2, {}, true), 1);
  const Tensor wide = LayerNorm(place / "norm", 4 * width, kEpsilon)(op::reshape(four, {0, 0, 4 * width}));
  return Linear(place / "reduction", 4 * width, 2 * width, false)(wide);
}

struct SwinModel : Module<SwinConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "swin";

  // -> [B, N, C], and the last stage's image.
  std::pair<Tensor, Grid> hidden(const Inputs& in) const {
    const Scope embeddings = at("embeddings");
    const std::vector<int64_t> patch = {c.patch_size.height, c.patch_size.width};
    // Patches that reach over the image's end see zeros there.
    const Conv projection(embeddings / "patch_embeddings.projection", c.num_channels, c.embed_dim,
                          {.kernel = patch, .stride = patch, .end_padding = {patch[0] - 1, patch[1] - 1}});
    const Tensor image = projection(in["pixel_values"]);
    Grid grid{op::size_of(image, 2), op::size_of(image, 3)};
    Tensor x = LayerNorm(embeddings / "norm", c.embed_dim, kEpsilon)(image_to_tokens(image));
    for (size_t i = 0; i < c.depths.size(); ++i) {
      const Scope place = at("encoder.layers") / static_cast<int64_t>(i);
      x = stage(place, i, grid, x);
      if (i + 1 == c.depths.size()) continue;
      x = merge_patches(place / "downsample", c.width(i), grid, x);
      grid = {op::div(op::add(grid.height, 1.0), 2.0), op::div(op::add(grid.width, 1.0), 2.0)};
    }
    return {c.final_norm ? LayerNorm(at("layernorm"), c.last_width(), c.layer_norm_eps)(x) : x, grid};
  }
  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in).first}}; }

 private:
  [[nodiscard]] Tensor stage(const Scope& place, size_t i, const Grid& grid, const Tensor& input) const {
    const auto named = place.named();
    const bool shifts = c.depths[i] > 1 && c.window_size > 1;
    const Windows still(grid, c.window_size, {}, input.dtype());
    const Windows shifted(grid, c.window_size, shifts ? shift_of(grid, c.window_size) : Tensor(),
                          input.dtype());
    Tensor x = input;
    int64_t layer_idx = 0;
    for (const SwinLayer& layer : List<SwinLayer>(place / "blocks", c.depths[i], c, i))
      x = layer(x, layer_idx++ % 2 == 0 ? still : shifted);
    return x;
  }
};

struct SwinForImageClassification : OverBody<SwinModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    const Tensor mean = op::reduce("ReduceMean", body.hidden(in).first, {1}, false);
    return {{"logits", classifier(at("classifier"), c.last_width(), c.num_labels, mean)}};
  }
};

struct SwinForMaskedImageModeling : OverBody<SwinModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, C, H, W]
    const auto [x, grid] = body.hidden(in);
    const Tensor image = tokens_to_image(x, op::unsqueeze(grid.height, {0}), op::unsqueeze(grid.width, {0}));
    return {{"reconstruction", reconstruct(at("decoder"), c.num_channels, c.encoder_stride, image)}};
  }
};

// Donut's: the same without a norm at the end. Source: models/donut/modeling_donut_swin.py.
struct DonutSwinConfig : SwinConfig {
  explicit DonutSwinConfig(ConfigReader& r) : SwinConfig(r) { final_norm = false; }
};

template <typename Config>
ArchBuilder<Config> body_arch(const std::string& model_type, const std::string& prefix,
                              const std::string& hf_class) {
  ArchBuilder<Config> builder(model_type);
  builder.prefix(prefix)
      .may_be_unused({"classifier", "decoder", prefix + ".embeddings.mask_token"})
      .encodes(
          encoder_side<SwinModel, Config>("pixel_values", [](const Config& c) { return c.last_width(); }))
      .inputs([](const Config& c) {
        return std::vector{
            image_input({.num_channels = c.num_channels, .size = c.image_size, .least = c.least_image()})};
      })
      .template body<SwinModel>("feature-extraction", hf_class);
  return builder;
}

}  // namespace

Architecture arch() {
  return body_arch<SwinConfig>("swin", SwinModel::base_model_prefix, "SwinModel")
      .task<SwinForImageClassification>("image-classification", "SwinForImageClassification")
      .task<SwinForMaskedImageModeling>("masked-im", "SwinForMaskedImageModeling");
}

Architecture donut_arch() {
  return body_arch<DonutSwinConfig>("donut-swin", "donut", "DonutSwinModel");
}

}  // namespace ferry::models::swin
