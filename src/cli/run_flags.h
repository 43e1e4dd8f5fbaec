#pragma once
// The flags of `ferry run` that become JSON: inputs and options of pipelines.
#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>
#include <span>

namespace ferry::cli {

enum class RunFlagKind { text, texts, integer, number, boolean };

/// A flag that sets one member. Give a pipeline's own inputs and options their flags by a row in
/// run_flags.cc.
struct RunFlag {
  const char* flags;  ///< "--top-k,--top_k"
  const char* name;   ///< Of the member: "top_k".
  RunFlagKind kind;
  const char* help;
};

/// Members of the input: --text, --question, ...
std::span<const RunFlag> run_input_flags();
/// Members of the options: --top-k, ...
std::span<const RunFlag> run_option_flags();

/// Adds the flags; each that is given sets its member of `values`, which must outlive the parsing.
void add_run_flags(CLI::App& app, std::span<const RunFlag> flags, nlohmann::ordered_json& values);

}  // namespace ferry::cli
