#include "nn/image.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace ferry::nn {
namespace op = ir::op;

namespace {
constexpr int64_t kMostPixels =
    4096;  // A side of an image. Larger ones would fill the memory when validated.
constexpr int64_t kMostSize = int64_t{1} << 20;
}  // namespace

void read_size(ConfigReader& r, std::string_view key, Size& value) {
  if (r.has(key) && r.json().at(std::string(key)).is_array()) {
    std::vector<int64_t> sides;
    read_sizes(r, key, sides, 2);
    if (std::max(sides[0], sides[1]) > kMostPixels) r.fail(key, "at most 4096");
    value = {sides[0], sides[1]};
    return;
  }
  std::optional<int64_t> side;
  r.read(key, side, 1, kMostPixels);
  if (side) value = {*side, *side};
}

void read_sizes(ConfigReader& r, std::string_view key, std::vector<int64_t>& value, size_t count) {
  r.read(key, value);
  for (const int64_t size : value) {
    if (size < 1 || size > kMostSize) r.fail(key, "whole numbers from 1 to 2^20");
  }
  if (value.empty() || value.size() > 1000) r.fail(key, "a list of 1 to 1000 numbers");
  if (count != 0 && value.size() != count) r.fail(key, std::to_string(count) + " numbers");
}

void read_nested_defaults(ConfigReader& r) {
  r.only("add_cross_attention", false);
  r.only("is_decoder", false);
  r.must_be_empty("pruned_heads");
  r.ignore("tie_word_embeddings");
}

int64_t labels_or_none(ConfigReader& r) {
  const char* key = "num_labels";
  if (!r.has("id2label") && r.has(key) && r.json().at(key).is_number_integer() && r.json().at(key) == 0) {
    r.ignore(key);
    return 0;
  }
  return r.num_labels();
}

InputSpec image_input(const ImageInputOptions& options) {
  if (options.least > kMostPixels) {
    throw Error(ErrorCode::unsupported, "the configuration asks for images of at least " +
                                            std::to_string(options.least) + " pixels a side, more than 4096");
  }
  InputSpec input{"pixel_values",
                  DType::f32,
                  {"batch_size", "num_channels", "height", "width"},
                  {Fill::Kind::uniform, -1, 1}};
  input.least = {{"num_channels", options.num_channels}, {"height", options.least}, {"width", options.least}};
  input.most = {{"num_channels", options.num_channels}};
  if (!options.size) return input;
  input.usual = {{"height", options.size->height}, {"width", options.size->width}};
  if (!options.any_size) {
    for (const auto& [side, size] : input.usual) input.least[side] = input.most[side] = size;
  }
  if (!options.named) {
    input.axes = {"batch_size", options.num_channels, options.size->height, options.size->width};
    input.least.clear();
  }
  return input;
}

Tensor image_to_tokens(const Tensor& x) {
  return op::transpose(op::reshape(x, {0, 0, -1}), {0, 2, 1});
}

Tensor tokens_to_image(const Tensor& x, const Tensor& height, const Tensor& width) {
  const Tensor kept = op::integers(x.graph(), {0, 0});
  return op::reshape(op::transpose(x, {0, 2, 1}), op::concat({kept, height, width}, 0));
}

namespace {

Weight as_rows(const Weight& weight) {
  const int64_t width = weight.dims().back();
  return weight.reshape({static_cast<int64_t>(weight.count()) / width, width});
}

}  // namespace

Tensor TokensAndPositions::add_to(const Scope& place, const Tensor& patches) const {
  const auto named = place.named();
  const Weight rows = as_rows(positions), first = as_rows(before);
  const int64_t all = rows.dims()[0], front = first.dims()[0];
  const int64_t back = after ? as_rows(*after).dims()[0] : 0;
  std::vector<Weight> parts = {rows.slice(0, 0, front).add(first), rows.slice(0, front, all - back)};
  if (after) parts.push_back(rows.slice(0, all - back, all).add(as_rows(*after)));
  const Tensor table = place.constant("tokens_and_positions", Weight::concat(parts, 0));
  const Tensor pads = op::integers(patches.graph(), {0, front, 0, 0, back, 0});
  return op::emit("Pad", {patches, pads}) + table;
}

Tensor interpolated_positions(const Scope& place, const Weight& positions, const Size& grid,
                              const Tensor& image) {
  const auto named = place.named();
  const int64_t layers = positions.dims()[0], width = positions.dims()[2];
  // In single precision whatever the model's.
  const Weight grids = positions.cast(DType::f32)
                           .transpose(std::vector<int64_t>{0, 2, 1})
                           .reshape({layers, width, grid.height, grid.width});
  const Tensor sizes =
      op::concat({op::integers(image.graph(), {layers, width}), op::shape_of(image, 2, 4)}, 0);
  const Tensor resized = op::emit("Resize", {place.constant("positions", grids), Tensor(), Tensor(), sizes},
                                  {{"mode", std::string("cubic")},
                                   {"coordinate_transformation_mode", std::string("half_pixel")},
                                   {"cubic_coeff_a", -0.75f}});
  return op::cast(image_to_tokens(resized), image.dtype());
}

Tensor classifier(const Scope& place, int64_t in, int64_t labels, const Tensor& x) {
  if (labels == 0) return x;
  const auto named = place.named();
  return op::emit("Gemm", {x, place.parameter("weight", {labels, in}), place.parameter("bias", {labels})},
                  {{"transB", int64_t{1}}});
}

Tensor reconstruct(const Scope& decoder, int64_t channels, int64_t stride, const Tensor& image) {
  const Conv conv(decoder / "0", *image.dim(1).constant(), stride * stride * channels, 1);
  return op::emit("DepthToSpace", {conv(image)}, {{"blocksize", stride}, {"mode", std::string("CRD")}});
}

}  // namespace ferry::nn
