#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "tokenizers/jinja/ast.h"
#include "tokenizers/jinja/split.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers::jinja {
namespace {
using Kind = Expression::Kind;

constexpr int kDeepest = 100;

struct Token {
  enum class Kind { name, string, number, symbol, end };
  Kind kind;
  std::string text;
};

class ExpressionParser {
 public:
  ExpressionParser(std::string_view text, size_t line) : line_(line) { tokenize(text); }

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ErrorCode::invalid_config, fmt::format("chat template, line {}: {}", line_, what));
  }
  [[nodiscard]] bool at_end() const { return peek().kind == Token::Kind::end; }
  void finish() const {
    if (!at_end()) fail(fmt::format("unexpected \"{}\"", printable(peek().text, 40)));
  }
  bool take_symbol(std::string_view text) { return take(Token::Kind::symbol, text); }
  bool take_name(std::string_view text) { return take(Token::Kind::name, text); }
  std::string need_name() {
    if (peek().kind != Token::Kind::name) fail("a name is missing");
    return tokens_[at_++].text;
  }
  void need_symbol(std::string_view text) {
    if (!take_symbol(text)) fail(fmt::format("\"{}\" is missing", text));
  }
  ExpressionPtr expression();
  ExpressionPtr without_conditional() { return either(); }
  // a, b, c make a list where a tuple may stand.
  ExpressionPtr tuple();

 private:
  [[nodiscard]] const Token& peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  bool take(Token::Kind kind, std::string_view text) {
    if (peek().kind != kind || peek().text != text) return false;
    ++at_;
    return true;
  }
  void tokenize(std::string_view text);
  size_t read_string(std::string_view text, size_t at);
  static ExpressionPtr make(Kind kind, std::string name = {}) {
    auto e = std::make_unique<Expression>();
    e->kind = kind;
    e->name = std::move(name);
    return e;
  }
  static ExpressionPtr binary(std::string op, ExpressionPtr a, ExpressionPtr b) {
    auto e = make(Kind::binary, std::move(op));
    e->parts.push_back(std::move(a));
    e->parts.push_back(std::move(b));
    return e;
  }
  ExpressionPtr either();
  ExpressionPtr both();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr unary();
  ExpressionPtr postfix(ExpressionPtr e, bool filters);
  ExpressionPtr primary();
  ExpressionPtr subscript(ExpressionPtr e);
  ExpressionPtr dictionary();
  void call_arguments(Expression& e);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  size_t line_;
  int depth_ = 0;
};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

size_t ExpressionParser::read_string(std::string_view text, size_t at) {
  const char quote = text[at++];
  std::string out;
  while (at < text.size() && text[at] != quote) {
    char c = text[at++];
    if (c == '\\' && at < text.size()) {
      c = text[at++];
      if (c == 'n')
        c = '\n';
      else if (c == 't')
        c = '\t';
      else if (c == 'r')
        c = '\r';
      else if (c == 'u' && at + 4 <= text.size()) {
        append_utf8(
            out, static_cast<char32_t>(std::strtoul(std::string(text.substr(at, 4)).c_str(), nullptr, 16)));
        at += 4;
        continue;
      } else if (c != '\\' && c != '\'' && c != '"') {
        out += '\\';
      }
    }
    out += c;
  }
  if (at >= text.size()) fail("a string is not closed");
  tokens_.push_back({Token::Kind::string, std::move(out)});
  return at + 1;
}

void ExpressionParser::tokenize(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    size_t end = at;
    if (is_blank(c)) {
      ++at;
    } else if (c == '"' || c == '\'') {
      at = read_string(text, at);
    } else if (is_letter(c)) {
      while (end < text.size() && (is_letter(text[end]) || is_digit(text[end]))) ++end;
      tokens_.push_back({Token::Kind::name, std::string(text.substr(at, end - at))});
      at = end;
    } else if (is_digit(c)) {
      while (end < text.size() &&
             (is_digit(text[end]) || (text[end] == '.' && end + 1 < text.size() && is_digit(text[end + 1]))))
        ++end;
      tokens_.push_back({Token::Kind::number, std::string(text.substr(at, end - at))});
      at = end;
    } else {
      const std::string_view two = text.substr(at, 2);
      const bool pair =
          two == "==" || two == "!=" || two == "<=" || two == ">=" || two == "//" || two == "**";
      tokens_.push_back({Token::Kind::symbol, std::string(text.substr(at, pair ? 2 : 1))});
      at += pair ? 2 : 1;
    }
  }
  tokens_.push_back({Token::Kind::end, {}});
}

ExpressionPtr ExpressionParser::tuple() {
  auto first = expression();
  if (!take_symbol(",")) return first;
  auto list = make(Kind::list);
  list->parts.push_back(std::move(first));
  while (!at_end() && !(peek().kind == Token::Kind::symbol && peek().text == "=")) {
    list->parts.push_back(expression());
    if (!take_symbol(",")) break;
  }
  return list;
}

ExpressionPtr ExpressionParser::expression() {
  if (++depth_ > kDeepest) fail("an expression is nested too deeply");
  auto e = either();
  while (take_name("if")) {
    auto chosen = make(Kind::conditional);
    chosen->parts.push_back(either());
    chosen->parts.push_back(std::move(e));
    if (take_name("else")) chosen->parts.push_back(expression());
    e = std::move(chosen);
  }
  --depth_;
  return e;
}

ExpressionPtr ExpressionParser::either() {
  auto e = both();
  while (take_name("or")) e = binary("or", std::move(e), both());
  return e;
}

ExpressionPtr ExpressionParser::both() {
  auto e = negation();
  while (take_name("and")) e = binary("and", std::move(e), negation());
  return e;
}

ExpressionPtr ExpressionParser::negation() {
  bool negated = false;
  while (take_name("not")) negated = !negated;
  auto e = comparison();
  if (!negated) return e;
  auto out = make(Kind::unary, "not");
  out->parts.push_back(std::move(e));
  return out;
}

ExpressionPtr ExpressionParser::comparison() {
  auto e = sum();
  for (;;) {
    const Token& t = peek();
    if (t.kind == Token::Kind::symbol && (t.text == "==" || t.text == "!=" || t.text == "<" ||
                                          t.text == ">" || t.text == "<=" || t.text == ">=")) {
      std::string op = t.text;
      ++at_;
      e = binary(std::move(op), std::move(e), sum());
    } else if (take_name("in")) {
      e = binary("in", std::move(e), sum());
    } else if (t.kind == Token::Kind::name && t.text == "not" && peek(1).text == "in") {
      at_ += 2;
      e = binary("not in", std::move(e), sum());
    } else {
      return e;
    }
  }
}

ExpressionPtr ExpressionParser::sum() {
  auto e = concatenation();
  for (;;) {
    if (take_symbol("+")) {
      e = binary("+", std::move(e), concatenation());
    } else if (take_symbol("-")) {
      e = binary("-", std::move(e), concatenation());
    } else {
      return e;
    }
  }
}

ExpressionPtr ExpressionParser::concatenation() {
  auto e = product();
  while (take_symbol("~")) e = binary("~", std::move(e), product());
  return e;
}

ExpressionPtr ExpressionParser::product() {
  auto e = unary();
  for (;;) {
    const std::string op = peek().kind == Token::Kind::symbol ? peek().text : "";
    if (op != "*" && op != "/" && op != "//" && op != "%") return e;
    ++at_;
    e = binary(op, std::move(e), unary());
  }
}

ExpressionPtr ExpressionParser::unary() {
  if (take_symbol("-")) {
    if (++depth_ > kDeepest) fail("an expression is nested too deeply");
    auto e = make(Kind::unary, "-");
    e->parts.push_back(postfix(primary(), false));
    --depth_;
    return postfix(std::move(e), true);
  }
  return postfix(primary(), true);
}

void ExpressionParser::call_arguments(Expression& e) {
  while (!take_symbol(")")) {
    Argument a;
    if (peek().kind == Token::Kind::name && peek(1).kind == Token::Kind::symbol && peek(1).text == "=") {
      a.name = need_name();
      need_symbol("=");
    }
    a.value = expression();
    e.arguments.push_back(std::move(a));
    if (!take_symbol(",")) {
      need_symbol(")");
      break;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr e) {
  ExpressionPtr parts[3];
  int n = 0;
  bool sliced = false;
  while (!take_symbol("]")) {
    if (take_symbol(":")) {
      sliced = true;
      if (++n > 2) fail("a slice has too many parts");
    } else {
      parts[n] = expression();
    }
  }
  auto out = make(sliced ? Kind::slice : Kind::subscript);
  out->parts.push_back(std::move(e));
  for (int i = 0; i < (sliced ? 3 : 1); ++i) out->parts.push_back(std::move(parts[i]));
  if (!sliced && out->parts[1] == nullptr) fail("an index is missing");
  return out;
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr e, bool filters) {
  for (;;) {
    if (take_symbol(".")) {
      auto out =
          make(Kind::attribute, peek().kind == Token::Kind::number ? tokens_[at_++].text : need_name());
      out->parts.push_back(std::move(e));
      e = std::move(out);
    } else if (take_symbol("[")) {
      e = subscript(std::move(e));
    } else if (take_symbol("(")) {
      auto out = make(Kind::call);
      out->parts.push_back(std::move(e));
      call_arguments(*out);
      e = std::move(out);
    } else if (filters && take_symbol("|")) {
      auto out = make(Kind::filter, need_name());
      out->parts.push_back(std::move(e));
      if (take_symbol("(")) call_arguments(*out);
      e = std::move(out);
    } else if (filters && take_name("is")) {
      const bool negated = take_name("not");
      auto out = make(Kind::test, need_name());
      out->negated = negated;
      out->parts.push_back(std::move(e));
      if (take_symbol("(")) {
        call_arguments(*out);
      } else if (out->name == "equalto" || out->name == "eq" || out->name == "in" ||
                 out->name == "divisibleby") {
        Argument a;
        a.value = postfix(primary(), false);
        out->arguments.push_back(std::move(a));
      }
      e = std::move(out);
    } else {
      return e;
    }
  }
}

ExpressionPtr ExpressionParser::dictionary() {
  auto e = make(Kind::dict);
  while (!take_symbol("}")) {
    e->parts.push_back(expression());
    need_symbol(":");
    e->parts.push_back(expression());
    if (!take_symbol(",")) {
      need_symbol("}");
      break;
    }
  }
  return e;
}

ExpressionPtr ExpressionParser::primary() {
  const Token token = peek();
  ++at_;
  auto literal = make(Kind::literal);
  if (token.kind == Token::Kind::string) {
    std::string text = token.text;
    while (peek().kind == Token::Kind::string) text += tokens_[at_++].text;
    literal->literal = text;
    return literal;
  }
  if (token.kind == Token::Kind::number) {
    if (token.text.size() > 18) fail("a number is too long");
    literal->literal = token.text.find('.') != std::string::npos
                           ? Json(std::stod(token.text))
                           : Json(static_cast<int64_t>(std::stoll(token.text)));
    return literal;
  }
  if (token.kind == Token::Kind::name) {
    if (token.text == "true" || token.text == "True")
      literal->literal = true;
    else if (token.text == "false" || token.text == "False")
      literal->literal = false;
    else if (token.text != "none" && token.text != "None")
      return make(Kind::name, token.text);
    return literal;
  }
  if (token.text == "(" || token.text == "[") {
    const std::string close = token.text == "(" ? ")" : "]";
    auto list = make(Kind::list);
    bool comma = token.text == "[";
    while (!take_symbol(close)) {
      list->parts.push_back(expression());
      if (take_symbol(",")) {
        comma = true;
      } else {
        need_symbol(close);
        break;
      }
    }
    if (!comma && list->parts.size() == 1) return std::move(list->parts[0]);
    return list;
  }
  if (token.text == "{") return dictionary();
  --at_;
  fail(at_end() ? "an expression is missing" : fmt::format("unexpected \"{}\"", printable(token.text, 40)));
}

class TemplateParser {
 public:
  explicit TemplateParser(std::string_view source) : parts_(split_source(source)) {}

  Body run() {
    std::string end;
    Body body = block({}, end);
    return body;
  }

 private:
  // Statements up to one of the tags `ends`, whose name and rest come back in `end`.
  Body block(std::initializer_list<std::string_view> ends, std::string& end);
  void tag(const Part& part, Body& out);
  Statement condition(ExpressionParser& p);
  Statement loop(ExpressionParser& p);
  void assign(ExpressionParser& p, Body& out);
  Statement macro(ExpressionParser& p);

  std::vector<Part> parts_;
  size_t at_ = 0;
  size_t end_line_ = 0;
  std::string end_rest_;
  int depth_ = 0;
};

std::pair<std::string, std::string> first_word(const std::string& text) {
  size_t begin = 0;
  while (begin < text.size() && is_blank(text[begin])) ++begin;
  size_t end = begin;
  while (end < text.size() && is_letter(text[end])) ++end;
  return {text.substr(begin, end - begin), text.substr(end)};
}

Body TemplateParser::block(std::initializer_list<std::string_view> ends, std::string& end) {
  if (++depth_ > kDeepest)
    throw Error(ErrorCode::invalid_config, "chat template: blocks are nested too deeply");
  Body out;
  while (at_ < parts_.size()) {
    const Part& part = parts_[at_++];
    if (part.kind == Part::Kind::text) {
      Statement s;
      s.text = part.text;
      out.push_back(std::move(s));
    } else if (part.kind == Part::Kind::output) {
      ExpressionParser p(part.text, part.line);
      Statement s;
      s.kind = Statement::Kind::output;
      s.value = p.tuple();
      p.finish();
      out.push_back(std::move(s));
    } else {
      auto [word, rest] = first_word(part.text);
      if (std::find(ends.begin(), ends.end(), word) != ends.end()) {
        end = word;
        end_line_ = part.line;
        end_rest_ = rest;
        --depth_;
        return out;
      }
      tag(part, out);
    }
  }
  if (ends.size() > 0)
    throw Error(ErrorCode::invalid_config, fmt::format("chat template: {} is missing", *(ends.end() - 1)));
  --depth_;
  return out;
}

void TemplateParser::tag(const Part& part, Body& out) {
  const auto [word, rest] = first_word(part.text);
  ExpressionParser p(rest, part.line);
  if (word == "if") {
    out.push_back(condition(p));
  } else if (word == "for") {
    out.push_back(loop(p));
  } else if (word == "set") {
    assign(p, out);
  } else if (word == "macro") {
    out.push_back(macro(p));
  } else if (word == "break" || word == "continue") {
    Statement s;
    s.kind = word == "break" ? Statement::Kind::stop : Statement::Kind::next;
    out.push_back(std::move(s));
  } else if (word != "generation" && word != "endgeneration") {  // These mark text for training only.
    throw Error(ErrorCode::unsupported,
                fmt::format("chat template, line {}: the tag \"{}\" is not known here", part.line,
                            printable(word, 40)));
  }
}

Statement TemplateParser::condition(ExpressionParser& p) {
  Statement s;
  s.kind = Statement::Kind::condition;
  ExpressionPtr test = p.tuple();
  p.finish();
  for (std::string end;;) {
    Body body = block({"elif", "else", "endif"}, end);
    s.branches.emplace_back(std::move(test), std::move(body));
    if (end == "endif") return s;
    test = nullptr;
    if (end == "elif") {
      ExpressionParser next(end_rest_, end_line_);
      test = next.tuple();
      next.finish();
    } else {
      s.branches.emplace_back(nullptr, block({"endif"}, end));
      return s;
    }
  }
}

Statement TemplateParser::loop(ExpressionParser& p) {
  Statement s;
  s.kind = Statement::Kind::loop;
  const bool bracket = p.take_symbol("(");
  do {
    s.names.push_back(p.need_name());
  } while (p.take_symbol(","));
  if (bracket) p.need_symbol(")");
  if (!p.take_name("in")) p.fail("\"in\" is missing");
  s.value = p.without_conditional();
  if (p.take_name("if")) s.filter = p.expression();
  p.finish();
  std::string end;
  s.body = block({"else", "endfor"}, end);
  if (end == "else") s.otherwise = block({"endfor"}, end);
  return s;
}

void TemplateParser::assign(ExpressionParser& p, Body& out) {
  Statement s;
  s.kind = Statement::Kind::assign;
  do {
    s.names.push_back(p.need_name());
  } while (p.take_symbol(","));
  if (p.take_symbol(".")) s.text = p.need_name();
  if (p.take_symbol("=")) {
    s.value = p.tuple();
    p.finish();
  } else {
    s.kind = Statement::Kind::assign_block;
    std::string end;
    s.body = block({"endset"}, end);
  }
  out.push_back(std::move(s));
}

Statement TemplateParser::macro(ExpressionParser& p) {
  Statement s;
  s.kind = Statement::Kind::macro;
  s.text = p.need_name();
  p.need_symbol("(");
  while (!p.take_symbol(")")) {
    s.names.push_back(p.need_name());
    s.defaults.push_back(p.take_symbol("=") ? p.expression() : nullptr);
    if (!p.take_symbol(",")) {
      p.need_symbol(")");
      break;
    }
  }
  std::string end;
  s.body = block({"endmacro"}, end);
  return s;
}
}  // namespace

Body parse(std::string_view source) {
  return TemplateParser(source).run();
}

}  // namespace ferry::tokenizers::jinja
