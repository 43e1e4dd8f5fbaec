#pragma once
// The folder that a runtime model is opened from: on disk, on the Hub, or exported on the spot.
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/modeling.h"

namespace ferry::runtime {

struct ModelFolder {
  std::filesystem::path path;             ///< Holds the model and its configuration.
  std::filesystem::path model;            ///< The .onnx file.
  std::shared_ptr<const void> temporary;  ///< Removes an exported folder when the last user is gone.
  std::string suffix = {};                ///< Of the files of one precision among several: "_q4".

  /// Where another file of the model is, by its plain name: "decoder_model.onnx".
  [[nodiscard]] std::filesystem::path beside(const std::string& name) const;
};

/// Finds or makes the folder and chooses the file, as ORTModel.from_pretrained does: `file_name`, else
/// model.onnx (model_q4.onnx for the dtype "q4"), else the only .onnx file; a folder without one is exported
/// for `task`. Errors: Error{not_found}, and those of the Hub and of main_export.
ModelFolder open_model_folder(const std::string& model, const LoadOptions& options, std::string_view task);

/// Whether `model` is an encoder with its decoder: there is an encoder_model*.onnx; or where no graphs are
/// yet, a checkpoint whose architecture is exported so for `task`. Errors: as open_model_folder,
/// Error{unsupported} for an architecture that ferry does not know.
bool is_encoder_decoder(const std::string& model, const LoadOptions& options, std::string_view task);

/// The model, the external data it refers to, and the configuration and tokenizer files beside it.
std::vector<std::filesystem::path> files_to_save(const ModelFolder& folder);

}  // namespace ferry::runtime
