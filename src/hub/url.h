#pragma once
// Addresses, taken apart and put together by libcurl, so that what is checked is what is requested.
#include <string>
#include <string_view>

namespace ferry::hub {

/// Who answers: a token given to one origin goes to no other.
struct Origin {
  std::string scheme;  ///< "http" or "https".
  std::string host;    ///< Lower case, without a final dot.
  std::string port;    ///< Always written: "443".
  bool operator==(const Origin&) const = default;
};

/// The origin of `url`. Errors: Error{network} if it is not an http or https address, or holds a user name.
Origin origin_of(std::string_view url);

/// Where `location`, from the answer of `base`, leads. Errors: as origin_of.
std::string resolve_url(std::string_view base, std::string_view location);

/// `text` percent-encoded; '/' stays if `keep_slash`.
std::string quote(std::string_view text, bool keep_slash);

/// `url` as it may be shown: without query (signatures), fragment and user name, printable.
std::string display_url(std::string_view url);

/// Checks and normalizes an endpoint: http or https, no user name, query or fragment, no final slash.
/// Errors: Error{usage}.
std::string clean_endpoint(std::string endpoint);

}  // namespace ferry::hub
