#pragma once
// What the Hub client may do, and where. Nothing below the command line reads the environment: whoever wants
// huggingface_hub's variables to count calls from_environment.
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>

#include "base/log.h"

namespace ferry::hub {

struct HubOptions {
  std::string endpoint =
      "https://huggingface.co";     ///< Scheme, host, port and path of the Hub; no final slash.
  std::string token;                ///< User access token; sent to `endpoint` only, never shown. Empty: none.
  std::filesystem::path cache_dir;  ///< The folder that holds models--org--name; shared with huggingface_hub.
  bool offline = false;             ///< True: no request is made, the cache answers or nothing does.
  std::filesystem::path ca_bundle;  ///< File or folder of trusted certificates. Empty: the system's.
  std::string http_proxy;           ///< Proxy for http:// addresses. Empty: none.
  std::string https_proxy;          ///< Proxy for https:// addresses. Empty: none.
  std::string no_proxy;             ///< Hosts that are reached without a proxy, comma-separated.
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds download_timeout{
      10'000};  ///< A transfer that is as good as silent for so long is broken.
  std::chrono::milliseconds api_timeout{60'000};  ///< For a whole answer that is not a file's content.
  size_t max_workers = 8;                         ///< Files downloaded at once.
  size_t max_tries = 5;  ///< Requests for one thing that may fail one after the other.
  std::string user_agent = "ferry";
  Log log;                          ///< Called from one thread at a time.
  std::function<bool()> cancelled;  ///< Polled about once a second, from several threads; true ends the call.
  std::function<void(std::chrono::milliseconds)>
      sleep;  ///< Waits before a retry. Unset: the clock. For tests.

  /// The options that huggingface_hub 0.36 would take from the environment, of which `getter` returns one
  /// variable's value or null: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH,
  /// HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_HOME, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, XDG_CACHE_HOME, HOME,
  /// HF_ENDPOINT, HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT, REQUESTS_CA_BUNDLE,
  /// CURL_CA_BUNDLE, SSL_CERT_FILE, and HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY in either case. An empty
  /// value counts as unset. Reads the token file if no variable gives a token. Errors: Error{usage} for a
  /// value that makes no sense. Source: huggingface_hub 0.36.2, constants.py and utils/_auth.py.
  static HubOptions from_environment(const std::function<const char*(const char*)>& getter);
};

/// `token` without surrounding white space. Errors: Error{usage} if it holds anything that cannot be part of
/// a header; the message does not show it.
std::string clean_token(std::string token);

}  // namespace ferry::hub
