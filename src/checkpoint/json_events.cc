#include "checkpoint/json_events.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "base/text.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {

constexpr size_t kMaxDepth = 16;

class Walker final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Walker(std::string_view what, JsonVisitor& visitor) : what_(what), visitor_(visitor) {
    names_.resize(kMaxDepth + 1);
  }

  bool null() override { return scalar({JsonScalar::Kind::null, 0, {}}); }
  bool boolean(bool) override { return scalar({JsonScalar::Kind::boolean, 0, {}}); }
  bool number_integer(number_integer_t) override { return scalar({JsonScalar::Kind::other_number, 0, {}}); }
  bool number_unsigned(number_unsigned_t value) override {
    return scalar({JsonScalar::Kind::whole, value, {}});
  }
  bool number_float(number_float_t, const string_t&) override {
    return scalar({JsonScalar::Kind::other_number, 0, {}});
  }
  bool string(string_t& value) override { return scalar({JsonScalar::Kind::string, 0, value}); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(false); }
  bool start_array(size_t) override { return open(true); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& value) override {
    if (!names_[depth_].insert(value).second)
      throw_invalid(what_, fmt::format("the name {} occurs twice in one object", in_quotes(value)));
    // Tensors, and "__metadata__".
    if (names_[depth_].size() > kMaxTensors + 1)
      throw_invalid(what_, fmt::format("more than {} names in one object", kMaxTensors));
    visitor_.on_key(depth_, value);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    // The library's text reads "[json.exception.parse_error.101] parse error at line 1, column 2: ...".
    std::string reason = error.what();
    if (const size_t bracket = reason.find("] "); bracket != std::string::npos) reason.erase(0, bracket + 2);
    throw_invalid(what_, fmt::format("not valid JSON at byte {}: {}", position, printable(reason, 200)));
  }

 private:
  bool scalar(const JsonScalar& value) {
    visitor_.on_scalar(depth_, value);
    return true;
  }

  bool open(bool is_array) {
    if (depth_ >= kMaxDepth) throw_invalid(what_, fmt::format("nested deeper than {} levels", kMaxDepth));
    visitor_.on_open(depth_, is_array);
    ++depth_;
    names_[depth_].clear();
    return true;
  }

  bool close() {
    --depth_;
    visitor_.on_close(depth_);
    return true;
  }

  std::string_view what_;
  JsonVisitor& visitor_;
  size_t depth_ = 0;
  std::vector<std::unordered_set<std::string>> names_;  // Of the objects that are open, by depth.
};

}  // namespace

void walk_json(std::string_view text, std::string_view what, JsonVisitor& visitor) {
  if (!is_utf8(text)) throw_invalid(what, "not UTF-8 text");
  // The library's parser takes a NUL for the end of the text.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos)
    throw_invalid(what, fmt::format("not valid JSON at byte {}: a NUL", nul));
  Walker walker(what, visitor);
  nlohmann::json::sax_parse(text.begin(), text.end(), &walker);
}

}  // namespace ferry::checkpoint
