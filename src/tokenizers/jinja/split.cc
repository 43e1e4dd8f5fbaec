#include "tokenizers/jinja/split.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace ferry::tokenizers::jinja {
namespace {

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
    const bool at_line = end > 0 ? text[end - 1] == '\n' : at_ == 0 || in_[at_ - 1] == '\n';
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

}  // namespace

std::vector<Part> split_source(std::string_view source) {
  return Splitter(source).run();
}

}  // namespace ferry::tokenizers::jinja
