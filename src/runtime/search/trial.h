#pragma once
// Models that are made to be measured.
#include <filesystem>

#include "exporter/quantize_graph.h"
#include "ferry/quantization.h"
#include "ort/session.h"

namespace ferry::runtime {

struct Trial {
  passes::QuantizationResult result;
  ort::Session session;
};

/// Quantizes copies of one model. Only what a copy changed is written: the rest is read where it lies.
class Trials {
 public:
  /// `folder` is for the copies, each of which is gone when its session is open.
  Trials(const ort::Runtime& runtime, std::filesystem::path model, std::filesystem::path folder,
         ort::SessionOptions options, TensorRanges ranges);

  [[nodiscard]] Trial make(const QuantizationConfig& config) const;

 private:
  ort::Runtime runtime_;
  std::filesystem::path model_, folder_;
  ort::SessionOptions options_;
  TensorRanges ranges_;
};

}  // namespace ferry::runtime
