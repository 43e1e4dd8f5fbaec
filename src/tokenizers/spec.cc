#include "tokenizers/spec.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {
using Json = nlohmann::ordered_json;
}

void Spec::fail(std::string_view key, std::string_view what) const {
  const std::string dot = key.empty() ? "" : fmt::format(".{}", key);
  throw Error(ErrorCode::invalid_config, fmt::format("{}{}: {}", where_, dot, what));
}

void Spec::fail_type(std::span<const std::string_view> known) const {
  const std::string name = type();
  const std::vector<std::string> all(known.begin(), known.end());
  Error error(ErrorCode::unsupported,
              fmt::format("{}.type: \"{}\" is not a type that is known here", where_, printable(name, 60)));
  throw error.with_hint(fmt::format("known types: {}", join(all, ", ", all.size())));
}

const Json& Spec::at(std::string_view key) const {
  if (!json_->is_object()) fail("", "must be an object");
  const auto found = json_->find(key);
  if (found == json_->end()) fail(key, "is missing");
  return *found;
}

std::string Spec::type() const {
  return string("type");
}

bool Spec::has(std::string_view key) const {
  if (!json_->is_object()) return false;
  const auto found = json_->find(key);
  return found != json_->end() && !found->is_null();
}

bool Spec::boolean(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_boolean()) fail(key, "must be true or false");
  return value.get<bool>();
}

bool Spec::boolean(std::string_view key, bool missing) const {
  return has(key) ? boolean(key) : missing;
}

std::string Spec::string(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_string()) fail(key, "must be a string");
  return value.get<std::string>();
}

std::optional<std::string> Spec::optional_string(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  return string(key);
}

char32_t Spec::character(std::string_view key) const {
  const std::string value = string(key);
  if (value.empty() || utf8_length(static_cast<unsigned char>(value[0])) != value.size()) {
    fail(key, "must be a single character");
  }
  return decode_utf8(value.data());
}

uint64_t Spec::number(std::string_view key, uint64_t largest) const {
  const Json& value = at(key);
  if (!value.is_number_unsigned() || value.get<uint64_t>() > largest) {
    fail(key, fmt::format("must be a whole number from 0 to {}", largest));
  }
  return value.get<uint64_t>();
}

std::vector<uint32_t> Spec::ids(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) fail(key, "must be a list of ids");
  std::vector<uint32_t> out;
  for (const Json& item : value) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > UINT32_MAX) fail(key, "must be a list of ids");
    out.push_back(item.get<uint32_t>());
  }
  return out;
}

std::vector<std::string> Spec::strings(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) fail(key, "must be a list of strings");
  std::vector<std::string> out;
  for (const Json& item : value) {
    if (!item.is_string()) fail(key, "must be a list of strings");
    out.push_back(item.get<std::string>());
  }
  return out;
}

Spec Spec::child(std::string_view key) const {
  return {at(key), fmt::format("{}.{}", where_, key)};
}

std::vector<Spec> Spec::children(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) fail(key, "must be a list");
  std::vector<Spec> out;
  for (const Json& item : value) out.emplace_back(item, fmt::format("{}.{}[{}]", where_, key, out.size()));
  return out;
}

}  // namespace ferry::tokenizers
