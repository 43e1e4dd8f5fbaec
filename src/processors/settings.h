#pragma once
// preprocessor_config.json: values by key, each checked.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::processors {

class Settings {
 public:
  /// `json` outlives the object. Errors: Error{invalid_config} if it is no object.
  explicit Settings(const nlohmann::ordered_json& json);

  /// Whether the key is there and not null.
  [[nodiscard]] bool has(const char* key) const { return find(key) != nullptr; }
  /// A null is false, as in Python's `if`.
  [[nodiscard]] bool boolean(const char* key, bool otherwise) const;
  [[nodiscard]] int64_t integer(const char* key, int64_t otherwise, int64_t least, int64_t most) const;
  [[nodiscard]] double number(const char* key, double otherwise) const;
  [[nodiscard]] std::string text(const char* key) const;  ///< "" if it is not there.
  /// `count` numbers, or one that stands for all.
  [[nodiscard]] std::vector<double> numbers(const char* key, std::vector<double> otherwise) const;
  [[nodiscard]] const nlohmann::ordered_json* find(const char* key) const;

  /// Throws Error{invalid_config}: "preprocessor_config.json: <key> is <value>, expected <wanted>".
  [[noreturn]] void refuse(const char* key, std::string_view wanted) const;

 private:
  const nlohmann::ordered_json& json_;
};

}  // namespace ferry::processors
