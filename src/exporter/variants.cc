#include "exporter/variants.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"

namespace ferry::exporter {
namespace {

// The names of transformers.js (utils/dtypes.js), by which it finds the files.
struct NamedVariant {
  const char* dtype;
  const char* suffix;
  const char* method;
  bool half;
};
constexpr std::array kVariants = {
    NamedVariant{"fp32", "", "", false},
    NamedVariant{"fp16", "_fp16", "", true},
    NamedVariant{"q8", "_quantized", "int8", false},
    NamedVariant{"int8", "_int8", "int8", false},
    NamedVariant{"uint8", "_uint8", "uint8", false},
    NamedVariant{"q4", "_q4", "int4", false},
    NamedVariant{"q4f16", "_q4f16", "int4", true},
};

const NamedVariant& variant_named(const std::string& dtype) {
  std::vector<std::string> known;
  for (const auto& variant : kVariants) {
    if (dtype == variant.dtype) return variant;
    known.emplace_back(variant.dtype);
  }
  throw Error(ErrorCode::usage,
              fmt::format("dtype {} is not one of {}", printable(dtype), join(known, ", ", known.size())));
}

void check_combination(const MainExportOptions& options, bool half) {
  const auto refuse = [](const std::string& flag) {
    throw Error(ErrorCode::usage,
                fmt::format("--dtypes says the precision of each file: it cannot go with {}", flag));
  };
  if (options.dtype != "fp32") refuse("--dtype " + options.dtype);
  if (!options.quantization.method.empty()) refuse("--quantize " + options.quantization.method);
  if (half) refuse("--optimize O4");
  if (options.weights == MainExportOptions::Weights::in_place) refuse("--weights in-place");
  if (options.weights == MainExportOptions::Weights::shared) refuse("--weights shared");
}

}  // namespace

std::string with_suffix(const std::string& name, const std::string& suffix) {
  const std::filesystem::path path = name;
  return path.stem().string() + suffix + path.extension().string();
}

std::string suffix_in(std::string_view stem) {
  for (const auto& variant : kVariants) {
    const std::string_view suffix = variant.suffix;
    if (!suffix.empty() && ends_with(stem, suffix)) return std::string(suffix);
  }
  return "";
}

std::string Variant::file(const std::string& name) const {
  return with_suffix(name, suffix);
}

std::string dtype_suffix(const std::string& dtype) {
  return variant_named(dtype).suffix;
}

std::vector<Variant> variants_of(const MainExportOptions& options, bool half) {
  if (options.dtypes.empty()) return {{"", "", options.quantization, half}};
  check_combination(options, half);
  std::vector<Variant> out;
  for (const auto& dtype : options.dtypes) {
    const NamedVariant& named = variant_named(dtype);
    if (std::any_of(out.begin(), out.end(), [&](const Variant& other) { return other.dtype == dtype; }))
      throw Error(ErrorCode::usage, fmt::format("--dtypes has {} twice", dtype));
    Variant variant{dtype, named.suffix, options.quantization, named.half};
    variant.quantization.method = named.method;
    out.push_back(std::move(variant));
  }
  return out;
}

std::filesystem::path models_folder(const MainExportOptions& options) {
  return options.dtypes.empty() ? options.output : options.output / "onnx";
}

}  // namespace ferry::exporter
