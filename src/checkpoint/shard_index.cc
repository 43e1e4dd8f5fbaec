#include "checkpoint/shard_index.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "checkpoint/json_events.h"
#include "checkpoint/limits.h"

namespace ferry::checkpoint {
namespace {

// {"metadata": anything, "weight_map": {name: shard...}}; other members are passed over.
class IndexVisitor final : public JsonVisitor {
 public:
  explicit IndexVisitor(std::string_view file) : file_(file) {}

  void on_key(size_t depth, std::string_view key) override {
    if (depth == 1) in_map_ = key == "weight_map";
    if (depth == 2) name_ = key;
  }

  void on_open(size_t depth, bool is_array) override {
    if (depth == 0 && is_array) throw_invalid(file_, "the index is not a JSON object");
    if (depth == 1 && in_map_) {
      if (is_array) throw_invalid(file_, "\"weight_map\" is not an object");
      has_map = true;
    }
    if (depth >= 2 && in_map_) fail_entry();
  }

  void on_scalar(size_t depth, const JsonScalar& value) override {
    if (depth == 0) throw_invalid(file_, "the index is not a JSON object");
    if (!in_map_) return;
    if (depth == 1) throw_invalid(file_, "\"weight_map\" is not an object");
    if (value.kind != JsonScalar::Kind::string) fail_entry();
    if (map.size() >= kMaxTensors) throw_invalid(file_, fmt::format("more than {} tensors", kMaxTensors));
    if (map.empty() || value.text != last_shard_) {  // Neighbours mostly share a shard.
      last_shard_ = value.text;
      check_relative_name(last_shard_, fmt::format("{}: weight_map[{}]", file_, in_quotes(name_)));
    }
    map.emplace_hint(map.end(), name_, last_shard_);
  }

  void on_close(size_t) override {}

  WeightMap map;
  bool has_map = false;

 private:
  [[noreturn]] void fail_entry() const {
    throw_invalid(file_, fmt::format("weight_map[{}] is not the name of a file", in_quotes(name_)));
  }

  std::string_view file_;
  std::string name_;
  std::string last_shard_;
  bool in_map_ = false;
};

// Says how a shard's format differs from the first one's.
void check_same_format(const Shards& shards, const std::string& format, const std::filesystem::path& shard) {
  if (shards.paths.empty() || shards.file.format == format) return;
  throw_invalid(shard.string(), fmt::format("the shard's format is \"{}\", that of {} is \"{}\"", format,
                                            shards.paths.front().filename().string(), shards.file.format));
}

// Moves the tensors that the index places into this shard.
size_t take_tensors(const TensorFile& file, const std::vector<std::string>& wanted,
                    const std::filesystem::path& shard, const std::filesystem::path& index, Shards& out) {
  size_t taken = 0;
  for (const std::string& name : wanted) {
    const std::string key = shard_key(name, file.format);
    const auto found = file.tensors.find(key);
    if (found == file.tensors.end()) {
      throw Error(ErrorCode::missing_tensor,
                  fmt::format("{} has no tensor {}, though {} says so", printable(shard.string(), 300),
                              in_quotes(key), printable(index.filename().string(), 300)))
          .with_hint(
              "the shards and the index are of different versions, or a shard was not downloaded whole");
    }
    if (out.file.tensors.emplace(key, found->second).second) ++taken;
  }
  return taken;
}

}  // namespace

WeightMap parse_shard_index(std::string_view text, std::string_view file) {
  const std::string where = printable(file, 300);
  if (text.size() > kMaxIndexBytes) {
    throw_invalid(file, fmt::format("an index of {}, more than the {} allowed",
                                    human_bytes(static_cast<double>(text.size())),
                                    human_bytes(static_cast<double>(kMaxIndexBytes))));
  }
  IndexVisitor visitor(where);
  walk_json(text, where, visitor);
  if (!visitor.has_map) throw_invalid(file, "the index has no \"weight_map\"");
  if (visitor.map.empty()) throw_invalid(file, "the index names no tensors");
  return std::move(visitor.map);
}

std::string shard_key(const std::string& name, std::string_view format) {
  const size_t slash = name.find('/');
  const bool stripped =
      starts_with(format, "tf ") && slash != std::string::npos && name.find("model.") == std::string::npos;
  return stripped ? name.substr(slash + 1) : name;
}

Shards read_shards(const std::filesystem::path& index_file,
                   const std::function<TensorFile(const std::filesystem::path&)>& read) {
  const WeightMap map = parse_shard_index(read_text(index_file, kMaxIndexBytes), index_file.string());
  std::map<std::string, std::vector<std::string>> by_shard;
  for (const auto& [name, shard] : map) by_shard[shard].push_back(name);

  Shards out;
  std::vector<std::string> unlisted;
  for (const auto& [shard, wanted] : by_shard) {
    const std::filesystem::path path = index_file.parent_path() / shard;
    TensorFile file = with_context(fmt::format("a shard of {}", printable(index_file.string(), 300)),
                                   [&] { return read(path); });
    check_same_format(out, file.format, path);
    if (out.paths.empty()) {
      out.file.format = file.format;
      out.file.first_level_dropped = file.first_level_dropped;
      out.file.metadata = std::move(file.metadata);
    }
    out.paths.push_back(path);
    out.file.warnings.insert(out.file.warnings.end(), file.warnings.begin(), file.warnings.end());
    if (take_tensors(file, wanted, path, index_file, out) == file.tensors.size()) continue;
    for (const auto& [key, weight] : file.tensors) {
      if (out.file.tensors.find(key) == out.file.tensors.end()) unlisted.push_back(key);
    }
  }
  // A later shard may have held what an earlier one held, too.
  std::erase_if(unlisted,
                [&](const auto& key) { return out.file.tensors.find(key) != out.file.tensors.end(); });
  for (std::string& key : unlisted) key = in_quotes(key);
  if (!unlisted.empty()) {
    out.file.warnings.push_back(fmt::format("{} does not name {} tensor{} that its shards hold; left out: {}",
                                            printable(index_file.string(), 300), unlisted.size(),
                                            unlisted.size() == 1 ? "" : "s", join(unlisted, ", ", 5)));
  }
  return out;
}

}  // namespace ferry::checkpoint
