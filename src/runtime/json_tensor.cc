#include "runtime/json_tensor.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace ferry::runtime {
namespace {
using Json = nlohmann::ordered_json;

constexpr size_t kMostLevels = 8;

std::string shown(const Json& value) {
  return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

// Walks the lists once: `take` gets each value in row-major order.
class Walk {
 public:
  explicit Walk(const Json& json) {
    for (const Json* at = &json; at->is_array(); at = &at->front()) {
      if (dims_.size() == kMostLevels)
        throw Error(ErrorCode::shape_mismatch, fmt::format("lists of more than {} levels", kMostLevels));
      dims_.push_back(static_cast<int64_t>(at->size()));
      if (at->empty()) break;
    }
  }

  [[nodiscard]] const Dims& dims() const { return dims_; }

  template <typename Take>
  void each(const Json& json, const Take& take, size_t level = 0) {
    if (level == dims_.size()) {
      if (json.is_array()) throw Error(ErrorCode::shape_mismatch, at_position("a list where a value is due"));
      take(json, *this);
      return;
    }
    const bool fits = json.is_array() && json.size() == static_cast<size_t>(dims_[level]);
    if (!fits) {
      const std::string found =
          json.is_array() ? fmt::format("a list of {}", json.size()) : fmt::format("{}", shown(json));
      throw Error(ErrorCode::shape_mismatch,
                  at_position(fmt::format("{} where others are lists of {}", found, dims_[level])));
    }
    position_.push_back(0);
    for (const Json& inner : json) {
      each(inner, take, level + 1);
      ++position_.back();
    }
    position_.pop_back();
  }

  [[noreturn]] void refuse(const Json& value, DType dtype) const {
    throw Error(ErrorCode::dtype_mismatch,
                at_position(fmt::format("{} is no {}", shown(value), to_string(dtype))));
  }

 private:
  [[nodiscard]] std::string at_position(const std::string& what) const {
    std::string where;
    for (const size_t index : position_) where += fmt::format("[{}]", index);
    return where.empty() ? what : where + ": " + what;
  }

  Dims dims_;
  std::vector<size_t> position_;
};

template <typename T>
void put(HostTensor& out, T value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.bytes.insert(out.bytes.end(), bytes, bytes + sizeof(T));
}

template <typename T>
void put_whole(HostTensor& out, const Json& value, const Walk& walk) {
  using Limits = std::numeric_limits<T>;
  if (value.is_number_unsigned() && value.get<uint64_t>() <= static_cast<uint64_t>(Limits::max()))
    return put(out, static_cast<T>(value.get<uint64_t>()));
  const bool negative = value.is_number_integer() && !value.is_number_unsigned() && Limits::is_signed;
  if (!negative || value.get<int64_t>() < static_cast<int64_t>(Limits::min())) walk.refuse(value, out.dtype);
  put(out, static_cast<T>(value.get<int64_t>()));
}

template <typename T>
void put_float(HostTensor& out, const Json& value, const Walk& walk) {
  if (!value.is_number()) walk.refuse(value, out.dtype);
  const T number = static_cast<T>(value.get<double>());
  if (!std::isfinite(number)) walk.refuse(value, out.dtype);
  put(out, number);
}

void put_boolean(HostTensor& out, const Json& value, const Walk& walk) {
  const bool known = value.is_boolean() || value == 0 || value == 1;
  if (!known) walk.refuse(value, out.dtype);
  put<uint8_t>(out, value.is_boolean() ? value.get<bool>() : value == 1);
}

void put_text(HostTensor& out, const Json& value, const Walk& walk) {
  if (!value.is_string()) walk.refuse(value, out.dtype);
  out.strings.push_back(value.get<std::string>());
}

using Put = void (*)(HostTensor&, const Json&, const Walk&);

Put put_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return put_float<float>;
    case DType::f64:
      return put_float<double>;
    case DType::i8:
      return put_whole<int8_t>;
    case DType::i16:
      return put_whole<int16_t>;
    case DType::i32:
      return put_whole<int32_t>;
    case DType::i64:
      return put_whole<int64_t>;
    case DType::u8:
      return put_whole<uint8_t>;
    case DType::u16:
      return put_whole<uint16_t>;
    case DType::u32:
      return put_whole<uint32_t>;
    case DType::u64:
      return put_whole<uint64_t>;
    case DType::boolean:
      return put_boolean;
    case DType::string:
      return put_text;
    default:
      throw Error(ErrorCode::unsupported, fmt::format("lists cannot be read as {}", to_string(dtype)));
  }
}

}  // namespace

HostTensor tensor_from_json(const Json& json, DType dtype) {
  if (dtype == DType::f16 || dtype == DType::bf16)
    return tensor_from_json(json, DType::f32).to_floating(dtype);
  const Put put = put_of(dtype);
  Walk walk(json);
  HostTensor out;
  out.dtype = dtype;
  out.dims = walk.dims();
  walk.each(json, [&](const Json& value, const Walk& at) { put(out, value, at); });
  return out;
}

}  // namespace ferry::runtime
