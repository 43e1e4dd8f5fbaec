#include "tokenizers/jinja/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "tokenizers/decoders/decoder.h"
#include "tokenizers/models/model.h"
#include "tokenizers/unicode/properties.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers::jinja {
namespace {

std::string represent(const Json& j) {
  if (!j.is_string()) return to_text(j);
  const auto& text = j.get_ref<const std::string&>();
  const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\\' || c == quote)
      out.append("\\").append(1, c);
    else
      out += c;
  }
  return out + quote;
}

std::string number_text(const Json& j) {
  if (!j.is_number_float()) return j.dump();
  const double value = j.get<double>();
  std::string out = fmt::format("{}", value);
  if (out.find_first_of(".en") == std::string::npos) out += ".0";
  return out;
}

// Strips characters of `set`, or white space, from the ends.
std::string strip(std::string_view text, const std::vector<Value>& arguments, bool left, bool right) {
  const std::optional<std::string> set =
      arguments.empty() || arguments[0].json.is_null() ? std::nullopt : std::optional(to_text(arguments[0]));
  const auto goes = [&](const char* p) {
    const size_t n = utf8_length(static_cast<unsigned char>(*p));
    if (set) return set->find(std::string_view(p, n)) != std::string::npos;
    const char32_t c = decode_utf8(p);
    return properties(c).has(white_space) || (c >= 0x1C && c <= 0x1F);
  };
  const char* begin = text.data();
  const char* end = begin + text.size();
  while (left && begin < end && goes(begin)) begin += utf8_length(static_cast<unsigned char>(*begin));
  while (right && begin < end && goes(previous_utf8(end))) end = previous_utf8(end);
  return std::string(begin, end);
}

std::string map_ascii(std::string text, bool upper) {
  for (char& c : text) {
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

std::string title(const std::string& text, bool first_only) {
  std::string out = map_ascii(text, false);
  bool start = true;
  for (char& c : out) {
    const bool letter = (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
    if (letter && start && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    start = first_only ? false : !letter;
  }
  return out;
}

Json split_text(const std::string& text, const std::vector<Value>& arguments) {
  Json out = Json::array();
  const int64_t most =
      arguments.size() > 1 && arguments[1].json.is_number_integer() ? arguments[1].json.get<int64_t>() : -1;
  if (arguments.empty() || arguments[0].json.is_null()) {
    for (size_t at = 0; at < text.size();) {
      const size_t begin = text.find_first_not_of(" \t\n\r\f\v", at);
      if (begin == std::string::npos) break;
      const size_t end = std::min(text.find_first_of(" \t\n\r\f\v", begin), text.size());
      out.push_back(text.substr(begin, end - begin));
      at = end;
    }
    return out;
  }
  const std::string separator = to_text(arguments[0]);
  if (separator.empty()) fail("split() with an empty separator");
  size_t done = 0;
  for (size_t at = text.find(separator);
       at != std::string::npos && (most < 0 || static_cast<int64_t>(out.size()) < most);
       at = text.find(separator, done)) {
    out.push_back(text.substr(done, at - done));
    done = at + separator.size();
  }
  out.push_back(text.substr(done));
  return out;
}

int64_t length_of(const Json& j) {
  if (!j.is_string()) {
    if (!j.is_array() && !j.is_object()) fail("length of something that has none");
    return static_cast<int64_t>(j.size());
  }
  int64_t n = 0;
  for (const char c : j.get_ref<const std::string&>()) n += is_continuation(c) ? 0 : 1;
  return n;
}

Json items_of(const Json& object) {
  Json out = Json::array();
  for (const auto& [key, value] : object.items()) out.push_back(Json::array({key, value}));
  return out;
}

Value attribute(const Json& item, const std::string& name) {
  const auto found = item.is_object() ? item.find(name) : item.end();
  if (item.is_object() && found != item.end()) return *found;
  Value none;
  none.undefined = true;
  return none;
}

// selectattr, rejectattr, select, reject.
Json choose(const Json& list, const std::vector<Value>& a, bool by_attribute, bool wanted) {
  Json out = Json::array();
  for (const Json& item : list) {
    const size_t at = by_attribute ? 1 : 0;
    const Value subject = by_attribute ? attribute(item, a.empty() ? "" : to_text(a[0])) : Value(item);
    bool holds = truthy(subject);
    if (a.size() > at) {
      const auto tested = apply_test(to_text(a[at]), subject,
                                     std::vector<Value>(a.begin() + static_cast<ptrdiff_t>(at) + 1, a.end()));
      if (!tested) fail(fmt::format("no test \"{}\"", printable(to_text(a[at]), 40)));
      holds = *tested;
    }
    if (holds == wanted) out.push_back(item);
  }
  return out;
}
}  // namespace

void fail(const std::string& what) {
  throw Error(ErrorCode::invalid_config, "chat template: " + what);
}

bool truthy(const Value& v) {
  if (v.undefined) return false;
  if (v.names || v.macro != nullptr) return true;
  const Json& j = v.json;
  if (j.is_null()) return false;
  if (j.is_boolean()) return j.get<bool>();
  if (j.is_number()) return j.get<double>() != 0;
  if (j.is_string()) return !j.get_ref<const std::string&>().empty();
  return !j.empty();
}

std::string to_text(const Value& v) {
  if (v.undefined) return {};
  const Json& j = v.json;
  if (j.is_string()) return j.get<std::string>();
  if (j.is_null()) return "None";
  if (j.is_boolean()) return j.get<bool>() ? "True" : "False";
  if (j.is_number()) return number_text(j);
  std::string out = j.is_array() ? "[" : "{";
  bool first = true;
  for (const auto& [key, value] : j.items()) {
    if (!first) out += ", ";
    first = false;
    if (j.is_object()) out += represent(key) + ": ";
    out += represent(value);
  }
  return out + (j.is_array() ? "]" : "}");
}

std::string to_json_text(const Json& j, std::optional<int64_t> indent) {
  if (indent) return j.dump(static_cast<int>(std::clamp<int64_t>(*indent, 0, 16)));
  if (j.is_string()) {
    std::string out;
    append_json_string(out, j.get_ref<const std::string&>());
    return out;
  }
  if (j.is_number_float()) return number_text(j);
  if (!j.is_structured()) return j.dump();
  std::string out = j.is_array() ? "[" : "{";
  bool first = true;
  for (const auto& [key, value] : j.items()) {
    if (!first) out += ", ";
    first = false;
    if (j.is_object()) out += to_json_text(key, {}) + ": ";
    out += to_json_text(value, {});
  }
  return out + (j.is_array() ? "]" : "}");
}

bool is_equal(const Json& a, const Json& b) {
  if (a.is_boolean() && b.is_number()) return (a.get<bool>() ? 1.0 : 0.0) == b.get<double>();
  if (b.is_boolean() && a.is_number()) return is_equal(b, a);
  return a == b;
}

std::optional<Value> call_method(const Json& object, const std::string& name, const std::vector<Value>& a) {
  if (object.is_object()) {
    if (name == "items") return items_of(object);
    if (name == "get") {
      if (a.empty()) fail("get() needs a key");
      const Value found = attribute(object, to_text(a[0]));
      if (!found.undefined) return found;
      return a.size() > 1 ? a[1] : Value(nullptr);
    }
    if (name == "keys" || name == "values") {
      Json out = Json::array();
      for (const auto& [key, value] : object.items()) out.push_back(name == "keys" ? Json(key) : value);
      return out;
    }
    return std::nullopt;
  }
  if (!object.is_string()) return std::nullopt;
  const auto& text = object.get_ref<const std::string&>();
  const std::string first = a.empty() ? "" : to_text(a[0]);
  if (name == "strip" || name == "lstrip" || name == "rstrip")
    return Json(strip(text, a, name != "rstrip", name != "lstrip"));
  if (name == "startswith") return Json(starts_with(text, first));
  if (name == "endswith") return Json(ends_with(text, first));
  if (name == "split") return split_text(text, a);
  if (name == "upper" || name == "lower") return Json(map_ascii(text, name == "upper"));
  if (name == "title" || name == "capitalize") return Json(title(text, name == "capitalize"));
  if (name == "replace" && a.size() >= 2) return Json(replace_all(text, first, to_text(a[1])));
  if (name == "find") {
    const size_t at = text.find(first);
    return at == std::string::npos ? Json(-1) : Json(length_of(text.substr(0, at)));
  }
  if (name == "count") {
    int64_t n = 0;
    for (size_t at = text.find(first); !first.empty() && at != std::string::npos;
         at = text.find(first, at + first.size()))
      ++n;
    return Json(n);
  }
  return std::nullopt;
}

std::optional<Value> apply_filter(const std::string& name, const Value& v, const std::vector<Value>& a,
                                  const std::map<std::string, Value>& named) {
  const Json& j = v.json;
  if (name == "default" || name == "d") {
    const bool falsy_too =
        (a.size() > 1 && truthy(a[1])) || (named.contains("boolean") && truthy(named.at("boolean")));
    if (v.undefined || (falsy_too && !truthy(v))) return a.empty() ? Value(Json("")) : a[0];
    return v;
  }
  if (name == "trim") return Json(strip(to_text(v), a, true, true));
  if (name == "length" || name == "count") return Json(v.undefined ? 0 : length_of(j));
  if (name == "tojson") {
    const Json indent = !a.empty() ? a[0].json : named.contains("indent") ? named.at("indent").json : Json();
    return Json(
        to_json_text(j, indent.is_number_integer() ? std::optional(indent.get<int64_t>()) : std::nullopt));
  }
  if (name == "upper" || name == "lower") return Json(map_ascii(to_text(v), name == "upper"));
  if (name == "title" || name == "capitalize") return Json(title(to_text(v), name == "capitalize"));
  if (name == "string") return Json(to_text(v));
  if (name == "safe") return v;
  if (name == "list" && j.is_array()) return v;
  if (name == "items") return items_of(j);
  if (name == "replace" && a.size() >= 2) return Json(replace_all(to_text(v), to_text(a[0]), to_text(a[1])));
  if (name == "int" || name == "float") {
    const std::string text = to_text(v);
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const bool good = end != text.c_str() && std::abs(value) < 9e18;
    return name == "int" ? Json(good ? static_cast<int64_t>(value) : 0) : Json(good ? value : 0.0);
  }
  if (name == "abs" && j.is_number())
    return j.is_number_integer() ? Json(std::abs(j.get<int64_t>())) : Json(std::abs(j.get<double>()));
  if (!j.is_array()) return std::nullopt;
  if (name == "first" || name == "last") {
    if (!j.empty()) return name == "first" ? j.front() : j.back();
    Value none;
    none.undefined = true;
    return none;
  }
  if (name == "join") {
    std::string out;
    const std::string separator = a.empty() ? "" : to_text(a[0]);
    for (size_t i = 0; i < j.size(); ++i) out += (i > 0 ? separator : "") + to_text(j[i]);
    return Json(out);
  }
  if (name == "reverse") return Json(Json::array_t(j.rbegin(), j.rend()));
  if (name == "map" && named.contains("attribute")) {
    Json out = Json::array();
    for (const Json& item : j) out.push_back(attribute(item, to_text(named.at("attribute"))).json);
    return out;
  }
  if (name == "selectattr" || name == "rejectattr") return choose(j, a, true, name == "selectattr");
  if (name == "select" || name == "reject") return choose(j, a, false, name == "select");
  return std::nullopt;
}

std::optional<bool> apply_test(const std::string& name, const Value& v, const std::vector<Value>& a) {
  const Json& j = v.json;
  if (name == "defined") return !v.undefined;
  if (name == "undefined") return v.undefined;
  if (name == "none") return !v.undefined && j.is_null();
  if (name == "string") return j.is_string();
  if (name == "number") return j.is_number();
  if (name == "integer") return j.is_number_integer();
  if (name == "float") return j.is_number_float();
  if (name == "boolean") return j.is_boolean();
  if (name == "true") return j.is_boolean() && j.get<bool>();
  if (name == "false") return j.is_boolean() && !j.get<bool>();
  if (name == "mapping") return j.is_object();
  if (name == "iterable" || name == "sequence")
    return v.undefined ? name == "iterable" : j.is_structured() || j.is_string();
  if ((name == "odd" || name == "even") && j.is_number_integer())
    return (j.get<int64_t>() % 2 != 0) == (name == "odd");
  if ((name == "equalto" || name == "eq" || name == "==") && !a.empty()) return is_equal(j, a[0].json);
  if ((name == "ne" || name == "!=") && !a.empty()) return !is_equal(j, a[0].json);
  if (name == "divisibleby" && !a.empty() && j.is_number_integer() && a[0].json.is_number_integer() &&
      a[0].json != 0)
    return j.get<int64_t>() % a[0].json.get<int64_t>() == 0;
  if (name == "in" && !a.empty()) {
    const Json& c = a[0].json;
    if (c.is_string() && j.is_string())
      return c.get_ref<const std::string&>().find(j.get_ref<const std::string&>()) != std::string::npos;
    if (c.is_object() && j.is_string()) return c.contains(j.get<std::string>());
    return c.is_array() &&
           std::any_of(c.begin(), c.end(), [&](const Json& item) { return is_equal(item, j); });
  }
  return std::nullopt;
}

}  // namespace ferry::tokenizers::jinja
