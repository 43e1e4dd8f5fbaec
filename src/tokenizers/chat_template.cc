#include "tokenizers/chat_template.h"

#include "base/error.h"

namespace ferry::tokenizers {
struct Configuration;
std::string apply_chat_template(const Configuration&, std::string_view, bool, std::string_view) {
  throw Error(ErrorCode::unsupported, "chat templates are not there yet");
}
}  // namespace ferry::tokenizers
