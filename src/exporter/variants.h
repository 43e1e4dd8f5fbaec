#pragma once
// The models that one export writes of one checkpoint: usually one, with `dtypes` one of each precision.
#include <string>
#include <string_view>
#include <vector>

#include "ferry/export.h"

namespace ferry::exporter {

struct Variant {
  std::string dtype;   ///< As asked for: "q4f16"; "" for an export of a single precision.
  std::string suffix;  ///< Of the files' names: "_q4f16".
  ExportQuantization quantization;
  bool half = false;  ///< Weights and arithmetic in f16; inputs and outputs stay f32.

  /// The name of the variant's file.
  [[nodiscard]] std::string file(const std::string& name) const;
};

/// Of a file's plain name or stem, whatever comes before it: "_q4f16" of "onnx/model_q4f16"; "": none.
std::string suffix_in(std::string_view stem);

/// "model.onnx" with "_q4f16" gives "model_q4f16.onnx".
std::string with_suffix(const std::string& name, const std::string& suffix);

/// Of the file of a dtype: "_q4f16" of "q4f16". Errors: Error{usage} for one that there is not.
std::string dtype_suffix(const std::string& dtype);

/// `half`: whether the optimization asks for half precision, which an export without `dtypes` has then.
/// Errors: Error{usage} for an unknown dtype, one given twice, and options that contradict the list.
std::vector<Variant> variants_of(const MainExportOptions& options, bool half);

/// The folder that the models are written into: the output itself, or its "onnx" with `dtypes`, where
/// transformers.js looks for them.
std::filesystem::path models_folder(const MainExportOptions& options);

}  // namespace ferry::exporter
