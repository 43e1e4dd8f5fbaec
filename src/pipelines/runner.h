#pragma once
// What a pipeline's JSON side is written with: its runner, its options, its inputs.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/pipelines.h"

namespace ferry {

/// What a task does with JSON. One a pipeline, in the pipeline's own file.
struct Pipeline::Runner {
  virtual ~Runner() = default;
  [[nodiscard]] virtual nlohmann::ordered_json run(const nlohmann::ordered_json& input,
                                                   const nlohmann::ordered_json& options) const = 0;
  /// All inputs at once, or nothing if the task has no such form for them.
  [[nodiscard]] virtual std::optional<std::vector<nlohmann::ordered_json>> run_batch(
      std::span<const nlohmann::ordered_json> inputs, const nlohmann::ordered_json& options) const;
  /// run() that hands over text as it comes. Errors: Error{usage} if the task makes no text.
  virtual nlohmann::ordered_json stream(const nlohmann::ordered_json& input,
                                        const nlohmann::ordered_json& options,
                                        const std::function<void(std::string_view)>& write) const;
  [[nodiscard]] virtual const QuestionAnsweringPipeline* question_answering() const { return nullptr; }
  std::string task;
};

namespace pipelines {
using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(std::string_view task, std::string_view what);

/// Options by name, each read once; check() refuses what nobody asked for.
class OptionReader {
 public:
  OptionReader(std::string_view task, const Json& json);

  /// Leaves `value` as it is if the option is missing or null. T: bool, int64_t, size_t, uint64_t, double,
  /// float, std::string, std::vector<std::string>, std::vector<int64_t>, Json.
  template <typename T>
  void read(const char* name, T& value);
  /// Null is a value, too: nothing.
  template <typename T>
  void read(const char* name, std::optional<T>& value) {
    if (is_null(name)) {
      value.reset();
    } else if (has(name)) {
      T inner{};
      read(name, inner);
      value = inner;
    } else {
      known_.insert(name);
    }
  }

  [[nodiscard]] bool has(const char* name) const;
  /// Whether it was read.
  [[nodiscard]] bool knows(std::string_view name) const { return known_.count(name) > 0; }
  void check() const;

 private:
  [[nodiscard]] const Json* find(const char* name) const;
  bool is_null(const char* name);

  std::string_view task_;
  const Json& json_;
  std::set<std::string, std::less<>> known_;
};

/// A member of an input that is an object. Errors: Error{usage} if it is missing or of another type.
std::string string_member(std::string_view task, const Json& input, const char* name);
std::vector<std::string> strings_member(std::string_view task, const Json& input, const char* name);
/// The input itself, or its "text".
std::string text_of(std::string_view task, const Json& input);

/// The runner of a pipeline that takes a tokenizer and a model.
template <typename R, typename Model>
std::shared_ptr<Pipeline::Runner> open_runner(std::string_view folder, const LoadOptions& options) {
  Model model = Model::from_pretrained(folder, options);
  Tokenizer tokenizer = AutoTokenizer::from_pretrained(model.folder());
  return std::make_shared<R>(std::move(tokenizer), std::move(model));
}

}  // namespace pipelines
}  // namespace ferry
