#include "cli/quantize_weights.h"

#include "base/error.h"

namespace ferry::cli {

void add_weight_flags(CLI::App& app, WeightFlags& flags) {
  const char* group = "Weights alone, in blocks";
  WeightQuantization& config = flags.config;
  app.add_flag("--int4", flags.int4, "Weights of 4 bits: MatMulNBits")->group(group);
  app.add_flag("--int8_weights", flags.int8_weights, "Weights of 8 bits: MatMulNBits")->group(group);
  app.add_option("--block_size", config.block_size, "How many share a scale")
      ->capture_default_str()
      ->group(group);
  app.add_flag("--asymmetric", flags.asymmetric, "Blocks have zero points")->group(group);
  app.add_option("--algorithm", config.algorithm,
                 "Scales from extremes (rtn), of the least squared error (mse), half-quadratic (hqq)")
      ->capture_default_str()
      ->group(group);
  app.add_option("--head_bits", config.head_bits,
                 "Of a language model's head: 4, 8, or 0 to leave it in floats")
      ->capture_default_str()
      ->group(group);
  app.add_option("--embedding_bits", config.embedding_bits, "Of the embeddings of tokens: 4, 8 or 0")
      ->capture_default_str()
      ->group(group);
  app.add_option("--accuracy_level", config.accuracy_level,
                 "What is multiplied with: 4 is 8-bit integers, 0 and 1 are floats")
      ->capture_default_str()
      ->group(group);
}

WeightQuantization weight_config(const WeightFlags& flags) {
  if (flags.int4 && flags.int8_weights)
    throw Error(ErrorCode::usage, "--int4 and --int8_weights exclude each other");
  WeightQuantization out = flags.config;
  out.bits = flags.int4 ? 4 : 8;
  out.symmetric = !flags.asymmetric;
  return out;
}

void refuse_weight_flags(const WeightFlags& flags) {
  const WeightQuantization none;
  const WeightQuantization& given = flags.config;
  if (!flags.asymmetric && given.block_size == none.block_size && given.algorithm == none.algorithm &&
      given.head_bits == none.head_bits && given.embedding_bits == none.embedding_bits &&
      given.accuracy_level == none.accuracy_level)
    return;
  throw Error(ErrorCode::usage,
              "--block_size, --asymmetric, --algorithm, --head_bits, --embedding_bits and --accuracy_level "
              "belong to --int4 and --int8_weights");
}

}  // namespace ferry::cli
