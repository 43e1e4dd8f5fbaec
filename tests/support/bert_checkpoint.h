#pragma once
// Checkpoints of any size, made on the spot: for tests of what only size shows, and for benchmarks.
#include <cstdint>
#include <filesystem>

namespace ferry::testing {

struct BertSize {
  int64_t hidden = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t intermediate = 3072;
  int64_t vocab = 30522;
  int64_t positions = 512;
};

/// Writes config.json and model.safetensors of a BertForSequenceClassification with two labels, f32.
/// Random weights (seeded: the same bytes each time) of a sensible scale; or, with `sparse`, a file of the
/// full size that takes no space on the disk, all zeros.
void write_bert_checkpoint(const std::filesystem::path& folder, const BertSize& size, bool sparse);

}  // namespace ferry::testing
