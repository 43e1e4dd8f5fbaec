#pragma once
// The one table of tasks: names, synonyms, what runs the exported model.
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

struct TaskInfo {
  std::string_view name;  ///< Canonical: "text-classification".
  std::string_view
      auto_class;  ///< transformers' class that loads it, without "AutoModel": "ForSequenceClassification".
  std::string_view ort_class;  ///< ORTModelForXXX, empty where there is none.
  std::string_view pipeline;   ///< The pipeline's name, empty where there is none.
  std::vector<std::string_view> synonyms;
  std::vector<std::string_view> outputs;  ///< What a graph of the task gives, Optimum's names.
};

inline constexpr std::string_view kWithPast = "-with-past";

/// All tasks of Optimum, sorted by name, without the -with-past forms.
std::span<const TaskInfo> all_tasks();

/// The row of a canonical name, or nullptr. A "-with-past" suffix is ignored.
const TaskInfo* find_task(std::string_view canonical);

/// The canonical name of a task or synonym: "sequence-classification" -> "text-classification",
/// "causal-lm-with-past" -> "text-generation-with-past". Unknown names come back as they are.
std::string canonical_task(std::string_view name);

/// The synonyms of a canonical name, for messages.
std::vector<std::string> task_synonyms(std::string_view canonical);

}  // namespace ferry
