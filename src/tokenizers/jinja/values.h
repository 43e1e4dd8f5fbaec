#pragma once
// Values of a running template, and Python's way to look at them.
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tokenizers/jinja/ast.h"

namespace ferry::tokenizers::jinja {

struct Value {
  Json json;
  bool undefined = false;
  std::shared_ptr<std::map<std::string, Json>> names;  ///< A namespace().
  const Statement* macro = nullptr;

  Value() = default;
  Value(Json value) : json(std::move(value)) {}  // NOLINT: values are written where they are computed.
};

[[noreturn]] void fail(const std::string& what);

bool truthy(const Value& value);
/// str(value): True, None, ['a', 1].
std::string to_text(const Value& value);
/// json.dumps(value, ensure_ascii=False, indent=indent).
std::string to_json_text(const Json& value, std::optional<int64_t> indent);
bool is_equal(const Json& a, const Json& b);

/// A method of a string, a list or a dictionary; nothing if there is none of that name.
std::optional<Value> call_method(const Json& object, const std::string& name,
                                 const std::vector<Value>& arguments);
/// A filter; nothing if there is none of that name.
std::optional<Value> apply_filter(const std::string& name, const Value& value,
                                  const std::vector<Value>& arguments,
                                  const std::map<std::string, Value>& named);
/// A test; nothing if there is none of that name.
std::optional<bool> apply_test(const std::string& name, const Value& value,
                               const std::vector<Value>& arguments);

}  // namespace ferry::tokenizers::jinja
