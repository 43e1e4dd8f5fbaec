#pragma once
// Reading config.json: every key that a definition understands is named once, with its type and default; what
// nobody named is reported.
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::nn {

/// A view of one JSON object that remembers which keys were asked for.
///
/// Errors of all readers: Error{invalid_config} that names the file, the key, what was found and what was
/// expected.
class ConfigReader {
 public:
  /// `json` must outlive the reader. `origin` names it in messages ("config.json").
  ConfigReader(const nlohmann::ordered_json& json, std::string origin);
  ~ConfigReader();
  ConfigReader(ConfigReader&&) noexcept;
  ConfigReader& operator=(ConfigReader&&) noexcept;

  // Each leaves `value` as it is if the key is absent or null.
  void read(std::string_view key, int64_t& value, int64_t least = 1, int64_t most = int64_t{1} << 31);
  void read(std::string_view key, float& value);
  void read(std::string_view key, double& value);
  void read(std::string_view key, bool& value);
  void read(std::string_view key, std::string& value);
  void read(std::string_view key, std::vector<int64_t>& value);
  void read(std::string_view key, std::vector<std::string>& value);
  void read(std::string_view key, std::vector<float>& value);
  /// A whole number, or one a side.
  void read(std::string_view key, std::optional<int64_t>& value, int64_t least = 0,
            int64_t most = int64_t{1} << 62);
  void read(std::string_view key, std::optional<float>& value);
  void read(std::string_view key, std::optional<double>& value);
  /// The same where null is a value of its own: nothing. Absent leaves `value` as it is.
  void read_nullable(std::string_view key, std::optional<int64_t>& value, int64_t least = 0,
                     int64_t most = int64_t{1} << 62);
  void read_nullable(std::string_view key, std::optional<double>& value);
  /// One of `choices`; anything else is refused with the list.
  void read_choice(std::string_view key, std::string& value, const std::vector<std::string>& choices);

  /// Refuses a key whose value is neither absent, null nor `only`: the definition implements that one alone.
  void only(std::string_view key, bool only);
  /// Refuses a non-empty object or list, or any other value than null.
  void must_be_empty(std::string_view key);

  [[nodiscard]] bool has(std::string_view key) const;  ///< Present and not null.
  /// A nested object as a reader of its own ("text_config"); nothing if absent or null.
  [[nodiscard]] std::optional<ConfigReader> object(std::string_view key);
  /// Marks a key as understood without reading it.
  void ignore(std::string_view key);
  /// Takes the keys of a nested object that nobody asked for among those of this one:
  /// "rope_scaling.finetuned".
  void adopt_unknown(std::string_view key, const ConfigReader& nested);

  /// The size of id2label, else num_labels, else 2; as PretrainedConfig.num_labels.
  [[nodiscard]] int64_t num_labels();

  /// Keys that nobody asked for and that are not known to be without effect on an exported graph.
  [[nodiscard]] std::vector<std::string> unknown_keys() const;
  [[nodiscard]] const nlohmann::ordered_json& json() const;
  [[nodiscard]] const std::string& origin() const { return origin_; }
  [[noreturn]] void fail(std::string_view key, std::string_view expected) const;

 private:
  [[nodiscard]] const nlohmann::ordered_json* find(std::string_view key);

  const nlohmann::ordered_json* json_;
  std::string origin_;
  std::set<std::string, std::less<>> asked_;
  std::vector<std::string> adopted_;
};

}  // namespace ferry::nn
