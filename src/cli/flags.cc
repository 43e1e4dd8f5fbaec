#include "cli/flags.h"

#include <charconv>
#include <cmath>

namespace ferry::cli {
namespace {

// The whole of `text` as a number, whatever the locale; false if it is none.
template <typename Number>
bool parse(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

}  // namespace

CLI::Validator at_least(int64_t least) {
  const auto check = [least](std::string& text) -> std::string {
    int64_t value = 0;
    if (parse(text, value) && value >= least) return "";
    return "'" + text + "' is not a whole number from " + std::to_string(least) + " on";
  };
  return CLI::Validator(check, "N");
}

CLI::Validator not_negative() {
  const auto check = [](std::string& text) -> std::string {
    double value = 0;
    if (parse(text, value) && std::isfinite(value) && value >= 0) return "";
    return "'" + text + "' is not a number from 0 on";
  };
  return CLI::Validator(check, "X");
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (option->get_items_expected_max() == 0) return "";
  const std::string type = option->get_type_name();  // "TEXT", "INT:N", "TEXT:{fp32,fp16}"
  const size_t colon = type.find(':');
  return " " + (colon == std::string::npos ? type : type.substr(colon + 1));
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  const std::string text = option->get_description();
  const std::string standard = option->get_default_str();
  return standard.empty() ? text : text + " (default: " + standard + ")";
}

}  // namespace ferry::cli
