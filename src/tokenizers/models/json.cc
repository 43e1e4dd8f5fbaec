#include <fmt/format.h>

#include "tokenizers/models/model.h"

namespace ferry::tokenizers {

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void append_vocab_json(std::string& out, const Vocabulary& vocabulary) {
  out += ",\"vocab\":{";
  bool first = true;
  for (uint32_t id = 0; id < vocabulary.id_end(); ++id) {
    const std::string_view token = vocabulary.token(id);
    if (token.data() == nullptr) continue;
    if (!first) out += ',';
    first = false;
    append_json_string(out, token);
    out += fmt::format(":{}", id);
  }
  out += '}';
}

}  // namespace ferry::tokenizers
