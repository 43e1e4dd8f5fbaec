// A certificate for the loopback server, made anew in each run: nothing that could expire is stored.
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>

#include "unit/hub/fake_hub.h"

namespace ferry::hub::test {
namespace {

void check(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL cannot make a certificate");
}

void add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  check(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

X509* make_certificate(EVP_PKEY* key) {
  constexpr long kDay = 24 * 3600;
  X509* certificate = X509_new();
  check(certificate != nullptr && X509_set_version(certificate, 2) == 1);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate), kDay);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                             -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  check(X509_sign(certificate, key, EVP_sha256()) > 0);
  return certificate;
}

}  // namespace

const Certificate& Certificate::shared() {
  static const Certificate certificate;
  return certificate;
}

Certificate::Certificate() {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  check(key != nullptr);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(make_certificate(key.get()), X509_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), BIO_free);
  check(PEM_write_bio_X509(text.get(), certificate.get()) == 1);
  char* data = nullptr;
  const long length = BIO_get_mem_data(text.get(), &data);
  pem_.assign(data, static_cast<size_t>(length));
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  check(context != nullptr && SSL_CTX_use_certificate(context, certificate.get()) == 1 &&
        SSL_CTX_use_PrivateKey(context, key.get()) == 1);
  context_ = context;
}

}  // namespace ferry::hub::test
