#include "ferry/quantization_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/temporary_files.h"
#include "base/text.h"
#include "exporter/calibrator.h"
#include "exporter/quantize_graph.h"
#include "exporter/weight_quantization.h"
#include "runtime/model_impl.h"
#include "runtime/search/loss.h"
#include "runtime/search/mixture.h"
#include "runtime/search/trial.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using runtime::Candidate;

void check(const MaxLoss& limit, const fs::path& folder, const fs::path& save_dir) {
  if (!(limit.max_loss >= 0) || !std::isfinite(limit.max_loss))
    throw Error(ErrorCode::usage, "the largest loss is a number from 0 on");
  if (limit.input.empty()) {
    throw Error(ErrorCode::usage, "a largest loss needs samples to measure it on")
        .with_hint("a .jsonl file with one sample a line: --input data.jsonl");
  }
  std::error_code ignored;
  if (folder == save_dir || fs::equivalent(folder, save_dir, ignored)) {
    throw Error(ErrorCode::usage,
                "The output directory must be different than the directory hosting the ONNX model.");
  }
}

// Nodes that are quantized or kept together, by name.
struct Group {
  std::vector<passes::QuantizedNode> nodes;
  Candidate candidate;
};

// Neighbours share a group where there are more nodes than `most`. Nodes without a name cannot be kept.
std::vector<Group> grouped(const std::vector<passes::QuantizedNode>& quantized, size_t most) {
  std::vector<const passes::QuantizedNode*> nodes;
  std::set<std::string> seen;
  for (const auto& node : quantized) {
    if (!node.name.empty() && seen.insert(node.name).second) nodes.push_back(&node);
  }
  std::vector<Group> out(std::min(nodes.size(), std::max<size_t>(most, 1)));
  for (size_t i = 0; i < nodes.size(); ++i) {
    Group& group = out[i * out.size() / nodes.size()];
    group.nodes.push_back(*nodes[i]);
    group.candidate.saved += nodes[i]->bytes_before - std::min(nodes[i]->bytes_before, nodes[i]->bytes_after);
  }
  return out;
}

// One way to quantize, by its configuration.
ir::Graph read_for(const QuantizationConfig&, const fs::path& model) {
  return exporter::read_to_quantize(model, Log());
}
passes::QuantizationResult apply(const QuantizationConfig& config, ir::Graph& graph,
                                 const TensorRanges& ranges) {
  return exporter::quantize_graph(graph, config, ranges);
}

ir::Graph read_for(const WeightQuantization& config, const fs::path& model) {
  return exporter::read_to_quantize_weights(model, config, Log());
}
passes::QuantizationResult apply(const WeightQuantization& config, ir::Graph& graph, const TensorRanges&) {
  return passes::quantize_matmul_nbits(graph, exporter::nbits_options(config));
}

struct Trial {
  passes::QuantizationResult result;
  ort::Session session;
};

template <typename Config>
class Search {
 public:
  Search(const MaxLoss& limit, const fs::path& folder, const Config& config,
         const ORTQuantizer::SaveOptions& options)
      : limit_(limit),
        config_(config),
        options_(options),
        log_(options.log != nullptr ? *options.log : Log{}),
        metric_(runtime::loss_metric(limit.metric)),
        quantizer_(ORTQuantizer::from_pretrained(folder, limit.load.file_name)),
        runtime_(runtime::open_runtime(limit.load)),
        session_options_(runtime::session_options(limit.load, runtime_)),
        meter_(make_meter()) {}

  SearchedQuantization run(const fs::path& save_dir) {
    {
      StagingFolder scratch(save_dir);
      trial_ = scratch.file("trial.onnx");
      scratch.file("trial.onnx_data");
      choose();
    }
    write(save_dir);
    return std::move(out_);
  }

 private:
  [[nodiscard]] runtime::LossMeter make_meter() const {
    const auto model = runtime::open_model_file(quantizer_.model(), limit_.load);
    runtime::SampleOptions reading;
    reading.max_samples = limit_.max_samples;
    reading.max_length = limit_.max_length;
    auto samples = runtime::samples_for(model, model.folder, limit_.input, reading, log_);
    const ort::Session session(runtime_, model.file, session_options_);
    return {session, model.config, std::move(samples), metric_};
  }

  [[nodiscard]] Trial tried(const Config& config) {
    ++out_.trials;
    ir::Graph graph = read_for(config, quantizer_.model());
    auto result = apply(config, graph, options_.calibration_tensors_range);
    return {std::move(result),
            runtime::open_changed(runtime_, quantizer_.model(), graph, trial_, session_options_)};
  }

  double measured(const Config& config) { return meter_.loss(tried(config).session); }

  // Sets the nodes to keep, if it takes any.
  void choose() {
    const Trial full = tried(config_);
    if (full.result.quantized.empty())
      throw Error(ErrorCode::usage, "the model has nothing that these options quantize");
    out_.full_loss = meter_.loss(full.session);
    log_.info(fmt::format("All {} nodes quantized: loss {:.3g} ({}, {} samples), at most {:.3g} is allowed",
                          full.result.quantized.size(), out_.full_loss, limit_.metric, meter_.samples(),
                          limit_.max_loss));
    if (out_.full_loss <= limit_.max_loss) return;
    auto groups = grouped(full.result.quantized, std::max<size_t>(limit_.max_trials, 2) / 2);
    measure_alone(groups);
    keep(groups);
  }

  void measure_alone(std::vector<Group>& groups) {
    for (size_t i = 0; i < groups.size(); ++i) {
      Config alone = config_;
      alone.nodes_to_quantize.clear();
      for (const auto& node : groups[i].nodes) alone.nodes_to_quantize.push_back(node.name);
      groups[i].candidate.loss = measured(alone);
      const size_t others = groups[i].nodes.size() - 1;
      log_.info(fmt::format(
          "[{}/{}] {}{} alone: loss {:.3g}", i + 1, groups.size(), printable(groups[i].nodes[0].name),
          others > 0 ? fmt::format(" and the {} after it", others) : "", groups[i].candidate.loss));
    }
  }

  void keep(const std::vector<Group>& groups) {
    std::vector<Candidate> candidates;
    for (const Group& group : groups) candidates.push_back(group.candidate);
    const auto measure = [&](const std::vector<bool>& kept) {
      const double loss = measured(with_kept(groups, kept));
      log_.info(fmt::format("{} of {} kept in floats: loss {:.3g}",
                            std::count(kept.begin(), kept.end(), true), kept.size(), loss));
      return loss;
    };
    const size_t left = limit_.max_trials - std::min(limit_.max_trials, out_.trials);
    double least = 0;
    const auto found = runtime::find_mixture(candidates, limit_.max_loss, left, measure, least);
    if (!found) {
      throw Error(ErrorCode::validation_failed,
                  fmt::format("no mixture loses at most {:.3g} ({}): the least that was found is {:.3g}",
                              limit_.max_loss, limit_.metric, least))
          .with_hint("a finer quantization loses less: --per_channel, without --reduce_range");
    }
    config_ = with_kept(groups, found->kept);
    for (size_t i = 0; i < groups.size(); ++i) {
      for (const auto& node : groups[i].nodes) {
        const uint64_t saved = node.bytes_before - std::min(node.bytes_before, node.bytes_after);
        out_.nodes.push_back({node.name, node.op_type, groups[i].candidate.loss, saved, found->kept[i]});
      }
    }
    std::stable_sort(out_.nodes.begin(), out_.nodes.end(),
                     [](const NodeLoss& a, const NodeLoss& b) { return a.loss > b.loss; });
    for (const NodeLoss& node : out_.nodes) {
      if (node.kept)
        log_.info(fmt::format("\t- kept in floats: {} ({}), which alone loses {:.3g}", printable(node.name),
                              node.op_type, node.loss));
    }
  }

  [[nodiscard]] Config with_kept(const std::vector<Group>& groups, const std::vector<bool>& kept) const {
    Config out = config_;
    for (size_t i = 0; i < groups.size(); ++i) {
      if (!kept[i]) continue;
      for (const auto& node : groups[i].nodes) out.nodes_to_exclude.push_back(node.name);
    }
    return out;
  }

  void write(const fs::path& save_dir) {
    ORTQuantizer::SaveOptions saving = options_;
    saving.check = [&](const fs::path& file) {
      out_.loss = meter_.loss(ort::Session(runtime_, file, session_options_));
      if (out_.loss <= limit_.max_loss) return;
      throw Error(ErrorCode::validation_failed,
                  fmt::format("the model as written loses {:.3g} ({}), more than {:.3g}", out_.loss,
                              limit_.metric, limit_.max_loss));
    };
    out_.quantization = quantizer_.quantize(config_, save_dir, saving);
    log_.info(fmt::format("Loss of the model as written: {:.3g} ({})", out_.loss, limit_.metric));
  }

  const MaxLoss& limit_;
  Config config_;
  ORTQuantizer::SaveOptions options_;
  Log log_;
  runtime::LossMetric metric_;
  ORTQuantizer quantizer_;
  ort::Runtime runtime_;
  ort::SessionOptions session_options_;
  runtime::LossMeter meter_;
  fs::path trial_;  // Where the next model that is tried lies for a moment.
  SearchedQuantization out_;
};

}  // namespace

SearchedQuantization quantize_within(const MaxLoss& limit, const fs::path& folder,
                                     const QuantizationConfig& config, const fs::path& save_dir,
                                     const ORTQuantizer::SaveOptions& options,
                                     const Calibration* calibration) {
  check(limit, folder, save_dir);
  config.check();
  ORTQuantizer::SaveOptions saving = options;
  if (config.is_static && saving.calibration_tensors_range.empty()) {
    if (calibration == nullptr)
      throw Error(ErrorCode::usage, "static quantization needs ranges, or data to calibrate with");
    const auto model = ORTQuantizer::from_pretrained(folder, limit.load.file_name).model();
    saving.calibration_tensors_range =
        exporter::calibrated_ranges(model, config, *calibration, {}, options.log);
  }
  return Search(limit, folder, config, saving).run(save_dir);
}

SearchedQuantization quantize_within(const MaxLoss& limit, const fs::path& folder,
                                     const WeightQuantization& config, const fs::path& save_dir,
                                     const ORTQuantizer::SaveOptions& options) {
  check(limit, folder, save_dir);
  static_cast<void>(exporter::nbits_options(config));  // Its numbers and names, before anything is run.
  return Search(limit, folder, config, options).run(save_dir);
}

}  // namespace ferry
