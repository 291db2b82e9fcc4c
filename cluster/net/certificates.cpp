#include "cluster/net/certificates.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "ir/support/check.h"

namespace jvmc::cluster {

namespace {

constexpr int kAuthorityDays = 3650;
constexpr long kSecondsPerDay = 24 * 60 * 60;
constexpr long kClockSkewSeconds = 60 * 60;  ///< machines whose clocks are behind accept it at once

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Text = std::unique_ptr<BIO, decltype(&BIO_free)>;

Error ioError(const std::string& what, const std::string& path) {
  return {errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
          fmt::format("{} {}: {}", what, path, std::strerror(errno))};
}

Key newKey() {
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  JVMC_CHECK(key != nullptr);
  return key;
}

void addExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  JVMC_CHECK(extension != nullptr, nid);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

void setName(X509_NAME* name, int nid, const std::string& text) {
  JVMC_CHECK(X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, reinterpret_cast<const uint8_t*>(text.data()),
                                        int(text.size()), -1, 0) == 1);
}

/// With a random serial number, valid from now on, unsigned.
Certificate newCertificate(EVP_PKEY* key, const std::string& name, const char* unit, int days) {
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  uint8_t serial[16];
  JVMC_CHECK(RAND_bytes(serial, sizeof serial) == 1);
  serial[0] &= 0x7F;  // positive
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kClockSkewSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days * kSecondsPerDay);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  setName(subject, NID_organizationName, "jvmcluster");
  if (unit) setName(subject, NID_organizationalUnitName, unit);
  setName(subject, NID_commonName, name);
  return certificate;
}

/// Written aside and renamed into place.
Status writeFile(const std::string& path, const std::string& text, mode_t mode) {
  const std::string aside = fmt::format("{}.{}", path, getpid());
  const int fd = open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return ioError("cannot write", path);
  const bool written = write(fd, text.data(), text.size()) == ssize_t(text.size()) && fsync(fd) == 0;
  int error = errno;
  close(fd);
  if (written && rename(aside.c_str(), path.c_str()) == 0) return Unit{};
  if (written) error = errno;
  unlink(aside.c_str());
  errno = error;
  return ioError("cannot write", path);
}

std::string takeText(const Text& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, size_t(size));
}

Status writeCertificate(const std::string& path, X509* certificate) {
  Text bio(BIO_new(BIO_s_mem()), BIO_free);
  JVMC_CHECK(PEM_write_bio_X509(bio.get(), certificate) == 1);
  return writeFile(path, takeText(bio), 0644);
}

Status writeKey(const std::string& path, EVP_PKEY* key) {
  Text bio(BIO_new(BIO_s_mem()), BIO_free);
  JVMC_CHECK(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return writeFile(path, takeText(bio), 0600);
}

template <class T>
Result<T*> readPem(const std::string& path, T* (*parse)(BIO*, T**, pem_password_cb*, void*)) {
  Text bio(BIO_new_file(path.c_str(), "r"), BIO_free);
  const int error = errno;
  ERR_clear_error();
  if (!bio) {
    errno = error;
    return ioError("cannot read", path);
  }
  T* parsed = parse(bio.get(), nullptr, nullptr, nullptr);
  ERR_clear_error();
  if (!parsed) return Error{ErrorCode::kCorrupt, fmt::format("{} holds nothing of the kind expected", path)};
  return parsed;
}

Status makeFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), error);
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return ioError("cannot make", folder);
  return Unit{};
}

}  // namespace

CertificateFiles::CertificateFiles(const std::string& folder)
    : authority(folder + "/ca.crt"),
      authorityKey(folder + "/ca.key"),
      certificate(folder + "/identity.crt"),
      key(folder + "/identity.key") {}

Result<bool> ensureAuthority(const std::string& folder) {
  const CertificateFiles files(folder);
  if (std::filesystem::exists(files.authorityKey)) return false;
  if (std::filesystem::exists(files.authority))
    return Error{ErrorCode::kRefused,
                 fmt::format("{} is there, but not its key {}: certificates are issued where that lies",
                             files.authority, files.authorityKey)};
  if (auto made = makeFolder(folder); !made.ok()) return made.error();
  const Key key = newKey();
  const Certificate certificate = newCertificate(key.get(), "jvmcluster authority", nullptr, kAuthorityDays);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  addExtension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  addExtension(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  addExtension(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash");
  JVMC_CHECK(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
  if (auto written = writeKey(files.authorityKey, key.get()); !written.ok()) return written.error();
  if (auto written = writeCertificate(files.authority, certificate.get()); !written.ok()) return written.error();
  return true;
}

Status issueCertificate(const std::string& authorityFolder, const std::string& folder,
                        const CertificateRequest& request) {
  const CertificateFiles authority(authorityFolder), files(folder);
  auto issuerKey = readPem<EVP_PKEY>(authority.authorityKey, PEM_read_bio_PrivateKey);
  if (!issuerKey.ok()) return issuerKey.error();
  const Key signer(*issuerKey, EVP_PKEY_free);
  auto issuerCertificate = readPem<X509>(authority.authority, PEM_read_bio_X509);
  if (!issuerCertificate.ok()) return issuerCertificate.error();
  const Certificate issuer(*issuerCertificate, X509_free);

  if (auto made = makeFolder(folder); !made.ok()) return made.error();
  const Key key = newKey();
  const Certificate certificate =
      newCertificate(key.get(), request.name, request.isNode ? kNodeUnit : kUserUnit, request.days);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
  addExtension(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  addExtension(certificate.get(), issuer.get(), NID_key_usage, "critical,digitalSignature");
  addExtension(certificate.get(), issuer.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  addExtension(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid");
  JVMC_CHECK(X509_sign(certificate.get(), signer.get(), EVP_sha256()) > 0);
  if (auto written = writeKey(files.key, key.get()); !written.ok()) return written.error();
  if (auto written = writeCertificate(files.certificate, certificate.get()); !written.ok()) return written.error();
  if (std::filesystem::equivalent(std::filesystem::path(authorityFolder), std::filesystem::path(folder))) return Unit{};
  return writeCertificate(files.authority, issuer.get());
}

}  // namespace jvmc::cluster
