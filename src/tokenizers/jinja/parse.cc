#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "tokenizers/jinja/ast.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers::jinja {
namespace {
using Kind = Expression::Kind;

constexpr int kDeepest = 100;

// A piece of the source: text, {{ output }} or {% tag %}.
struct Part {
  enum class Kind { text, output, tag };
  Kind kind;
  std::string text;
  size_t line;
};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Cuts the source into parts, with trim_blocks and lstrip_blocks, as transformers sets Jinja up.
class Splitter {
 public:
  explicit Splitter(std::string_view source) : in_(source) {
    if (in_.ends_with('\n')) in_.remove_suffix(1);
  }
  std::vector<Part> run() {
    while (at_ < in_.size()) {
      const size_t open = find_open();
      std::string text(in_.substr(at_, open - at_));
      if (open == std::string_view::npos) {
        add_text(text);
        break;
      }
      read_tag(open, text);
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] size_t find_open() const {
    for (size_t i = in_.find('{', at_); i != std::string_view::npos; i = in_.find('{', i + 1)) {
      if (i + 1 < in_.size() && (in_[i + 1] == '{' || in_[i + 1] == '%' || in_[i + 1] == '#')) return i;
    }
    return std::string_view::npos;
  }
  void add_text(std::string text) {
    if (strip_next_)
      text.erase(0, static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_blank) - text.begin()));
    if (!strip_next_ && drop_newline_ && text.starts_with('\n')) text.erase(0, 1);
    strip_next_ = drop_newline_ = false;
    if (!text.empty()) out_.push_back({Part::Kind::text, std::move(text), line_});
  }
  void read_tag(size_t open, std::string& text) {
    const char kind = in_[open + 1];
    const std::string close{kind == '{' ? '}' : kind, '}'};
    size_t inside = open + 2;
    const bool strips = inside < in_.size() && in_[inside] == '-';
    const bool keeps = inside < in_.size() && in_[inside] == '+';
    if (strips || keeps) ++inside;
    const size_t end = find_close(inside, close, kind == '#');
    line_ =
        1 + static_cast<size_t>(std::count(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(open), '\n'));
    if (end == std::string_view::npos)
      throw Error(ErrorCode::invalid_config,
                  fmt::format("chat template, line {}: a tag is not closed", line_));
    if (strips) {
      // The newline that trim_blocks drops is gone first either way.
      while (!text.empty() && is_blank(text.back())) text.pop_back();
    } else if (kind != '{' && !keeps) {
      strip_line_start(text);
    }
    add_text(std::move(text));
    size_t inner_end = end;
    const bool strips_after = inner_end > inside && in_[inner_end - 1] == '-';
    const bool keeps_after = inner_end > inside && in_[inner_end - 1] == '+';
    if (strips_after || keeps_after) --inner_end;
    if (kind != '#')
      out_.push_back({kind == '{' ? Part::Kind::output : Part::Kind::tag,
                      std::string(in_.substr(inside, inner_end - inside)), line_});
    strip_next_ = strips_after;
    drop_newline_ = kind != '{' && !keeps_after;
    at_ = end + 2;
  }
  // lstrip_blocks: blanks between the start of the line and the tag go.
  void strip_line_start(std::string& text) const {
    size_t end = text.size();
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t')) --end;
    const bool at_line = end > 0 ? text[end - 1] == '\n'
                                 : at_ == 0 || (at_ > 0 && in_[at_ - 1] == '\n') || (drop_newline_ && false);
    if (at_line) text.resize(end);
  }
  [[nodiscard]] size_t find_close(size_t from, const std::string& close, bool comment) const {
    char quote = 0;
    for (size_t i = from; i + 1 < in_.size(); ++i) {
      const char c = in_[i];
      if (quote != 0) {
        if (c == '\\') ++i;
        if (c == quote) quote = 0;
      } else if (!comment && (c == '"' || c == '\'')) {
        quote = c;
      } else if (in_.substr(i, 2) == close) {
        // "}}" may end a dictionary: {{ {"a": {}} }} is rare enough to ask for a space.
        return i;
      }
    }
    return std::string_view::npos;
  }

  std::string_view in_;
  std::vector<Part> out_;
  size_t at_ = 0;
  size_t line_ = 1;
  bool strip_next_ = false;
  bool drop_newline_ = false;
};

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
  explicit TemplateParser(std::string_view source) : parts_(Splitter(source).run()) {}

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
