#include "exporter/validate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "reference/interpreter.h"
#include "tensor/convert.h"

namespace ferry::exporter {
namespace {

// (2, 16), as Python prints a tuple.
std::string tuple(const Dims& dims) {
  return dims.size() == 1 ? fmt::format("({},)", dims[0]) : fmt::format("({})", fmt::join(dims, ", "));
}

struct Difference {
  double largest = 0;  // Absolute; infinite where one is NaN or infinite and the other is not.
  bool close = true;
  bool has_nan = false;  // In both, at the same places.
};

Difference difference(const HostTensor& reference, const HostTensor& actual, const Tolerance& tolerance) {
  Difference out;
  const HostTensor a = reference.to_f32();
  const HostTensor b = actual.to_f32();
  const auto expected = a.as<float>();
  const auto found = b.as<float>();
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(found[i])) {
      out.has_nan = true;
      continue;
    }
    if (expected[i] == found[i]) continue;  // Equal infinities, too.
    const double apart = std::abs(static_cast<double>(expected[i]) - static_cast<double>(found[i]));
    const double measured = std::isnan(apart) ? INFINITY : apart;
    out.largest = std::max(out.largest, measured);
    if (!(measured <= tolerance.absolute + tolerance.relative * std::abs(static_cast<double>(expected[i]))))
      out.close = false;
  }
  return out;
}

void report_values(const Difference& found, const Tolerance& tolerance, const std::string& name,
                   const Log& log) {
  if (found.close) {
    log.info(fmt::format("\t\t-[✓] all values close (atol: {})", tolerance.absolute));
  } else {
    log.error(fmt::format("\t\t-[x] values not close enough, max diff: {} (atol: {})", found.largest,
                          tolerance.absolute));
  }
  if (found.has_nan)
    log.warning(
        fmt::format("output \"{}\" holds NaN, in the reference as in ONNX Runtime: do the weights?", name));
}

}  // namespace

namespace {

// Where the configuration says the size and others fit, too, no large images: they take long, and prove no
// more.
void limit_images(const std::vector<nn::InputSpec>& inputs, AxisSizes& sizes) {
  constexpr int64_t kLarge = 512;
  for (const auto& input : inputs) {
    for (const char* side : {"height", "width"}) {
      const auto size = sizes.find(side);
      const auto least = input.least.find(side);
      if (size != sizes.end() && least != input.least.end() && input.usual.count(side) > 0)
        size->second = std::min(size->second, std::max(kLarge, least->second));
    }
  }
}

}  // namespace

std::vector<ReferenceRun> run_reference(const ir::Graph& graph, const std::vector<nn::InputSpec>& inputs,
                                        const ShapeOptions& shapes, bool dynamic_axes) {
  std::vector<AxisSizes> sizes = example_sizes(inputs, shapes);
  if (!dynamic_axes) sizes.resize(1);
  if (dynamic_axes) {
    for (AxisSizes& run : sizes) limit_images(inputs, run);
  }
  const reference::Interpreter interpreter(graph);
  std::vector<ReferenceRun> runs;
  for (size_t i = 0; i < sizes.size(); ++i) {
    ReferenceRun run;
    run.sizes = sizes[i];
    run.inputs = example_inputs(inputs, sizes[i], static_cast<uint32_t>(i));
    run.outputs = interpreter.run(run.inputs);
    runs.push_back(std::move(run));
  }
  return runs;
}

namespace {

// The inputs that only the other branch looks at.
void add_missing_inputs(ReferenceRun& run, const std::vector<nn::InputSpec>& inputs) {
  std::vector<nn::InputSpec> missing;
  AxisSizes sizes = run.sizes;
  for (const auto& input : inputs) {
    if (run.inputs.count(input.name) > 0) continue;
    missing.push_back(input);
    for (const auto& axis : input.axes) {
      const auto* name = std::get_if<std::string>(&axis);
      if (name == nullptr) continue;
      for (const auto& term : nn::axis_terms(*name)) sizes.emplace(term, 1);
    }
  }
  run.inputs.merge(example_inputs(missing, sizes, 0));
}

// A result that a branch does not give is there without elements.
void add_missing_outputs(ReferenceRun& run, const ir::Graph& merged) {
  for (const ir::Value* output : merged.outputs) {
    if (run.outputs.count(output->name) > 0) continue;
    Dims dims;
    bool is_empty = false;
    for (const ir::Dim& dim : *output->shape) {
      dims.push_back(dim.constant().value_or(is_empty ? 1 : 0));
      is_empty = is_empty || !dim.is_constant();
    }
    run.outputs.emplace(output->name, HostTensor::zeros(output->dtype, dims));
  }
}

}  // namespace

std::vector<ReferenceRun> merged_runs(std::vector<ReferenceRun> decoder, std::vector<ReferenceRun> with_past,
                                      const std::vector<nn::InputSpec>& decoder_inputs,
                                      const std::vector<nn::InputSpec>& with_past_inputs,
                                      const ir::Graph& merged) {
  const auto finish = [&](ReferenceRun& run, const std::vector<nn::InputSpec>& other, bool uses_cache) {
    add_missing_inputs(run, other);
    add_missing_outputs(run, merged);
    run.inputs.emplace("use_cache_branch", HostTensor::boolean({1}, {uses_cache}));
  };
  for (ReferenceRun& run : decoder) finish(run, with_past_inputs, false);
  for (ReferenceRun& run : with_past) finish(run, decoder_inputs, true);
  decoder.insert(decoder.end(), std::make_move_iterator(with_past.begin()),
                 std::make_move_iterator(with_past.end()));
  return decoder;
}

namespace {

bool holds_nan(const ReferenceRun& run) {
  return std::any_of(run.outputs.begin(), run.outputs.end(), [](const auto& output) {
    if (!is_floating(output.second.dtype)) return false;
    const HostTensor values = output.second.to_f32();
    const auto numbers = values.template as<float>();
    return std::any_of(numbers.begin(), numbers.end(), [](float x) { return std::isnan(x); });
  });
}

bool is_finite(const Weight& weight) {
  constexpr uint64_t kPiece = 1 << 20;
  for (uint64_t first = 0; first < weight.count(); first += kPiece) {
    const uint64_t count = std::min(kPiece, weight.count() - first);
    std::vector<std::byte> raw(*byte_size(weight.dtype(), count));
    weight.read(first, count, raw.data());
    std::vector<float> values(count);
    to_floats(raw.data(), weight.dtype(), count, values.data());
    if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) return false;
  }
  return true;
}

}  // namespace

void refuse_weights_that_are_no_numbers(const std::vector<ReferenceRun>& reference, const ir::Graph& graph,
                                        const std::string& shown) {
  if (std::none_of(reference.begin(), reference.end(), holds_nan)) return;
  std::vector<std::string> names;
  for (const ir::Value* value : graph.used_weights()) {
    // A definition's own numbers may be infinite: what masks add.
    const bool of_checkpoint = is_floating(value->dtype) && value->rank() > 0;
    if (of_checkpoint && !is_finite(*value->weight)) names.push_back(printable(value->name, 200));
  }
  if (names.empty()) return;  // The comparison warns of it.
  throw Error(ErrorCode::validation_failed,
              fmt::format("{}: the results are no numbers, as {} infinite numbers or NaN: {}", shown,
                          names.size() == 1 ? "a weight holds" : "weights hold", join(names, ", ", 5)))
      .with_hint("nothing was written; --no-validation exports the weights as they are");
}

Tolerance tolerance_for(DType dtype, std::optional<double> atol) {
  // Half precision keeps 11 bits of every intermediate result, of which some hundred are added up.
  Tolerance out = dtype == DType::f32 ? Tolerance{} : Tolerance{2e-2, 1e-2};
  if (atol) out.absolute = *atol;
  return out;
}

std::vector<OutputValidation> compare(const std::vector<ReferenceRun>& reference, const ort::Session& session,
                                      const std::vector<std::string>& output_names,
                                      const Tolerance& tolerance, const std::string& shown, const Log& log) {
  log.info(fmt::format("\nValidating ONNX model {}...", shown));
  std::vector<std::string> found_names;
  for (const auto& output : session.outputs()) found_names.push_back(output.name);
  if (found_names != output_names) {
    log.error(fmt::format("\t-[x] ONNX model output names {} do not match reference model {}",
                          join(found_names), join(output_names)));
    throw Error(ErrorCode::validation_failed, fmt::format("{}: the outputs are ({}), expected ({})", shown,
                                                          join(found_names), join(output_names)));
  }
  log.info(fmt::format("\t-[✓] ONNX model output names match reference model ({})", join(output_names)));
  std::vector<std::vector<HostTensor>> actual;
  for (const auto& run : reference) actual.push_back(session.run(run.inputs, output_names));

  std::vector<OutputValidation> out;
  for (size_t i = 0; i < output_names.size(); ++i) {
    OutputValidation validation{output_names[i], {}, 0, true};
    log.info(fmt::format("\t- Validating ONNX Model output \"{}\":", output_names[i]));
    for (size_t run = 0; run < reference.size(); ++run) {
      const HostTensor& expected = reference[run].outputs.at(output_names[i]);
      const HostTensor& found = actual[run][i];
      if (run == 0) validation.shape = expected.dims;
      if (expected.dims != found.dims) {
        log.error(fmt::format("\t\t-[x] shape {} doesn't match {}", tuple(found.dims), tuple(expected.dims)));
        validation.within_tolerance = false;
        validation.max_difference = INFINITY;
        continue;
      }
      log.info(fmt::format("\t\t-[✓] {} matches {}", tuple(found.dims), tuple(expected.dims)));
      const Difference values = difference(expected, found, tolerance);
      report_values(values, tolerance, output_names[i], log);
      validation.max_difference = std::max(validation.max_difference, values.largest);
      validation.within_tolerance = validation.within_tolerance && values.close;
    }
    out.push_back(std::move(validation));
  }
  return out;
}

}  // namespace ferry::exporter
