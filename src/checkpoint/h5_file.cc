#include "checkpoint/h5_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "checkpoint/h5_dataset.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {

constexpr size_t kMaxComponents = 64;

bool has(const std::vector<H5Message>& messages, H5MessageType type) {
  return std::any_of(messages.begin(), messages.end(),
                     [&](const H5Message& message) { return message.type == type; });
}

}  // namespace

H5File::H5File(std::shared_ptr<const ByteSource> source, std::string_view name)
    : bytes_(std::make_shared<const H5Bytes>(std::move(source), name)) {}

std::optional<uint64_t> H5File::find(std::string_view path) {
  uint64_t at = bytes_->root();
  size_t components = 0;
  for (const std::string& component : split(path, '/')) {
    if (component.empty()) continue;
    if (component == "." || ++components > kMaxComponents)
      bytes_->fail(fmt::format("{}: not a path that ferry follows", in_quotes(path)));
    auto group = groups_.find(at);
    if (group == groups_.end())
      group = groups_.emplace(at, read_h5_group(*bytes_, bytes_->messages(at))).first;
    const auto link = group->second.find(component);
    if (link == group->second.end()) return std::nullopt;
    if (link->second.kind != H5Link::Kind::hard) {
      bytes_->refuse(fmt::format("{}: {} is {} link, which ferry does not follow", in_quotes(path),
                                 in_quotes(component),
                                 link->second.kind == H5Link::Kind::soft ? "a soft" : "an external"));
    }
    at = link->second.address;
  }
  return at;
}

H5File::Kind H5File::kind(std::string_view path) {
  const auto address = find(path);
  if (!address) return Kind::absent;
  return has(bytes_->messages(*address), H5MessageType::layout) ? Kind::dataset : Kind::group;
}

std::optional<std::vector<std::string>> H5File::strings(std::string_view path, std::string_view name) {
  const auto address = find(path);
  if (!address) return std::nullopt;
  const auto messages = bytes_->messages(*address);
  if (auto whole = read_h5_strings(*bytes_, messages, name)) return whole;
  std::optional<std::vector<std::string>> out;
  for (size_t i = 0;; ++i) {
    auto part = read_h5_strings(*bytes_, messages, fmt::format("{}{}", name, i));
    if (!part) return out;
    if (!out) out.emplace();
    out->insert(out->end(), part->begin(), part->end());
    if (out->size() > kMaxTensors)
      bytes_->fail(
          fmt::format("{}: attribute {} names more than {} weights", in_quotes(path), name, kMaxTensors));
  }
}

Weight H5File::dataset(std::string_view path) {
  const auto address = find(path);
  if (!address) bytes_->fail(fmt::format("{}: there is no such dataset", in_quotes(path)));
  return read_h5_dataset(bytes_, bytes_->messages(*address), path);
}

}  // namespace ferry::checkpoint
