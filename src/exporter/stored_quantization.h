#pragma once
// Checkpoints whose weights are integers already: GPTQ and AWQ.
#include <optional>
#include <string>

#include "exporter/model_source.h"
#include "tensor/grouped.h"
#include "tensor/state_dict.h"

namespace ferry::exporter {

struct StoredQuantization {
  std::string method;  ///< "gptq", "awq"
  GroupedFormat format;
  bool needs_g_idx = false;  ///< GPTQ with desc_act: g_idx says which group a row is in.
};

/// "quantization_config" of config.json; where there is none, quantize_config.json (AutoGPTQ) or
/// quant_config.json (AutoAWQ) beside it. Nothing if the checkpoint is not quantized.
/// Errors: Error{unsupported} for methods, layouts and numbers of bits that are not read, by name;
/// Error{invalid_config}.
std::optional<StoredQuantization> read_stored_quantization(const ModelSource& source,
                                                           nn::ConfigReader& reader, const Log& log);

/// The same tensors with one lazy "weight" f32[out, in] in the place of each qweight, qzeros, scales and
/// g_idx. Errors: Error{missing_tensor}, Error{shape_mismatch}, ... that name the tensor; Error{invalid_file}
/// if there is no qweight.
StateDict with_grouped_matrices(const StateDict& state, const StoredQuantization& how);

/// Errors: Error{unsupported} if there are tensors that only a quantized checkpoint has.
void refuse_packed_tensors(const StateDict& state);

/// Marks biases of quantized layers that nothing asked for as used, if they are zeros: AutoGPTQ gave one to
/// every layer.
void ignore_zero_biases(nn::Build& build);

}  // namespace ferry::exporter
