#include "hub/headers.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/text.h"
#include "hub/failure.h"
#include "hub/repo_id.h"
#include "hub/url.h"

namespace ferry::hub {
namespace {

constexpr size_t kMostFields = 200;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

void Headers::add_line(std::string_view line) {
  if (starts_with(line, "HTTP/")) {
    fields_.clear();
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || fields_.size() >= kMostFields) return;
  fields_.emplace_back(to_lower(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1))));
}

std::string Headers::get(std::string_view name) const {
  const std::string wanted = to_lower(name);
  const auto found =
      std::find_if(fields_.begin(), fields_.end(), [&](const auto& field) { return field.first == wanted; });
  return found == fields_.end() ? "" : found->second;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string normalize_etag(std::string_view etag) {
  etag = trim(etag);
  if (starts_with(etag, "W/")) etag.remove_prefix(2);
  while (!etag.empty() && etag.front() == '"') etag.remove_prefix(1);
  while (!etag.empty() && etag.back() == '"') etag.remove_suffix(1);
  return std::string(etag);
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!starts_with(text, kUnit)) return std::nullopt;
  text = trim(text.substr(kUnit.size()));
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return std::nullopt;
  const auto first = parse_size(text.substr(0, dash));
  const auto last = parse_size(text.substr(dash + 1, slash - dash - 1));
  const std::string_view total = text.substr(slash + 1);
  if (!first || !last || *last < *first) return std::nullopt;
  ContentRange range{*first, *last, parse_size(total)};
  if (!range.total && total != "*") return std::nullopt;
  return range;
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (const auto seconds = parse_size(text)) {
    return std::chrono::seconds(std::min<uint64_t>(*seconds, 365ull * 24 * 3600));
  }
  const time_t at = curl_getdate(std::string(text).c_str(), nullptr);
  if (at < 0) return std::nullopt;
  return std::chrono::seconds(std::max<time_t>(0, at - std::time(nullptr)));
}

FileMetadata parse_file_metadata(const Response& response, std::string_view what) {
  FileMetadata metadata;
  metadata.commit = response.headers.get("X-Repo-Commit");
  const std::string linked = response.headers.get("X-Linked-Etag");
  metadata.etag = normalize_etag(linked.empty() ? response.headers.get("ETag") : linked);
  const bool is_hub = is_commit_hash(metadata.commit) && is_blob_name(metadata.etag);
  if (!is_hub) {
    throw HubError(Failure::malformed,
                   fmt::format("{} does not answer as the Hub does about {}: commit \"{}\", etag \"{}\"",
                               display_url(response.url), printable(what), printable(metadata.commit, 80),
                               printable(metadata.etag, 80)),
                   "a proxy or a firewall may answer in its place; check HF_ENDPOINT");
  }
  const std::string encoding = to_lower(response.headers.get("Content-Encoding"));
  metadata.size = parse_size(response.headers.get("X-Linked-Size"));
  const bool plain = (encoding.empty() || encoding == "identity") && !is_redirect(response.status);
  if (!metadata.size && plain) metadata.size = parse_size(response.headers.get("Content-Length"));
  return metadata;
}

}  // namespace ferry::hub
