#pragma once
// The part of Jinja that chat templates are written in: its syntax tree.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry::tokenizers::jinja {

using Json = nlohmann::ordered_json;

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Argument {
  std::string name;  ///< Empty for a positional one.
  ExpressionPtr value;
};

struct Expression {
  enum class Kind {
    literal,
    name,
    list,
    dict,
    attribute,
    subscript,
    slice,
    call,
    filter,
    test,
    unary,
    binary,
    conditional
  };
  Kind kind = Kind::literal;
  Json literal;
  std::string name;  ///< Name, attribute, filter, test or operator.
  bool negated = false;
  std::vector<ExpressionPtr> parts;  ///< Operands; null where a slice leaves one out.
  std::vector<Argument> arguments;
};

struct Statement;
using Body = std::vector<Statement>;

struct Statement {
  enum class Kind { text, output, condition, loop, assign, assign_block, macro, stop, next };
  Kind kind = Kind::text;
  std::string text;                ///< Text, or the name of a macro or of an assigned attribute.
  std::vector<std::string> names;  ///< Targets of a loop or an assignment, parameters of a macro.
  ExpressionPtr value;             ///< Output, iterable, assigned value.
  ExpressionPtr filter;            ///< The loop's "if".
  std::vector<std::pair<ExpressionPtr, Body>> branches;  ///< Of a condition; the last may have no expression.
  std::vector<ExpressionPtr> defaults;  ///< Of a macro's parameters, null where there is none.
  Body body;
  Body otherwise;  ///< The loop's "else".
};

/// Errors: Error{invalid_config} with the line, Error{unsupported} for tags that are not known here.
Body parse(std::string_view source);

/// Runs a template. Errors: Error{invalid_config}.
std::string render(const Body& body, const Json& variables);

}  // namespace ferry::tokenizers::jinja
