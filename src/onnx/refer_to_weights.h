#pragma once
// A model's graph apart from its weights, which stay in its file.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ferry::onnx {

/// The same model with each initializer of `least` bytes and more as external data that lies in the model's
/// own file, which it calls `location`. A runtime maps such weights, where it copies those in a model twice.
/// Everything else, byte for byte.
/// Errors: Error{invalid_file} for what is no protobuf message.
std::string refer_to_weights(std::span<const std::byte> model, std::string_view location,
                             size_t least = 4096);

}  // namespace ferry::onnx
