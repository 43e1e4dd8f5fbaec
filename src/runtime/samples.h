#pragma once
// Samples of a user's own data: what a model is calibrated, compared and searched on.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "tensor/host_tensor.h"

namespace ferry::runtime {

/// The inputs of one run by name: a batch of one.
using Sample = std::map<std::string, HostTensor>;

/// An input of a graph, as its file declares it.
struct SampleInput {
  std::string name;
  DType dtype = DType::undefined;
  std::optional<Dims> dims;       ///< -1 where any size will do; nothing: not even the rank is declared.
  std::optional<int64_t> values;  ///< How many values there are from 0 on: the rows of the table they index.
};
std::vector<SampleInput> sample_inputs(const ir::Graph& graph);

struct SampleOptions {
  size_t max_samples = 0;               ///< Lines beyond are not read; 0: all.
  uint64_t max_length = 512;            ///< Tokens; longer texts are cut. The model's own limits hold, too.
  uint64_t max_line_bytes = 16u << 20;  ///< Longer lines are an error.
  uint64_t max_bytes = uint64_t{2} << 30;  ///< Of read_samples: more in memory are an error.
  std::string file_name;                   ///< Of several .onnx files of a folder, the one that is meant.
};

/// Makes the inputs of a run from one line, which is a JSON object:
///
///   {"text": "...", "text_pair": "..."}      through the tokenizer of the folder
///   {"question": "...", "context": "..."}    likewise; the context is cut
///   {"image": "cat.png"}, {"audio": "a.wav"} through its processor; files are relative to `data_folder`
///   {"input_ids": [[2, 10, 3]], ...}         inputs by name, lists of numbers; the batch may be left out
///
/// and combinations of them. What the line does not give and a pipeline would fill in is filled in:
/// attention_mask, token_type_ids, position_ids, an empty cache. Where a graph fixes the number of tokens,
/// texts are filled with padding. Tokenizer and processors are opened when first needed.
///
/// Errors   Error{invalid_file} for a line that is no JSON object, a key that is neither a kind of data nor
/// an
///          input, and for values that the model has no row for; Error{dtype_mismatch} and
///          Error{shape_mismatch} that name the input; Error{not_found} for an input that is missing; those
///          of the tokenizer and the processors
/// Threads  one at a time
class SampleReader {
 public:
  /// `folder` holds the tokenizer or processor.
  SampleReader(std::vector<SampleInput> inputs, std::filesystem::path folder,
               std::filesystem::path data_folder, const SampleOptions& options);
  SampleReader(SampleReader&&) noexcept;
  ~SampleReader();

  [[nodiscard]] Sample operator()(std::string_view line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The folder whose configuration and tokenizer belong to a model's file: its own, or the one above "onnx".
std::filesystem::path folder_of_model(const std::filesystem::path& model);

/// Hands over one sample a line of a .jsonl file; empty lines are passed over. `model` is a folder or an
/// .onnx file; its weights are not read. Errors: those of SampleReader, with the file and the number of the
/// line; Error{invalid_file} for a file without a sample and for a line that is too long; those of reading
/// the model.
void for_each_sample(const std::filesystem::path& jsonl, const std::filesystem::path& model,
                     const SampleOptions& options, const std::function<void(Sample)>& take);

/// The same for a graph that is read already. `folder` holds the tokenizer or processor.
void for_each_sample(const std::filesystem::path& jsonl, std::vector<SampleInput> inputs,
                     const std::filesystem::path& folder, const SampleOptions& options,
                     const std::function<void(Sample)>& take);

/// All of them at once.
std::vector<Sample> read_samples(const std::filesystem::path& jsonl, std::vector<SampleInput> inputs,
                                 const std::filesystem::path& folder, const SampleOptions& options = {});
std::vector<Sample> read_samples(const std::filesystem::path& jsonl, const std::filesystem::path& model,
                                 const SampleOptions& options = {});

}  // namespace ferry::runtime
