// One object for every task: transformers' JSON in and out.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "nn/task.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"

namespace ferry {
namespace {
using pipelines::Json;
using pipelines::PipelineEntry;
using pipelines::refuse;

// By its own name or transformers' other ones first: zero-shot-classification is no text-classification here.
const PipelineEntry* find_pipeline(std::string_view task) {
  const auto table = pipelines::pipeline_table();
  const auto named = [&](std::string_view name) {
    return std::find_if(table.begin(), table.end(), [&](const PipelineEntry& entry) {
      const auto& also = entry.synonyms;
      return entry.task == name || std::find(also.begin(), also.end(), name) != also.end();
    });
  };
  auto found = named(task);
  if (found == table.end()) found = named(canonical_task(task));
  return found == table.end() ? nullptr : &*found;
}

}  // namespace

Answer Pipeline::operator()(const QuestionAnsweringInput& input,
                            const QuestionAnsweringOptions& options) const {
  const auto* qa = runner_->question_answering();
  if (qa == nullptr) refuse(runner_->task, "takes no question and context");
  auto answers = (*qa)(input, options);
  if (answers.empty()) refuse(runner_->task, "there is no answer");
  return std::move(answers.front());
}

Json Pipeline::operator()(const Json& input, const Json& options) const {
  return runner_->run(input, options);
}
Json Pipeline::stream(const Json& input, const Json& options,
                      const std::function<void(std::string_view)>& write) const {
  return runner_->stream(input, options, write);
}
std::string_view Pipeline::task() const {
  return runner_->task;
}

std::vector<Json> Pipeline::batch(std::span<const Json> inputs, const Json& options) const {
  try {
    if (auto results = runner_->run_batch(inputs, options)) return std::move(*results);
  } catch (const Error&) {
    // One of the inputs cannot be taken: the walk below says which.
  }
  std::vector<Json> out;
  for (const Json& input : inputs) {
    try {
      out.push_back(runner_->run(input, options));
    } catch (const Error& error) {
      out.push_back({{"error", error.what()}});
    }
  }
  return out;
}

std::vector<std::string> pipeline_tasks() {
  std::vector<std::string> out;
  for (const PipelineEntry& entry : pipelines::pipeline_table()) out.emplace_back(entry.task);
  return out;
}

Pipeline pipeline(std::string_view task, std::string_view model, const LoadOptions& options) {
  const PipelineEntry* entry = find_pipeline(task);
  if (entry == nullptr) {
    throw Error(ErrorCode::unsupported, fmt::format("there is no pipeline for the task {}", printable(task)))
        .with_hint("pipelines: " + join(pipeline_tasks()));
  }
  auto runner = entry->make(model, options);
  runner->task = entry->task;
  return Pipeline(std::move(runner));
}

}  // namespace ferry
