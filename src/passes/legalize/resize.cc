// Resizing and sampling.
#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

bool is_younger_than_18(const Lowering& at) {
  const auto& attributes = at.node.attributes;
  return attributes.count("axes") > 0 || attributes.count("antialias") > 0 ||
         attributes.count("keep_aspect_ratio_policy") > 0;
}

// Scales or sizes of some axes become those of all.
void fill_axes(const Lowering& at) {
  const auto axes = at.node.get("axes", std::vector<int64_t>{});
  if (axes.empty()) return;
  const Tensor x = at.shaped(0);
  const auto rank = static_cast<int64_t>(x.rank());
  Tensors sizes(x.rank());
  std::vector<float> scales(x.rank(), 1.0f);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i] < 0 ? axes[i] + rank : axes[i]);
    if (axis >= x.rank()) at.unsupported("an axis is not one of the input's");
    const auto place = static_cast<int64_t>(i);
    if (at.has_input(3)) sizes[axis] = op::slice(at.input(3), 0, place, place + 1);
    if (!at.has_input(3) && at.has_input(2)) {
      if (!at.input(2).is_weight()) at.unsupported("the scales are not constant");
      scales[axis] = at.input(2).value()->weight->as_f32().at(i);
    }
  }
  if (at.has_input(3)) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (!sizes[i]) sizes[i] = at.dim(x, static_cast<int>(i));
    }
    at.node.inputs[3] = op::concat(sizes, 0).value();
  } else {
    at.node.inputs[2] = op::weight(at.graph, "scales", Weight::from_f32({rank}, scales)).value();
  }
}

Tensors resize(const Lowering& at) {
  if (at.node.get("antialias", int64_t{0}) != 0) at.unsupported("antialiasing is new in opset 18");
  if (at.node.get("keep_aspect_ratio_policy", std::string("stretch")) != "stretch")
    at.unsupported("keeping the aspect ratio is new in opset 18");
  fill_axes(at);
  at.drop("axes");
  at.drop("antialias");
  at.drop("keep_aspect_ratio_policy");
  return {};
}

bool is_half_pixel_symmetric(const Lowering& at) {
  return at.node.get("coordinate_transformation_mode", std::string()) == "half_pixel_symmetric";
}
Tensors no_symmetry(const Lowering& at) {
  at.unsupported("half_pixel_symmetric is new in opset 19");
}

// Opset 20 renamed the modes.
bool has_new_mode(const Lowering& at) {
  const auto mode = at.node.get("mode", std::string("linear"));
  return mode == "linear" || mode == "cubic";
}
Tensors grid_sample(const Lowering& at) {
  if (at.opset < 16) at.unsupported("the operator is new in opset 16");
  if (at.shaped(0).rank() != 4) at.unsupported("before opset 20 it takes images of two dimensions only");
  const bool cubic = at.node.get("mode", std::string("linear")) == "cubic";
  at.node.attributes["mode"] = std::string(cubic ? "bicubic" : "bilinear");
  return {};
}

constexpr Rule kRules[] = {
    {"Resize", 19, no_symmetry, is_half_pixel_symmetric},
    {"Resize", 18, resize, is_younger_than_18},
    {"GridSample", 20, grid_sample, has_new_mode},
};

}  // namespace

std::span<const Rule> resize_rules() {
  return kRules;
}

}  // namespace ferry::passes
