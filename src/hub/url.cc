#include "hub/url.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/text.h"

namespace ferry::hub {
namespace {

constexpr size_t kLongestUrl = 32 * 1024;

struct UrlCleanup {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlCleanup>;

[[noreturn]] void refuse(std::string_view url, std::string_view why) {
  throw Error(ErrorCode::network,
              fmt::format("the address \"{}\" {}", printable(url.substr(0, url.find('?')), 200), why));
}

void set(CURLU* handle, std::string_view url) {
  if (url.size() > kLongestUrl) refuse(url, "is too long");
  if (url.find('\0') != std::string_view::npos) refuse(url, "holds a NUL byte");
  const std::string text(url);
  if (const CURLUcode failure = curl_url_set(handle, CURLUPART_URL, text.c_str(), 0); failure != CURLUE_OK) {
    refuse(url, curl_url_strerror(failure));
  }
}

UrlHandle parse(std::string_view url) {
  UrlHandle handle(curl_url());
  if (!handle) throw Error(ErrorCode::runtime, "libcurl: out of memory");
  set(handle.get(), url);
  return handle;
}

// One part of an address; empty if it has none.
std::string part(CURLU* handle, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle, which, &text, flags) != CURLUE_OK || text == nullptr) return "";
  const std::unique_ptr<char, void (*)(void*)> owner(text, curl_free);
  return text;
}

Origin origin_of(CURLU* handle, std::string_view url) {
  Origin origin{to_lower(part(handle, CURLUPART_SCHEME)), to_lower(part(handle, CURLUPART_HOST)),
                part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  if (origin.scheme != "http" && origin.scheme != "https") refuse(url, "is neither http nor https");
  if (!part(handle, CURLUPART_USER).empty() || !part(handle, CURLUPART_PASSWORD).empty()) {
    refuse("(hidden)", "holds a user name or a password");
  }
  while (ends_with(origin.host, ".")) origin.host.pop_back();
  if (origin.host.empty()) refuse(url, "names no host");
  return origin;
}

}  // namespace

Origin origin_of(std::string_view url) {
  return origin_of(parse(url).get(), url);
}

std::string resolve_url(std::string_view base, std::string_view location) {
  const UrlHandle handle = parse(base);
  set(handle.get(), location);  // libcurl resolves a relative address against what the handle holds.
  origin_of(handle.get(), location);
  std::string url = part(handle.get(), CURLUPART_URL);
  if (url.empty()) refuse(location, "cannot be resolved");
  return url;
}

std::string quote(std::string_view text, bool keep_slash) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~' || (keep_slash && c == '/');
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string display_url(std::string_view url) {
  std::string shown(url.substr(0, url.find_first_of("?#")));
  const size_t host = shown.find("://");
  const size_t at = shown.find('@');
  if (host != std::string::npos && at != std::string::npos && at < shown.find('/', host + 3)) {
    shown.erase(host + 3, at - host - 2);
  }
  return printable(shown, 200);
}

std::string clean_endpoint(std::string endpoint) {
  while (ends_with(endpoint, "/")) endpoint.pop_back();
  try {
    origin_of(endpoint);
  } catch (Error& error) {
    throw Error(ErrorCode::usage, "the Hub's endpoint cannot be used: " + error.message())
        .with_hint("HF_ENDPOINT reads like https://huggingface.co");
  }
  if (endpoint.find_first_of("?#") != std::string::npos) {
    throw Error(ErrorCode::usage, "the Hub's endpoint cannot have a query or a fragment");
  }
  return endpoint;
}

}  // namespace ferry::hub
