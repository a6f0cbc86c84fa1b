// OpenSSL's objects as values that release themselves.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

namespace fl {

/// Deletes with a C function: `std::unique_ptr<X509, ReleaseWith<::X509_free>>`.
template <auto release>
struct ReleaseWith {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};

using OpensslKey = std::unique_ptr<EVP_PKEY, ReleaseWith<::EVP_PKEY_free>>;
using OpensslCertificate = std::unique_ptr<X509, ReleaseWith<::X509_free>>;
using OpensslExtension = std::unique_ptr<X509_EXTENSION, ReleaseWith<::X509_EXTENSION_free>>;
using OpensslMemory = std::unique_ptr<BIO, ReleaseWith<::BIO_free_all>>;

}  // namespace fl
