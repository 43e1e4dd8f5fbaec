#include "hub/model_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "hub/failure.h"
#include "hub/repo_id.h"

namespace ferry::hub {
namespace {
using Json = nlohmann::ordered_json;

constexpr size_t kLongestAnswer = 64u << 20;

[[noreturn]] void fail(std::string_view what, std::string_view why) {
  throw HubError(Failure::malformed, fmt::format("{}: {}", what, why));
}

const Json* member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const Json& object, const char* name) {
  const Json* value = member(object, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

std::optional<uint64_t> size_of(const Json& object, std::string_view what) {
  const Json* value = member(object, "size");
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_unsigned()) fail(what, "a file's size is not a whole number");
  return value->get<uint64_t>();
}

RepoSibling parse_sibling(const Json& object, std::string_view what) {
  if (!object.is_object()) fail(what, "an entry of \"siblings\" is not an object");
  RepoSibling sibling{text_of(object, "rfilename"), size_of(object, what), text_of(object, "blobId")};
  try {
    check_relative_name(sibling.rfilename, what);
  } catch (Error& error) {
    throw HubError(Failure::malformed, error.message());
  }
  if (const Json* lfs = member(object, "lfs"); lfs != nullptr && lfs->is_object()) {
    sibling.etag = text_of(*lfs, "sha256");
    if (sibling.etag.empty()) sibling.etag = text_of(*lfs, "oid");
    if (const auto size = size_of(*lfs, what)) sibling.size = size;
  }
  // An etag that cannot be a hash is not worth a refusal here: the file's own answer will be asked.
  if (!is_blob_name(sibling.etag)) sibling.etag.clear();
  return sibling;
}

Json parse(std::string_view text, std::string_view what) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin != std::string_view::npos && text[begin] == '<') {
    throw HubError(Failure::html, fmt::format("{}: the answer is an HTML page, not the Hub's JSON", what),
                   "a captive portal or a proxy may answer in the Hub's place; check HF_ENDPOINT");
  }
  try {
    return parse_json(text, what, {.max_bytes = kLongestAnswer, .max_depth = 64});
  } catch (Error& error) {
    throw HubError(Failure::malformed, error.message());
  }
}

}  // namespace

const RepoSibling* ModelInfo::find(std::string_view rfilename) const {
  const auto found = std::find_if(siblings.begin(), siblings.end(),
                                  [&](const RepoSibling& sibling) { return sibling.rfilename == rfilename; });
  return found == siblings.end() ? nullptr : &*found;
}

ModelInfo parse_model_info(std::string_view text, std::string_view what) {
  const Json json = parse(text, what);
  if (!json.is_object()) fail(what, "the answer is not a JSON object");
  ModelInfo info;
  info.id = text_of(json, "id");
  info.sha = text_of(json, "sha");
  if (!is_commit_hash(info.sha))
    fail(what, fmt::format("\"sha\" is \"{}\", not a commit", printable(info.sha, 80)));
  info.pipeline_tag = text_of(json, "pipeline_tag");
  info.library_name = text_of(json, "library_name");
  const Json* is_private = member(json, "private");
  info.is_private = is_private != nullptr && is_private->is_boolean() && is_private->get<bool>();
  const Json* gated = member(json, "gated");  // false, or how access is granted: "auto", "manual".
  info.gated = gated != nullptr && !(gated->is_boolean() && !gated->get<bool>());
  const Json* siblings = member(json, "siblings");
  if (siblings == nullptr) return info;
  if (!siblings->is_array()) fail(what, "\"siblings\" is not a list");
  std::unordered_set<std::string> names;
  for (const Json& entry : *siblings) {
    RepoSibling sibling = parse_sibling(entry, what);
    if (!names.insert(sibling.rfilename).second) {
      fail(what, fmt::format("the file \"{}\" is listed twice", printable(sibling.rfilename, 120)));
    }
    info.siblings.push_back(std::move(sibling));
  }
  return info;
}

}  // namespace ferry::hub
