#include "base/json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ferry {
namespace {
using Json = nlohmann::ordered_json;

// Builds the document from parser events, so that depth and duplicate names are met before they cost
// anything.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view what, const JsonLimits& limits) : what_(what), limits_(limits) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& value) override {
    auto& level = levels_.back();
    if (!level.names.insert(value).second)
      fail(fmt::format("the name \"{}\" occurs twice in one object", printable(value, 80)));
    level.key = std::move(value);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    // The library's text reads "[json.exception.parse_error.101] parse error at line 1, column 2: ...".
    std::string reason = error.what();
    if (const size_t bracket = reason.find("] "); bracket != std::string::npos) reason.erase(0, bracket + 2);
    fail(fmt::format("not valid JSON at byte {}: {}", position, printable(reason, 200)));
  }

  Json take() { return std::move(root_); }

 private:
  struct Level {
    Json value;
    std::string key;
    std::unordered_set<std::string> names;
  };

  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(ErrorCode::invalid_file, fmt::format("{}: {}", what_, reason));
  }

  template <typename T>
  bool add(T&& value) {
    if (levels_.empty()) {
      root_ = Json(std::forward<T>(value));
    } else if (Level& level = levels_.back(); level.value.is_object()) {
      // The name is new (see key), so appending skips ordered_json's linear search.
      level.value.get_ref<Json::object_t&>().Container::emplace_back(std::move(level.key),
                                                                     Json(std::forward<T>(value)));
    } else {
      level.value.push_back(Json(std::forward<T>(value)));
    }
    return true;
  }

  bool open(Json value) {
    if (levels_.size() >= limits_.max_depth)
      fail(fmt::format("nested deeper than {} levels", limits_.max_depth));
    levels_.push_back({std::move(value), {}, {}});
    return true;
  }

  bool close() {
    Json value = std::move(levels_.back().value);
    levels_.pop_back();
    return add(std::move(value));
  }

  using Container = std::vector<std::pair<const std::string, Json>>;
  std::string_view what_;
  const JsonLimits& limits_;
  std::vector<Level> levels_;
  Json root_;
};

}  // namespace

Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    throw Error(ErrorCode::invalid_file, fmt::format("{}: {} of JSON, more than the {} allowed", what,
                                                     human_bytes(static_cast<double>(text.size())),
                                                     human_bytes(static_cast<double>(limits.max_bytes))));
  }
  if (!is_utf8(text)) throw Error(ErrorCode::invalid_file, fmt::format("{}: not UTF-8 text", what));
  // The parser takes a NUL for the end of the text and would pass over what follows.
  if (text.find('\0') != std::string_view::npos) {
    throw Error(ErrorCode::invalid_file, fmt::format("{}: not valid JSON: it holds a NUL byte", what));
  }
  Builder builder(what, limits);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

Json read_json(const std::filesystem::path& file, const JsonLimits& limits) {
  return parse_json(read_text(file, limits.max_bytes), file.string(), limits);
}

}  // namespace ferry
