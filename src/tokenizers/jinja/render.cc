#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

#include "base/error.h"
#include "base/text.h"
#include "tokenizers/jinja/values.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers::jinja {
namespace {
using EKind = Expression::Kind;
using SKind = Statement::Kind;
using Scope = std::map<std::string, Value>;

constexpr size_t kMostSteps = 1'000'000;
constexpr size_t kMostOutput = 64u << 20;
constexpr int kDeepest = 200;

class Runner {
 public:
  explicit Runner(const Json& variables) {
    scopes_.emplace_back();
    for (const auto& [name, value] : variables.items()) scopes_[0][name] = value;
    scopes_.emplace_back();
  }
  enum class Flow { normal, stop, next };
  Flow run(const Body& body, std::string& out);

 private:
  void step() {
    if (++steps_ > kMostSteps) fail("it takes too long");
  }
  static Value undefined() {
    Value v;
    v.undefined = true;
    return v;
  }
  Flow run_one(const Statement& s, std::string& out);
  Flow loop(const Statement& s, std::string& out);
  void bind(const std::vector<std::string>& names, const Value& value);
  void assign(const Statement& s);
  Value evaluate(const Expression& e);
  Value lookup(const std::string& name) const;
  Value attribute(const Value& object, const std::string& name) const;
  Value subscript(const Expression& e);
  Value slice(const Expression& e);
  Value call(const Expression& e);
  Value call_global(const std::string& name, const std::vector<Value>& positional,
                    const std::map<std::string, Value>& named);
  Value call_macro(const Statement& macro, const std::vector<Value>& positional,
                   const std::map<std::string, Value>& named);
  Value binary(const Expression& e);
  void arguments(const Expression& e, std::vector<Value>& positional, std::map<std::string, Value>& named);

  std::vector<Scope> scopes_;
  size_t steps_ = 0;
  int depth_ = 0;
};

Runner::Flow Runner::run(const Body& body, std::string& out) {
  for (const Statement& s : body) {
    step();
    if (out.size() > kMostOutput) fail("its output is too long");
    const Flow flow = run_one(s, out);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Runner::Flow Runner::run_one(const Statement& s, std::string& out) {
  switch (s.kind) {
    case SKind::text:
      out += s.text;
      break;
    case SKind::output:
      out += to_text(evaluate(*s.value));
      break;
    case SKind::condition:
      for (const auto& [test, body] : s.branches) {
        if (test == nullptr || truthy(evaluate(*test))) return run(body, out);
      }
      break;
    case SKind::loop:
      return loop(s, out);
    case SKind::assign:
      assign(s);
      break;
    case SKind::assign_block: {
      std::string text;
      run(s.body, text);
      scopes_.back()[s.names[0]] = Json(text);
      break;
    }
    case SKind::macro: {
      Value v;
      v.macro = &s;
      scopes_.back()[s.text] = v;
      break;
    }
    case SKind::stop:
      return Flow::stop;
    case SKind::next:
      return Flow::next;
  }
  return Flow::normal;
}

void Runner::bind(const std::vector<std::string>& names, const Value& value) {
  if (names.size() == 1) {
    scopes_.back()[names[0]] = value;
    return;
  }
  if (!value.json.is_array() || value.json.size() != names.size()) fail("a value cannot be taken apart");
  for (size_t i = 0; i < names.size(); ++i) scopes_.back()[names[i]] = value.json[i];
}

void Runner::assign(const Statement& s) {
  Value value = evaluate(*s.value);
  if (s.text.empty()) return bind(s.names, value);
  const Value object = lookup(s.names[0]);
  if (!object.names) fail(fmt::format("{} is not a namespace", s.names[0]));
  (*object.names)[s.text] = value.json;
}

Runner::Flow Runner::loop(const Statement& s, std::string& out) {
  const Value value = evaluate(*s.value);
  Json list = Json::array();
  if (value.json.is_array()) {
    list = value.json;
  } else if (value.json.is_object()) {
    for (const auto& [key, unused] : value.json.items()) list.push_back(key);
  } else if (value.json.is_string()) {
    const auto text = value.json.get<std::string>();
    for (size_t i = 0; i < text.size(); i += utf8_length(static_cast<unsigned char>(text[i])))
      list.push_back(text.substr(i, utf8_length(static_cast<unsigned char>(text[i]))));
  } else if (!value.undefined) {
    fail("a loop over something that is no list");
  }
  scopes_.emplace_back();
  if (s.filter) {
    Json kept = Json::array();
    for (const Json& item : list) {
      bind(s.names, item);
      if (truthy(evaluate(*s.filter))) kept.push_back(item);
    }
    list = std::move(kept);
  }
  const size_t n = list.size();
  for (size_t i = 0; i < n; ++i) {
    step();
    scopes_.back().clear();
    bind(s.names, list[i]);
    if (s.body.empty()) continue;
    Json info = {{"index", i + 1}, {"index0", i},       {"first", i == 0},       {"last", i + 1 == n},
                 {"length", n},    {"revindex", n - i}, {"revindex0", n - i - 1}};
    if (i > 0) info["previtem"] = list[i - 1];
    if (i + 1 < n) info["nextitem"] = list[i + 1];
    scopes_.back()["loop"] = std::move(info);
    if (run(s.body, out) == Flow::stop) break;
  }
  scopes_.pop_back();
  return n == 0 ? run(s.otherwise, out) : Flow::normal;
}

Value Runner::lookup(const std::string& name) const {
  for (size_t i = scopes_.size(); i-- > 0;) {
    if (const auto found = scopes_[i].find(name); found != scopes_[i].end()) return found->second;
  }
  return undefined();
}

Value Runner::attribute(const Value& object, const std::string& name) const {
  if (object.undefined) fail(fmt::format("\"{}\" of something undefined", printable(name, 40)));
  if (object.names) {
    const auto found = object.names->find(name);
    return found == object.names->end() ? undefined() : Value(found->second);
  }
  if (!object.json.is_object()) return undefined();
  const auto found = object.json.find(name);
  return found == object.json.end() ? undefined() : Value(*found);
}

Value Runner::subscript(const Expression& e) {
  const Value object = evaluate(*e.parts[0]);
  const Value index = evaluate(*e.parts[1]);
  if (index.json.is_string()) return attribute(object, index.json.get<std::string>());
  if (object.undefined) fail("an item of something undefined");
  if (!index.json.is_number_integer()) return undefined();
  auto at = index.json.get<int64_t>();
  if (object.json.is_array()) {
    const auto n = static_cast<int64_t>(object.json.size());
    if (at < 0) at += n;
    return at < 0 || at >= n ? undefined() : Value(object.json[static_cast<size_t>(at)]);
  }
  if (!object.json.is_string()) return undefined();
  const Value characters = Json::array({object.json});
  Expression copy;
  std::vector<std::string> list;
  const auto text = object.json.get<std::string>();
  for (size_t i = 0; i < text.size(); i += utf8_length(static_cast<unsigned char>(text[i])))
    list.push_back(text.substr(i, utf8_length(static_cast<unsigned char>(text[i]))));
  if (at < 0) at += static_cast<int64_t>(list.size());
  return at < 0 || at >= static_cast<int64_t>(list.size()) ? undefined()
                                                           : Value(Json(list[static_cast<size_t>(at)]));
}

Value Runner::slice(const Expression& e) {
  const Value object = evaluate(*e.parts[0]);
  std::vector<Json> items;
  if (object.json.is_array()) {
    items.assign(object.json.begin(), object.json.end());
  } else if (object.json.is_string()) {
    const auto text = object.json.get<std::string>();
    for (size_t i = 0; i < text.size(); i += utf8_length(static_cast<unsigned char>(text[i])))
      items.emplace_back(text.substr(i, utf8_length(static_cast<unsigned char>(text[i]))));
  } else {
    fail("a slice of something that is no list");
  }
  const auto n = static_cast<int64_t>(items.size());
  const auto part = [&](size_t i, int64_t missing) {
    if (e.parts[i] == nullptr) return missing;
    const Value v = evaluate(*e.parts[i]);
    return v.json.is_number_integer() ? v.json.get<int64_t>() : missing;
  };
  const int64_t step = part(3, 1);
  if (step == 0) fail("a slice with step 0");
  const auto clamp = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + n : at, step > 0 ? 0 : -1, step > 0 ? n : n - 1);
  };
  const int64_t begin = e.parts[1] ? clamp(part(1, 0)) : step > 0 ? 0 : n - 1;
  const int64_t end = e.parts[2] ? clamp(part(2, 0)) : step > 0 ? n : -1;
  Json list = Json::array();
  for (int64_t i = begin; step > 0 ? i < end : i > end; i += step)
    list.push_back(items[static_cast<size_t>(i)]);
  if (object.json.is_array()) return list;
  std::string text;
  for (const Json& c : list) text += c.get<std::string>();
  return Json(text);
}

void Runner::arguments(const Expression& e, std::vector<Value>& positional,
                       std::map<std::string, Value>& named) {
  for (const Argument& a : e.arguments) {
    if (a.name.empty()) {
      positional.push_back(evaluate(*a.value));
    } else {
      named[a.name] = evaluate(*a.value);
    }
  }
}

Value Runner::call_macro(const Statement& macro, const std::vector<Value>& positional,
                         const std::map<std::string, Value>& named) {
  if (++depth_ > kDeepest) fail("macros call each other too deeply");
  // A macro sees the template's own names, not those of its caller's loops.
  std::vector<Scope> saved(std::make_move_iterator(scopes_.begin() + 2),
                           std::make_move_iterator(scopes_.end()));
  scopes_.resize(2);
  Scope own;
  for (size_t i = 0; i < macro.names.size(); ++i) {
    const auto by_name = named.find(macro.names[i]);
    own[macro.names[i]] = i < positional.size()    ? positional[i]
                          : by_name != named.end() ? by_name->second
                          : macro.defaults[i]      ? evaluate(*macro.defaults[i])
                                                   : undefined();
  }
  scopes_.push_back(std::move(own));
  std::string out;
  run(macro.body, out);
  scopes_.resize(2);
  scopes_.insert(scopes_.end(), std::make_move_iterator(saved.begin()), std::make_move_iterator(saved.end()));
  --depth_;
  return Json(out);
}

Value Runner::call_global(const std::string& name, const std::vector<Value>& a,
                          const std::map<std::string, Value>& named) {
  if (name == "raise_exception") fail(a.empty() ? "raise_exception" : printable(to_text(a[0]), 300));
  if (name == "namespace") {
    Value v;
    v.names = std::make_shared<std::map<std::string, Json>>();
    for (const auto& [key, value] : named) (*v.names)[key] = value.json;
    return v;
  }
  if (name == "dict") {
    Json out = Json::object();
    for (const auto& [key, value] : named) out[key] = value.json;
    return out;
  }
  if (name == "range" && !a.empty() && a[0].json.is_number_integer()) {
    const int64_t begin = a.size() > 1 ? a[0].json.get<int64_t>() : 0;
    const int64_t end =
        a.size() > 1 && a[1].json.is_number_integer() ? a[1].json.get<int64_t>() : a[0].json.get<int64_t>();
    const int64_t by = a.size() > 2 && a[2].json.is_number_integer() ? a[2].json.get<int64_t>() : 1;
    if (by == 0 || end - begin > 1'000'000 || begin - end > 1'000'000) fail("a range is too long");
    Json out = Json::array();
    for (int64_t i = begin; by > 0 ? i < end : i > end; i += by) out.push_back(i);
    return out;
  }
  if (name == "strftime_now" && !a.empty()) {
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm local{};
    localtime_r(&now, &local);
    char buffer[256];
    return Json(std::string(buffer, std::strftime(buffer, sizeof(buffer), to_text(a[0]).c_str(), &local)));
  }
  fail(fmt::format("no function \"{}\"", printable(name, 40)));
}

Value Runner::call(const Expression& e) {
  std::vector<Value> positional;
  std::map<std::string, Value> named;
  arguments(e, positional, named);
  const Expression& target = *e.parts[0];
  if (target.kind == EKind::name) {
    const Value found = lookup(target.name);
    if (found.macro != nullptr) return call_macro(*found.macro, positional, named);
    return call_global(target.name, positional, named);
  }
  if (target.kind != EKind::attribute) fail("something is called that is no function");
  const Value object = evaluate(*target.parts[0]);
  if (object.undefined) fail(fmt::format("\"{}\" of something undefined", printable(target.name, 40)));
  if (auto result = call_method(object.json, target.name, positional)) return *result;
  fail(fmt::format("no method \"{}\"", printable(target.name, 40)));
}

Value arithmetic(const std::string& op, const Json& a, const Json& b) {
  if (!a.is_number() || !b.is_number()) fail(fmt::format("\"{}\" of something that is no number", op));
  const double x = a.get<double>();
  const double y = b.get<double>();
  if ((op == "/" || op == "//" || op == "%") && y == 0) fail("a division by zero");
  if (op == "/") return Json(x / y);
  if (a.is_number_integer() && b.is_number_integer()) {
    const auto i = a.get<int64_t>();
    const auto k = b.get<int64_t>();
    int64_t out = 0;
    if (op == "//") return Json(static_cast<int64_t>(std::floor(x / y)));
    if (op == "%") return Json(k == -1 ? 0 : (i % k + k) % k);
    const bool overflow = op == "+"   ? __builtin_add_overflow(i, k, &out)
                          : op == "-" ? __builtin_sub_overflow(i, k, &out)
                                      : __builtin_mul_overflow(i, k, &out);
    if (overflow) fail("a number is too large");
    return Json(out);
  }
  if (op == "+") return Json(x + y);
  if (op == "-") return Json(x - y);
  if (op == "*") return Json(x * y);
  return op == "//" ? Json(std::floor(x / y)) : Json(x - std::floor(x / y) * y);
}

Value Runner::binary(const Expression& e) {
  const std::string& op = e.name;
  Value a = evaluate(*e.parts[0]);
  if (op == "and") return truthy(a) ? evaluate(*e.parts[1]) : a;
  if (op == "or") return truthy(a) ? a : evaluate(*e.parts[1]);
  const Value b = evaluate(*e.parts[1]);
  if (op == "==") return Json(a.undefined == b.undefined && is_equal(a.json, b.json));
  if (op == "!=") return Json(!(a.undefined == b.undefined && is_equal(a.json, b.json)));
  if (op == "~") return Json(to_text(a) + to_text(b));
  if (op == "in" || op == "not in") {
    const bool found = apply_test("in", a, {b}).value_or(false);
    return Json(found == (op == "in"));
  }
  if (a.undefined || b.undefined) fail(fmt::format("\"{}\" with something undefined", op));
  if (op == "<" || op == ">" || op == "<=" || op == ">=") {
    if (a.json.is_number() != b.json.is_number() || a.json.is_string() != b.json.is_string())
      fail("a comparison of different kinds");
    return Json(op == "<"    ? a.json < b.json
                : op == ">"  ? a.json > b.json
                : op == "<=" ? a.json <= b.json
                             : a.json >= b.json);
  }
  if (op == "+" && a.json.is_string() && b.json.is_string())
    return Json(a.json.get_ref<const std::string&>() + b.json.get_ref<const std::string&>());
  if (op == "+" && a.json.is_array() && b.json.is_array()) {
    for (const Json& item : b.json) a.json.push_back(item);
    return a;
  }
  if (op == "*" && a.json.is_string() && b.json.is_number_integer()) {
    std::string out;
    const auto text = a.json.get<std::string>();
    for (int64_t i = 0; i < b.json.get<int64_t>(); ++i) {
      out += text;
      if (out.size() > kMostOutput || i > 1'000'000) fail("a text is too long");
    }
    return Json(out);
  }
  return arithmetic(op, a.json, b.json);
}

Value Runner::evaluate(const Expression& e) {
  step();
  switch (e.kind) {
    case EKind::literal:
      return e.literal;
    case EKind::name:
      return lookup(e.name);
    case EKind::attribute:
      return attribute(evaluate(*e.parts[0]), e.name);
    case EKind::subscript:
      return subscript(e);
    case EKind::slice:
      return slice(e);
    case EKind::call:
      return call(e);
    case EKind::binary:
      return binary(e);
    case EKind::conditional: {
      if (truthy(evaluate(*e.parts[0]))) return evaluate(*e.parts[1]);
      return e.parts.size() > 2 ? evaluate(*e.parts[2]) : undefined();
    }
    case EKind::unary: {
      const Value v = evaluate(*e.parts[0]);
      return e.name == "not" ? Value(Json(!truthy(v))) : arithmetic("-", Json(0), v.json);
    }
    case EKind::list: {
      Json out = Json::array();
      for (const ExpressionPtr& part : e.parts) out.push_back(evaluate(*part).json);
      return out;
    }
    case EKind::dict: {
      Json out = Json::object();
      for (size_t i = 0; i + 1 < e.parts.size(); i += 2)
        out[to_text(evaluate(*e.parts[i]))] = evaluate(*e.parts[i + 1]).json;
      return out;
    }
    case EKind::filter:
    case EKind::test: {
      const Value v = evaluate(*e.parts[0]);
      std::vector<Value> positional;
      std::map<std::string, Value> named;
      arguments(e, positional, named);
      if (e.kind == EKind::filter) {
        if (auto out = apply_filter(e.name, v, positional, named)) return *out;
        fail(fmt::format("the filter \"{}\" is not known here, or does not take this value",
                         printable(e.name, 40)));
      }
      const auto holds = apply_test(e.name, v, positional);
      if (!holds) fail(fmt::format("the test \"{}\" is not known here", printable(e.name, 40)));
      return Json(*holds != e.negated);
    }
  }
  return undefined();
}
}  // namespace

std::string render(const Body& body, const Json& variables) {
  std::string out;
  Runner(variables).run(body, out);
  return out;
}

}  // namespace ferry::tokenizers::jinja
