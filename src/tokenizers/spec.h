#pragma once
// Reading the parts of tokenizer.json: a JSON value that knows where it stands, so that every complaint names
// the file and the key.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::tokenizers {

/// A view of one JSON object; the document must outlive it.
class Spec {
 public:
  /// `where` names the value: "tokenizer.json: normalizer".
  Spec(const nlohmann::ordered_json& json, std::string where) : json_(&json), where_(std::move(where)) {}

  [[nodiscard]] const nlohmann::ordered_json& json() const { return *json_; }
  [[nodiscard]] const std::string& where() const { return where_; }

  /// The "type" member. Errors: Error{invalid_config} if the value is no object or has none.
  [[nodiscard]] std::string type() const;
  [[nodiscard]] bool has(std::string_view key) const;  ///< Present and not null.
  [[nodiscard]] bool boolean(std::string_view key) const;
  [[nodiscard]] bool boolean(std::string_view key, bool missing) const;
  [[nodiscard]] std::string string(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> optional_string(std::string_view key) const;
  [[nodiscard]] char32_t character(std::string_view key) const;
  [[nodiscard]] uint64_t number(std::string_view key, uint64_t largest) const;
  [[nodiscard]] std::vector<uint32_t> ids(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> strings(std::string_view key) const;
  [[nodiscard]] Spec child(std::string_view key) const;
  [[nodiscard]] std::vector<Spec> children(std::string_view key) const;  ///< Of an array.

  /// Throws Error{invalid_config} that starts with where this value stands.
  [[noreturn]] void fail(std::string_view key, std::string_view what) const;
  /// Throws Error{unsupported} that lists the types there are.
  [[noreturn]] void fail_type(std::span<const std::string_view> known) const;

 private:
  [[nodiscard]] const nlohmann::ordered_json& at(std::string_view key) const;

  const nlohmann::ordered_json* json_;
  std::string where_;
};

}  // namespace ferry::tokenizers
