#include "hub/hash.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace ferry::hub {
namespace {
EVP_MD_CTX* as_context(void* context) {
  return static_cast<EVP_MD_CTX*>(context);
}

void check_openssl(bool ok) {
  if (!ok) throw Error(ErrorCode::runtime, "OpenSSL cannot compute a hash");
}
}  // namespace

void Hasher::Free::operator()(void* context) const {
  EVP_MD_CTX_free(as_context(context));
}

Hasher::Hasher(const char* algorithm) : context_(EVP_MD_CTX_new()) {
  const EVP_MD* md = EVP_get_digestbyname(algorithm);
  check_openssl(context_ != nullptr && md != nullptr &&
                EVP_DigestInit_ex(as_context(context_.get()), md, nullptr) == 1);
}

Hasher Hasher::sha256() {
  return Hasher("SHA256");
}

Hasher Hasher::git_blob(uint64_t size) {
  Hasher hasher("SHA1");
  const std::string header = fmt::format("blob {}", size);
  hasher.update(std::string_view(header.c_str(), header.size() + 1));
  return hasher;
}

Hasher Hasher::for_etag(std::string_view etag, uint64_t size) {
  if (etag.size() == 64) return sha256();
  if (etag.size() == 40) return git_blob(size);
  return {};
}

void Hasher::update(std::string_view bytes) {
  if (context_) check_openssl(EVP_DigestUpdate(as_context(context_.get()), bytes.data(), bytes.size()) == 1);
}

std::string Hasher::finish() {
  if (!context_) return "";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  check_openssl(EVP_DigestFinal_ex(as_context(context_.get()), digest.data(), &length) == 1);
  std::string out;
  for (unsigned i = 0; i < length; ++i) out += fmt::format("{:02x}", digest.at(i));
  return out;
}

}  // namespace ferry::hub
