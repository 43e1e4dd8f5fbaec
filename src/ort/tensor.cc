#include "ort/tensor.h"

#include <fmt/format.h>

#include <cstring>

#include "ort/api.h"

namespace ferry::ort {
namespace {

// ONNXTensorElementDataType has TensorProto.DataType's numbers.
ONNXTensorElementDataType element_type(DType dtype) {
  return static_cast<ONNXTensorElementDataType>(onnx_number(dtype));
}

Ort::MemoryInfo cpu_memory() {
  return Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
}

// ONNX Runtime refuses a null pointer even for no bytes.
std::byte* address_of(std::span<const std::byte> bytes) {
  static std::byte nothing{};
  return bytes.empty() ? &nothing : const_cast<std::byte*>(bytes.data());
}

Ort::Value string_tensor(const HostTensor& tensor) {
  Ort::AllocatorWithDefaultOptions allocator;
  Ort::Value value = Ort::Value::CreateTensor(allocator, tensor.dims.data(), tensor.dims.size(),
                                              ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING);
  std::vector<const char*> texts;
  for (const auto& text : tensor.strings) {
    if (text.find('\0') != std::string::npos) {
      throw Error(ErrorCode::unsupported, "a string with a zero byte cannot be given to ONNX Runtime");
    }
    texts.push_back(text.c_str());
  }
  value.FillStringTensor(texts.data(), texts.size());
  return value;
}

Ort::Value wrap(DType dtype, const Dims& dims, std::span<const std::byte> bytes) {
  return Ort::Value::CreateTensor(cpu_memory(), address_of(bytes), bytes.size(), dims.data(), dims.size(),
                                  element_type(dtype));
}

}  // namespace

void OrtTensor::Release::operator()(OrtValue* value) const {
  Ort::GetApi().ReleaseValue(value);
}

OrtTensor OrtTensor::view(const Runtime& runtime, const HostTensor& tensor) {
  tensor.check();
  return guarded("making a tensor", [&] {
    Ort::Value value =
        tensor.dtype == DType::string ? string_tensor(tensor) : wrap(tensor.dtype, tensor.dims, tensor.bytes);
    return adopt(runtime, value.release());
  });
}

OrtTensor OrtTensor::view(const Runtime& runtime, DType dtype, Dims dims, std::span<std::byte> bytes) {
  const auto size = byte_size(dtype, static_cast<uint64_t>(element_count(dims)));
  if (!size || *size != bytes.size()) {
    throw Error(ErrorCode::shape_mismatch, fmt::format("a tensor {}{} does not take {} bytes",
                                                       to_string(dtype), to_string(dims), bytes.size()));
  }
  return guarded("making a tensor", [&] { return adopt(runtime, wrap(dtype, dims, bytes).release()); });
}

OrtTensor OrtTensor::allocate(const Runtime& runtime, DType dtype, Dims dims) {
  if (!byte_size(dtype, 1))
    throw Error(ErrorCode::dtype_mismatch,
                fmt::format("a tensor of type {} cannot be allocated", to_string(dtype)));
  return guarded("allocating a tensor", [&] {
    Ort::AllocatorWithDefaultOptions allocator;
    return adopt(
        runtime,
        Ort::Value::CreateTensor(allocator, dims.data(), dims.size(), element_type(dtype)).release());
  });
}

OrtTensor OrtTensor::adopt(const Runtime& runtime, OrtValue* value) {
  OrtTensor out;
  out.value_ = std::unique_ptr<OrtValue, Release>(value, Release{runtime.impl()});
  guarded("reading a tensor", [&] {
    const Ort::ConstValue tensor{value};
    if (!tensor.IsTensor())
      throw Error(ErrorCode::unsupported, "ONNX Runtime gave a value that is no tensor");
    const auto info = tensor.GetTensorTypeAndShapeInfo();
    out.dtype_ = dtype_from_onnx(info.GetElementType());
    out.dims_ = info.GetShape();
  });
  return out;
}

std::span<const std::byte> OrtTensor::bytes() const {
  const auto size = byte_size(dtype_, static_cast<uint64_t>(element_count(dims_)));
  require_holds(value_ != nullptr && size.has_value());
  return guarded("reading a tensor", [&]() -> std::span<const std::byte> {
    return {static_cast<const std::byte*>(Ort::ConstValue{value_.get()}.GetTensorRawData()), *size};
  });
}

std::span<std::byte> OrtTensor::mutable_bytes() {
  const auto all = bytes();
  return {const_cast<std::byte*>(all.data()), all.size()};
}

HostTensor OrtTensor::to_host() const {
  HostTensor out;
  out.dtype = dtype_;
  out.dims = dims_;
  if (dtype_ == DType::string) {
    guarded("reading strings", [&] {
      const Ort::ConstValue tensor{value_.get()};
      const auto count = static_cast<size_t>(element_count(dims_));
      for (size_t i = 0; i < count; ++i) out.strings.push_back(tensor.GetStringTensorElement(i));
    });
    return out;
  }
  const auto all = bytes();
  out.bytes.assign(all.begin(), all.end());
  return out;
}

void OrtTensor::require_holds(bool condition) const {
  if (!condition) {
    throw Error(ErrorCode::dtype_mismatch, fmt::format("the elements of {}{} were asked for as another type",
                                                       to_string(dtype_), to_string(dims_)));
  }
}

}  // namespace ferry::ort
