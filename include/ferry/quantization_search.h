#pragma once
// The smallest mixture of integers and floats that loses no more than is allowed, on the user's own data.
//
//   ferry::MaxLoss limit{.max_loss = 0.01, .metric = "cosine", .input = "data.jsonl"};
//   auto found = ferry::quantize_within(limit, "out/", ferry::AutoQuantizationConfig::avx512_vnni({}),
//   "out_q/"); for (const auto& node : found.nodes) if (node.kept) ...   // stays in floats: it alone would
//   lose node.loss
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ferry/compare.h"
#include "ferry/modeling.h"
#include "ferry/quantization.h"

namespace ferry {

struct MaxLoss {
  double max_loss = 0.01;
  /// What is lost against the model in floats; of several outputs, the one that loses most counts (caches do
  /// not). "cosine": 1 - the mean cosine; "agreement": the part of the task's decisions that change; "kl":
  /// the mean KL divergence of the logits' softmax, in nats.
  std::string metric = "cosine";
  std::filesystem::path input;  ///< Samples, as of compare_models.
  size_t max_samples = 64;      ///< Lines beyond are not read; 0: all.
  uint64_t max_length = 512;    ///< Tokens of a text.
  /// How many models are tried at most. Where a graph has more nodes than half of that, neighbours are judged
  /// together.
  size_t max_trials = 200;
  LoadOptions load;  ///< Threads, providers, library, file name, log.
};

struct SearchedQuantization {
  QuantizationReport quantization;
  double loss = 0;              ///< Of the model that was written.
  double full_loss = 0;         ///< With every node quantized.
  std::vector<NodeLoss> nodes;  ///< The most damaging first; empty if all could be quantized.
  size_t trials = 0;
};

/// Quantizes the model of `folder` as ORTQuantizer does, and keeps as few of its nodes in floats as the limit
/// asks for: measures what each node loses alone, keeps the most damaging (by loss, and by loss a byte saved:
/// whichever mixture is smaller), bisects on how many, and tries those that were kept once more. The model is
/// measured once again as it was written. Static quantization takes its ranges from options, or a
/// `calibration`.
/// Errors   those of ORTQuantizer and of reading samples; Error{usage} for an unknown metric or one that the
///          model's outputs do not have; Error{validation_failed} if even one quantized node loses too much.
///          After an error the output folder is as it was.
SearchedQuantization quantize_within(const MaxLoss& limit, const std::filesystem::path& folder,
                                     const QuantizationConfig& config, const std::filesystem::path& save_dir,
                                     const ORTQuantizer::SaveOptions& options = {},
                                     const Calibration* calibration = nullptr);
/// The same for weights alone, in blocks of 4 or 8 bits.
SearchedQuantization quantize_within(const MaxLoss& limit, const std::filesystem::path& folder,
                                     const WeightQuantization& config, const std::filesystem::path& save_dir,
                                     const ORTQuantizer::SaveOptions& options = {});

}  // namespace ferry
