#include "hub/options.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ferry::hub {
namespace {

constexpr uint64_t kLongestTokenFile = 64 * 1024;

// The environment, seen through the caller's getter. Empty means unset.
class Environment {
 public:
  explicit Environment(const std::function<const char*(const char*)>& getter) : getter_(getter) {}

  [[nodiscard]] std::string get(const std::string& name) const {
    const char* value = getter_ ? getter_(name.c_str()) : nullptr;
    return value == nullptr ? "" : value;
  }

  [[nodiscard]] std::string first(std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      if (auto value = get(name); !value.empty()) return value;
    }
    return "";
  }

  [[nodiscard]] bool is_true(std::initializer_list<const char*> names) const {
    const std::string value = to_lower(first(names));
    return value == "1" || value == "on" || value == "yes" || value == "true";
  }

  // The user's folder; the account's entry stands in where HOME is not set (services, containers).
  [[nodiscard]] std::string home() const {
    if (auto value = get("HOME"); !value.empty()) return value;
    std::vector<char> buffer(16 * 1024);
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
      return "";
    return found->pw_dir == nullptr ? "" : found->pw_dir;
  }

  // Python's os.path.expandvars(os.path.expanduser(text)), for "~" and "~/": another user's folder stays as
  // it is.
  [[nodiscard]] std::string expand(std::string text) const {
    if (text == "~" || starts_with(text, "~/")) text = home() + text.substr(1);
    std::string out;
    size_t i = 0;
    while (i < text.size()) {
      const size_t used = text[i] == '$' ? expand_variable(std::string_view(text).substr(i), out) : 0;
      if (used == 0) out += text[i];
      i += std::max<size_t>(used, 1);
    }
    return out;
  }

 private:
  // Appends the value of the variable at the start of `text`; returns how much of `text` named it, 0 for
  // none.
  size_t expand_variable(std::string_view text, std::string& out) const {
    const bool braced = text.size() > 1 && text[1] == '{';
    const size_t begin = braced ? 2 : 1;
    size_t end = begin;
    const auto is_name = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    while (end < text.size() && is_name(text[end])) ++end;
    if (end == begin || (braced && (end == text.size() || text[end] != '}'))) return 0;
    const std::string value = get(std::string(text.substr(begin, end - begin)));
    if (value.empty()) return 0;
    out += value;
    return end + (braced ? 1 : 0);
  }

  const std::function<const char*(const char*)>& getter_;
};

std::string token_from(const Environment& environment, const std::string& hf_home) {
  if (environment.is_true({"HF_HUB_DISABLE_IMPLICIT_TOKEN"})) return "";
  if (auto token = clean_token(environment.first({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})); !token.empty())
    return token;
  std::string file = environment.expand(environment.get("HF_TOKEN_PATH"));
  if (file.empty() && !hf_home.empty()) file = hf_home + "/token";
  if (file.empty() || !is_regular_file(file)) return "";
  try {
    return clean_token(read_text(file, kLongestTokenFile));
  } catch (Error&) {
    // An unreadable token must not stop those who export a local folder; the Hub will ask if it needs one.
    return "";
  }
}

std::chrono::milliseconds timeout_from(const Environment& environment, std::chrono::milliseconds fallback) {
  const std::string text = environment.get("HF_HUB_DOWNLOAD_TIMEOUT");
  if (text.empty()) return fallback;
  int seconds = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (failure != std::errc{} || end != text.data() + text.size() || seconds < 0 || seconds > 1'000'000) {
    throw Error(ErrorCode::usage, fmt::format("HF_HUB_DOWNLOAD_TIMEOUT is \"{}\", not a number of seconds",
                                              printable(text, 40)));
  }
  return seconds == 0 ? fallback : std::chrono::milliseconds(1000LL * seconds);
}

}  // namespace

std::string clean_token(std::string token) {
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!token.empty() && is_space(token.back())) token.pop_back();
  token.erase(token.begin(), std::find_if_not(token.begin(), token.end(), is_space));
  if (std::any_of(token.begin(), token.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    throw Error(ErrorCode::usage, "the access token holds a character that no token has")
        .with_hint("check HF_TOKEN, --token, or the token file");
  }
  return token;
}

HubOptions HubOptions::from_environment(const std::function<const char*(const char*)>& getter) {
  const Environment environment(getter);
  HubOptions options;
  std::string hf_home = environment.get("HF_HOME");
  if (hf_home.empty()) {
    std::string cache = environment.get("XDG_CACHE_HOME");
    if (const std::string home = environment.home(); cache.empty() && !home.empty()) cache = home + "/.cache";
    if (!cache.empty()) hf_home = cache + "/huggingface";
  }
  hf_home = environment.expand(hf_home);
  options.cache_dir = environment.expand(environment.first({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}));
  if (options.cache_dir.empty() && !hf_home.empty()) options.cache_dir = hf_home + "/hub";
  options.token = token_from(environment, hf_home);
  if (auto endpoint = environment.get("HF_ENDPOINT"); !endpoint.empty()) options.endpoint = endpoint;
  while (ends_with(options.endpoint, "/")) options.endpoint.pop_back();
  options.offline = environment.is_true({"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"});
  options.download_timeout = timeout_from(environment, options.download_timeout);
  options.ca_bundle = environment.first({"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"});
  options.http_proxy = environment.first({"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"});
  options.https_proxy = environment.first({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
  options.no_proxy = environment.first({"no_proxy", "NO_PROXY"});
  return options;
}

}  // namespace ferry::hub
