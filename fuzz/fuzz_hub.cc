// Everything that the Hub, a proxy or a shared cache folder can hand to the client. The first byte chooses
// the parser.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>

#include "base/error.h"
#include "hub/cache.h"
#include "hub/export_files.h"
#include "hub/failure.h"
#include "hub/headers.h"
#include "hub/model_info.h"
#include "hub/repo_id.h"
#include "hub/url.h"

namespace {
using namespace ferry;

// What was accepted must be safe to use; a slip stops the fuzzer.
void require(bool holds) {
  if (!holds) __builtin_trap();
}

bool stays_below(std::string_view name) {
  const auto path = std::filesystem::path(name).lexically_normal();
  return !path.is_absolute() && !path.empty() && *path.begin() != "..";
}

hub::Response parse_response(std::string_view text) {
  hub::Response response{200, "http://127.0.0.1/x", {}};
  while (!text.empty()) {
    const size_t end = text.find('\n');
    response.headers.add_line(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return response;
}

void fuzz_model_info(std::string_view text) {
  const hub::ModelInfo info = hub::parse_model_info(text, "answer");
  require(hub::is_commit_hash(info.sha));
  for (const auto& sibling : info.siblings) {
    require(stays_below(sibling.rfilename));
    require(sibling.etag.empty() || hub::is_blob_name(sibling.etag));
  }
  for (const auto& name : hub::export_files(info.siblings))
    require(!name.ends_with(".py") && stays_below(name));
}

void fuzz_headers(std::string_view text) {
  const hub::Response response = parse_response(text);
  hub::parse_retry_after(response.headers.get("Retry-After"));
  if (const auto range = hub::parse_content_range(response.headers.get("Content-Range")))
    require(range->first <= range->last);
  const hub::FileMetadata metadata = hub::parse_file_metadata(response, "file");
  require(hub::is_commit_hash(metadata.commit) && hub::is_blob_name(metadata.etag));
}

void fuzz_error(std::string_view text) {
  const size_t half = text.size() / 2;
  hub::Response response = parse_response(text.substr(0, half));
  response.status = text.empty() ? 404 : 300 + 2 * static_cast<uint8_t>(text[0]);
  const hub::Subject subject{"https://huggingface.co", "org/name", "main", half % 2 == 0 ? "" : "config.json",
                             false};
  const hub::HubError error = hub::error_from_response(response, text.substr(half), subject);
  for (const char* c = error.what(); *c != '\0'; ++c) require(static_cast<uint8_t>(*c) >= 0x20);
}

void fuzz_names(std::string_view text) {
  hub::normalize_etag(text);
  if (const auto commit = hub::parse_ref(text)) require(hub::is_commit_hash(*commit));
  const hub::ModelId id = hub::parse_model_id(text);
  require(id.repo_id.find("..") == std::string::npos && stays_below(hub::repo_folder_name(id.repo_id)));
  require(stays_below("refs/" + id.revision) && stays_below(id.revision));
}

void fuzz_url(std::string_view text) {
  hub::display_url(text);
  const std::string url = hub::resolve_url("https://huggingface.co/org/name/resolve/main/x", text);
  const std::string scheme = hub::origin_of(url).scheme;
  require(scheme == "http" || scheme == "https");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr void (*kTargets[])(std::string_view) = {fuzz_model_info, fuzz_headers, fuzz_error, fuzz_names,
                                                    fuzz_url};
  try {
    kTargets[data[0] % std::size(kTargets)](text);
  } catch (const ferry::Error& error) {
    require(error.code() != ferry::ErrorCode::internal);
  }
  return 0;
}
