#pragma once
#include <span>
#include <string>

#include "onnx/external_data.h"
#include "tensor/weight.h"

namespace onnx {
class TensorProto;
}

namespace ferry::onnx {

/// A tensor of a mapped model: its TensorProto without raw_data, which stays in the file.
struct TensorPlace {
  std::shared_ptr<const ByteSource> source;
  std::span<const std::byte> message;  ///< The serialized TensorProto, within `source`.
};

struct NamedWeight {
  std::string name;
  Weight weight;
};

/// Errors: Error{invalid_file}, Error{unsupported} that name the tensor.
NamedWeight read_tensor(const TensorPlace& place, ExternalFiles& external, std::string_view what);
/// One that protobuf parsed, in memory.
Weight read_tensor(const ::onnx::TensorProto& tensor, ExternalFiles& external, std::string_view what);

}  // namespace ferry::onnx
