#include "pipelines/runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace ferry {

std::optional<std::vector<nlohmann::ordered_json>> Pipeline::Runner::run_batch(
    std::span<const nlohmann::ordered_json>, const nlohmann::ordered_json&) const {
  return std::nullopt;
}

nlohmann::ordered_json Pipeline::Runner::stream(const nlohmann::ordered_json&, const nlohmann::ordered_json&,
                                                const std::function<void(std::string_view)>&) const {
  pipelines::refuse(task, "makes no text that could be streamed");
}

namespace pipelines {

void refuse(std::string_view task, std::string_view what) {
  throw Error(ErrorCode::usage, fmt::format("{}: {}", task, what));
}

OptionReader::OptionReader(std::string_view task, const Json& json) : task_(task), json_(json) {
  if (!json.is_object() && !json.is_null()) refuse(task, "options are not a JSON object");
}

template <typename T>
void OptionReader::read(const char* name, T& value) {
  known_.insert(name);
  const Json* found = find(name);
  if (found == nullptr) return;
  try {
    value = found->get<T>();
  } catch (const nlohmann::json::exception&) {
    refuse(task_, fmt::format("option \"{}\" has another type than it should", name));
  }
}
template void OptionReader::read(const char*, bool&);
template void OptionReader::read(const char*, int64_t&);
template void OptionReader::read(const char*, uint64_t&);
template void OptionReader::read(const char*, float&);
template void OptionReader::read(const char*, double&);
template void OptionReader::read(const char*, std::string&);
template void OptionReader::read(const char*, std::vector<std::string>&);
template void OptionReader::read(const char*, std::vector<int64_t>&);
template void OptionReader::read(const char*, Json&);

bool OptionReader::has(const char* name) const {
  return json_.is_object() && json_.contains(name);
}

bool OptionReader::is_null(const char* name) {
  known_.insert(name);
  return has(name) && json_.at(name).is_null();
}

const Json* OptionReader::find(const char* name) const {
  if (!json_.is_object()) return nullptr;
  const auto found = json_.find(name);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

void OptionReader::check() const {
  if (!json_.is_object()) return;
  for (const auto& [name, value] : json_.items()) {
    if (known_.count(name) > 0) continue;
    const std::vector<std::string> names(known_.begin(), known_.end());
    throw Error(ErrorCode::usage, fmt::format("{}: there is no option \"{}\"", task_, printable(name)))
        .with_hint("options: " + join(names));
  }
}

std::string string_member(std::string_view task, const Json& input, const char* name) {
  const auto found = input.is_object() ? input.find(name) : input.end();
  if (!input.is_object() || found == input.end() || !found->is_string())
    refuse(task, fmt::format("the input has no text \"{}\"", name));
  return found->get<std::string>();
}

std::string text_of(std::string_view task, const Json& input) {
  return input.is_string() ? input.get<std::string>() : string_member(task, input, "text");
}

std::vector<std::string> strings_member(std::string_view task, const Json& input, const char* name) {
  const auto found = input.is_object() ? input.find(name) : input.end();
  const bool valid =
      input.is_object() && found != input.end() && found->is_array() &&
      std::all_of(found->begin(), found->end(), [](const Json& item) { return item.is_string(); });
  if (!valid) refuse(task, fmt::format("the input has no list of texts \"{}\"", name));
  return found->get<std::vector<std::string>>();
}

}  // namespace pipelines
}  // namespace ferry
