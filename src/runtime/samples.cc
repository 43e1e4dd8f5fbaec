#include "runtime/samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "exporter/graph_inputs.h"
#include "ferry/feature_extractor.h"
#include "ferry/image_processor.h"
#include "ferry/tokenizer.h"
#include "onnx/reader.h"
#include "runtime/generation/inputs.h"
#include "runtime/json_tensor.h"
#include "runtime/model_impl.h"

namespace ferry::runtime {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::array kDataKeys = {"text", "text_pair", "question", "context", "image", "audio"};

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::invalid_file, what);
}

std::string in_quotes(std::string_view name) {
  return fmt::format("\"{}\"", printable(name, 120));
}

std::string describe(const Dims& dims) {
  std::vector<std::string> parts;
  for (const int64_t dim : dims) parts.push_back(dim < 0 ? "?" : std::to_string(dim));
  return "[" + join(parts) + "]";
}

const Json* member(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found == line.end() ? nullptr : &*found;
}

std::string text_member(const Json& line, const char* key) {
  const Json* value = member(line, key);
  if (value == nullptr) refuse(fmt::format("{} is missing", in_quotes(key)));
  if (!value->is_string()) refuse(fmt::format("{} is no text", in_quotes(key)));
  return value->get<std::string>();
}

// What a graph declares, the sizes that are fixed included.
void check_dims(const SampleInput& input, const Dims& dims) {
  if (!input.dims) return;
  bool fits = dims.size() == input.dims->size();
  for (size_t axis = 0; fits && axis < dims.size(); ++axis)
    fits = (*input.dims)[axis] < 0 || (*input.dims)[axis] == dims[axis];
  if (fits) return;
  throw Error(ErrorCode::shape_mismatch,
              fmt::format("the input {} is {}, the model takes {}", in_quotes(input.name), describe(dims),
                          describe(*input.dims)));
}

void check_values(const SampleInput& input, const HostTensor& tensor) {
  if (!input.values || !is_integer(tensor.dtype)) return;
  const HostTensor wide = tensor.to_i64();
  for (const int64_t value : wide.as<int64_t>()) {
    if (value >= 0 && value < *input.values) continue;
    refuse(fmt::format("the input {} holds {}, the model knows 0 to {}", in_quotes(input.name), value,
                       *input.values - 1));
  }
}

}  // namespace

std::vector<SampleInput> sample_inputs(const ir::Graph& graph) {
  std::vector<SampleInput> out;
  for (const ir::Value* value : graph.inputs) {
    SampleInput input{value->name, value->dtype, std::nullopt, std::nullopt};
    if (value->shape) {
      input.dims.emplace();
      for (const ir::Dim& dim : *value->shape) input.dims->push_back(dim.constant().value_or(-1));
    }
    if (is_integer(value->dtype)) input.values = exporter::table_rows(graph, value);
    out.push_back(std::move(input));
  }
  return out;
}

struct SampleReader::Impl {
  std::vector<SampleInput> inputs;
  fs::path folder, data_folder;
  SampleOptions options;
  std::optional<Tokenizer> tokenizer;
  std::optional<ImageProcessor> processor;
  std::optional<FeatureExtractor> extractor;
  uint64_t most_tokens = 0;

  Sample read(const Json& line) {
    check_keys(line);
    Sample out;
    const auto has = [&](const char* key) { return line.contains(key) && find(key) == nullptr; };
    if (has("text") || has("text_pair") || has("question") || has("context")) take(encoded(line), out);
    if (has("image")) take(picture(text_member(line, "image")), out);
    if (has("audio")) take(sound(text_member(line, "audio")), out);
    for (const auto& [key, value] : line.items()) {
      if (const SampleInput* input = find(key)) out[key] = by_name(*input, value);
    }
    return completed(std::move(out));
  }

 private:
  [[nodiscard]] const SampleInput* find(std::string_view name) const {
    const auto found =
        std::find_if(inputs.begin(), inputs.end(), [&](const auto& input) { return input.name == name; });
    return found == inputs.end() ? nullptr : &*found;
  }

  [[nodiscard]] std::string names() const {
    std::vector<std::string> out;
    for (const auto& input : inputs) out.push_back(printable(input.name, 120));
    return join(out);
  }

  void check_keys(const Json& line) const {
    if (!line.is_object()) refuse("the line is no JSON object");
    for (const auto& [key, value] : line.items()) {
      const bool data = std::find(kDataKeys.begin(), kDataKeys.end(), key) != kDataKeys.end();
      if (data || find(key) != nullptr) continue;
      Error error(ErrorCode::invalid_file, fmt::format("the model has no input {}", in_quotes(key)));
      error.with_hint(
          fmt::format("it takes {}; a line may also have text, text_pair, question and context, "
                      "image, audio",
                      names()));
      throw error;
    }
  }

  // Of what a tokenizer or processor makes, that which the graph takes.
  void take(std::map<std::string, HostTensor> made, Sample& out) const {
    bool any = false;
    for (auto& [name, tensor] : made) {
      if (find(name) == nullptr) continue;
      out[name] = std::move(tensor);
      any = true;
    }
    if (any) return;
    std::vector<std::string> given;
    for (const auto& [name, tensor] : made) given.push_back(name);
    refuse(fmt::format("the model takes none of {}: it takes {}", join(given), names()));
  }

  void open_tokenizer() {
    if (tokenizer) return;
    tokenizer = AutoTokenizer::from_pretrained(folder);
    most_tokens = std::min<uint64_t>(options.max_length, tokenizer->model_max_length());
    if (const auto most = generation::context_length(read_config(folder)))
      most_tokens = std::min<uint64_t>(most_tokens, static_cast<uint64_t>(*most));
  }

  std::map<std::string, HostTensor> encoded(const Json& line) {
    const bool question = line.contains("question") || line.contains("context");
    if (question && (line.contains("text") || line.contains("text_pair")))
      refuse("\"text\" and \"question\" exclude each other");
    std::string first = text_member(line, question ? "question" : "text");
    std::optional<std::string> second;
    if (question) second = text_member(line, "context");
    if (line.contains("text_pair")) second = text_member(line, "text_pair");
    open_tokenizer();
    EncodeOptions encode;
    encode.max_length = most_tokens;
    const SampleInput* ids = find("input_ids");
    if (ids != nullptr && ids->dims && ids->dims->size() == 2 && (*ids->dims)[1] > 0) {
      encode.padding = Padding::max_length;
      encode.max_length = static_cast<uint64_t>((*ids->dims)[1]);
    }
    encode.truncation = Truncation::longest_first;
    if (question) {
      // The context is cut, wherever it stands: transformers' question answering puts it first for
      // tokenizers that pad on the left.
      const bool question_first = tokenizer->padding_side() == Side::right;
      encode.truncation = question_first ? Truncation::only_second : Truncation::only_first;
      if (!question_first) std::swap(first, *second);
    }
    encode.text_pair = std::move(second);
    return ModelInputs((*tokenizer)(first, encode)).tensors();
  }

  BatchFeature picture(const std::string& name) {
    if (!processor) processor = AutoImageProcessor::from_pretrained(folder);
    return (*processor)(load_image(data_folder / name));
  }

  BatchFeature sound(const std::string& name) {
    if (!extractor) extractor = AutoFeatureExtractor::from_pretrained(folder);
    return (*extractor)(load_audio(data_folder / name, extractor->sampling_rate()).samples);
  }

  static HostTensor by_name(const SampleInput& input, const Json& value) {
    return with_context(fmt::format("the input {}", in_quotes(input.name)), [&] {
      HostTensor out = tensor_from_json(value, input.dtype);
      const bool one_row = input.dims && input.dims->size() == out.dims.size() + 1;
      if (one_row) out.dims.insert(out.dims.begin(), 1);
      return out;
    });
  }

  [[nodiscard]] Sample completed(Sample given) const {
    const auto ids = given.find("input_ids");
    const int64_t rows = ids == given.end() || ids->second.dims.empty() ? 1 : ids->second.dims[0];
    for (const SampleInput& input : inputs) {
      auto found = given.find(input.name);
      if (found == given.end()) found = given.emplace(input.name, filled(input, given, rows)).first;
      HostTensor& tensor = found->second;
      tensor = in_dtype(tensor, input.dtype);
      if (tensor.dtype != input.dtype) {
        throw Error(ErrorCode::dtype_mismatch,
                    fmt::format("the input {} is {}, the model takes {}", in_quotes(input.name),
                                to_string(tensor.dtype), to_string(input.dtype)));
      }
      check_dims(input, tensor.dims);
      check_values(input, tensor);
    }
    return given;
  }

  [[nodiscard]] HostTensor filled(const SampleInput& input, const Sample& given, int64_t rows) const {
    if (auto made = default_input(input.name, given)) return std::move(*made);
    if (starts_with(input.name, "past_key_values") && input.dims)
      return empty_past(input.dtype, *input.dims, rows);
    if (input.name == "use_cache_branch") return HostTensor::boolean({1}, {false});
    throw Error(ErrorCode::not_found, fmt::format("the input {} is missing", in_quotes(input.name)))
        .with_hint("the model takes " + names());
  }
};

SampleReader::SampleReader(std::vector<SampleInput> inputs, fs::path folder, fs::path data_folder,
                           const SampleOptions& options)
    : impl_(std::make_unique<Impl>()) {
  impl_->inputs = std::move(inputs);
  impl_->folder = std::move(folder);
  impl_->data_folder = std::move(data_folder);
  impl_->options = options;
}
SampleReader::SampleReader(SampleReader&&) noexcept = default;
SampleReader::~SampleReader() = default;

Sample SampleReader::operator()(std::string_view line) {
  return impl_->read(
      parse_json(line, "the line", {.max_bytes = static_cast<size_t>(impl_->options.max_line_bytes)}));
}

fs::path folder_of_model(const fs::path& model) {
  const auto parent = [](const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
  };
  const fs::path folder = parent(model);
  const bool below = folder.filename() == "onnx" && !ferry::is_regular_file(folder / "config.json");
  return below ? parent(folder) : folder;
}

void for_each_sample(const fs::path& jsonl, std::vector<SampleInput> inputs, const fs::path& folder,
                     const SampleOptions& options, const std::function<void(Sample)>& take) {
  const std::string name = printable(jsonl.filename().string());
  const auto data = MappedFile::open(jsonl);
  SampleReader reader(std::move(inputs), folder, jsonl.parent_path(), options);
  std::string_view rest = data->text();
  size_t number = 0, count = 0;
  while (!rest.empty() && (options.max_samples == 0 || count < options.max_samples)) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number;
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    ++count;
    with_context(fmt::format("{}, line {}", name, number), [&] { take(reader(line)); });
  }
  if (count == 0)
    throw Error(ErrorCode::invalid_file, fmt::format("{} holds no sample", printable(jsonl.string())));
}

void for_each_sample(const fs::path& jsonl, const fs::path& model, const SampleOptions& options,
                     const std::function<void(Sample)>& take) {
  fs::path file = model;
  ModelFolder folder;
  std::error_code ignored;
  if (fs::is_directory(model, ignored)) {
    LoadOptions loading;
    loading.file_name = options.file_name;
    folder = open_model_folder(model.string(), loading, "auto");
    file = folder.model;
  }
  onnx::ReadOptions reading;
  reading.infer_shapes = false;  // What the inputs declare is enough.
  for_each_sample(jsonl, sample_inputs(onnx::read_model(file, reading)), folder_of_model(file), options,
                  take);
}

namespace {

// A `take` that keeps samples while they are not too many.
std::function<void(Sample)> collector(std::vector<Sample>& out, uint64_t max_bytes) {
  return [&out, max_bytes, bytes = uint64_t{0}](Sample sample) mutable {
    for (const auto& [name, tensor] : sample) bytes += tensor.bytes.size();
    if (bytes > max_bytes) {
      throw Error(ErrorCode::usage, fmt::format("the samples up to here take more than {}",
                                                human_bytes(static_cast<double>(max_bytes))))
          .with_hint("take fewer of them");
    }
    out.push_back(std::move(sample));
  };
}

}  // namespace

std::vector<Sample> read_samples(const fs::path& jsonl, std::vector<SampleInput> inputs,
                                 const fs::path& folder, const SampleOptions& options) {
  std::vector<Sample> out;
  for_each_sample(jsonl, std::move(inputs), folder, options, collector(out, options.max_bytes));
  return out;
}

std::vector<Sample> read_samples(const fs::path& jsonl, const fs::path& model, const SampleOptions& options) {
  std::vector<Sample> out;
  for_each_sample(jsonl, model, options, collector(out, options.max_bytes));
  return out;
}

}  // namespace ferry::runtime
