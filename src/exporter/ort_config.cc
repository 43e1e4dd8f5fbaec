#include "exporter/ort_config.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace ferry::exporter {

std::string to_text(const OrtConfig& config) {
  const nlohmann::json out = {{"one_external_file", true},
                              {"opset", nullptr},
                              {"optimization", config.optimization},
                              {"quantization", config.quantization},
                              {"use_external_data_format", config.use_external_data_format}};
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

OrtConfig read_ort_config(const std::filesystem::path& file) {
  const std::string shown = printable(file.string());
  const nlohmann::json read(read_json(file));
  const auto invalid = [&](const char* what) {
    throw Error(ErrorCode::invalid_config, fmt::format("{}: {}", shown, what));
  };
  if (!read.is_object()) invalid("an ORTConfig is a JSON object");
  OrtConfig out;
  const auto part = [&](const char* key, nlohmann::json& to) {
    const auto found = read.find(key);
    if (found == read.end() || found->is_null()) return;
    if (!found->is_object()) invalid("\"optimization\" and \"quantization\" are objects");
    to = *found;
  };
  part("optimization", out.optimization);
  part("quantization", out.quantization);
  const auto external = read.find("use_external_data_format");
  if (external != read.end()) {
    if (!external->is_boolean()) invalid("\"use_external_data_format\" is true or false");
    out.use_external_data_format = external->get<bool>();
  }
  return out;
}

}  // namespace ferry::exporter
