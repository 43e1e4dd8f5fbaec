#pragma once
// Runs a pipeline on one input, or on a file of them.
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "ferry/modeling.h"

namespace ferry::cli {

struct RunRequest {
  std::string task, model;
  std::string input;   ///< JSON Lines file, "-" for standard input; "": one input from flags.
  std::string output;  ///< Where results of a file go; "" or "-": standard output.
  std::string draw;    ///< PNG file for the picture with the result drawn on it; "": none.
  size_t batch_size = 1;
  bool stream = false;   ///< Generated text as it comes, instead of the result.
  bool compact = false;  ///< One line a result.
  LoadOptions load;
};

/// `value`: the input that flags describe, an empty object if there is none. Errors: Error{usage} unless
/// exactly one of `value` and `request.input` is given, and what pipelines report.
void run_pipeline(const RunRequest& request, const nlohmann::ordered_json& value,
                  const nlohmann::ordered_json& options, std::ostream& out);

}  // namespace ferry::cli
