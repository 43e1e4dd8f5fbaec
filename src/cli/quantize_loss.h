#pragma once
// The flags of `ferry onnxruntime quantize` about what may be lost, and the page that shows what was.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "cli/context.h"
#include "ferry/quantization_search.h"

namespace ferry::cli {

struct LossFlags {
  std::optional<double> max_loss;
  std::string metric = "cosine", input, report;
  size_t max_samples = 64;
};

void add_loss_flags(CLI::App& app, LossFlags& flags);
/// Errors: Error{usage} for flags that contradict each other, and a page about a folder of several models.
void check(const LossFlags& flags, const std::filesystem::path& folder);
/// Of flags with a largest loss. `onnxruntime`: the library, if one was asked for.
MaxLoss limit_of(const LossFlags& flags, const std::string& onnxruntime, const Context& context);
/// Compares the model that was made with the one that it was made of.
void write_page(const LossFlags& flags, const SearchedQuantization& searched,
                const std::filesystem::path& folder, const std::filesystem::path& output,
                const std::string& onnxruntime, const Context& context);
nlohmann::ordered_json search_json(const LossFlags& flags, const SearchedQuantization& searched);

}  // namespace ferry::cli
