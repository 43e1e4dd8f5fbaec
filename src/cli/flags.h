#pragma once
// How flags are checked and shown, on top of CLI11.
#include <CLI/CLI.hpp>
#include <string>

namespace ferry::cli {

/// A whole number from `least` on.
CLI::Validator at_least(int64_t least);
/// A finite number that is not negative.
CLI::Validator not_negative();

/// Help with the choices and the default of a flag, and without CLI11's names of types and ranges.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(34); }
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
};

}  // namespace ferry::cli
