#include "processors/settings.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace ferry::processors {
using Json = nlohmann::ordered_json;

Settings::Settings(const Json& json) : json_(json) {
  if (!json.is_object()) throw Error(ErrorCode::invalid_config, "preprocessor_config.json is no object");
}

const Json* Settings::find(const char* key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

void Settings::refuse(const char* key, std::string_view wanted) const {
  const std::string value = json_.contains(key) ? json_.at(key).dump() : "missing";
  throw Error(ErrorCode::invalid_config, fmt::format("preprocessor_config.json: {} is {}, expected {}", key,
                                                     printable(value, 80), wanted));
}

bool Settings::boolean(const char* key, bool otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return json_.contains(key) ? false : otherwise;
  if (!value->is_boolean()) refuse(key, "true or false");
  return value->get<bool>();
}

int64_t Settings::integer(const char* key, int64_t otherwise, int64_t least, int64_t most) const {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number_integer() || value->get<int64_t>() < least || value->get<int64_t>() > most)
    refuse(key, fmt::format("an integer from {} to {}", least, most));
  return value->get<int64_t>();
}

double Settings::number(const char* key, double otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number() || !std::isfinite(value->get<double>())) refuse(key, "a number");
  return value->get<double>();
}

std::string Settings::text(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return "";
  if (!value->is_string()) refuse(key, "a text");
  return value->get<std::string>();
}

std::vector<double> Settings::numbers(const char* key, std::vector<double> otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  const size_t count = otherwise.size();
  if (value->is_number()) return std::vector<double>(count, number(key, 0));
  bool valid = value->is_array() && value->size() == count;
  std::vector<double> out;
  for (size_t i = 0; valid && i < count; ++i) {
    valid = value->at(i).is_number();
    if (valid) out.push_back(value->at(i).get<double>());
  }
  if (!valid) refuse(key, fmt::format("{} numbers", count));
  return out;
}

}  // namespace ferry::processors
