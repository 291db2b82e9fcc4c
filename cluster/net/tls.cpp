#include "cluster/net/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cluster/net/certificates.h"

namespace jvmc::cluster {

namespace {

/// What OpenSSL has to say, and nothing of it stays for the next caller.
std::string sslWords() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  return reason ? reason : "no reason given";
}

std::string textEntry(const X509_NAME* name, int nid) {
  char text[256] = "";
  X509_NAME_get_text_by_NID(const_cast<X509_NAME*>(name), nid, text, sizeof text);
  return text;
}

PeerCertificate describe(const X509* certificate) {
  if (!certificate) return {};
  const X509_NAME* subject = X509_get_subject_name(certificate);
  return {textEntry(subject, NID_commonName), textEntry(subject, NID_organizationalUnitName) == kNodeUnit};
}

Error refused(std::string why) {
  return {ErrorCode::kRefused, std::move(why)};
}

/// A certificate that others would not accept is better refused here.
Status checkOwn(SSL_CTX* context, const std::string& path) {
  X509* own = SSL_CTX_get0_certificate(context);
  std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> check(X509_STORE_CTX_new(), X509_STORE_CTX_free);
  X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context), own, nullptr);
  if (X509_verify_cert(check.get()) == 1) return Unit{};
  const int error = X509_STORE_CTX_get_error(check.get());
  ERR_clear_error();
  return refused(fmt::format("certificate {} cannot be used: {}", path, X509_verify_cert_error_string(error)));
}

}  // namespace

Result<std::shared_ptr<const TlsIdentity>> TlsIdentity::read(const std::string& folder) {
  const CertificateFiles files(folder);
  struct stat info;
  if (stat(files.key.c_str(), &info) != 0)
    return Error{errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                 fmt::format("cannot read {}: {}", files.key, std::strerror(errno))};
  if (info.st_uid != geteuid() || (info.st_mode & 077) != 0)
    return refused(fmt::format("{} must belong to you and be readable by you only (chmod 600)", files.key));

  signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets without the flag against it
  std::shared_ptr<TlsIdentity> identity(new TlsIdentity(SSL_CTX_new(TLS_method())));
  SSL_CTX* context = identity->context_;
  JVMC_CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_load_verify_locations(context, files.authority.c_str(), nullptr) != 1)
    return refused(fmt::format("cannot use {}: {}", files.authority, sslWords()));
  if (SSL_CTX_use_certificate_file(context, files.certificate.c_str(), SSL_FILETYPE_PEM) != 1)
    return refused(fmt::format("cannot use {}: {}", files.certificate, sslWords()));
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1)
    return refused(fmt::format("cannot use {}: {}", files.key, sslWords()));
  if (auto sound = checkOwn(context, files.certificate); !sound.ok()) return sound.error();
  identity->own_ = describe(SSL_CTX_get0_certificate(context));
  return std::shared_ptr<const TlsIdentity>(std::move(identity));
}

TlsIdentity::~TlsIdentity() {
  SSL_CTX_free(context_);
}

// ---------------------------------------------------------------- session

TlsSession::TlsSession(const TlsIdentity& identity, int fd, Side side) : ssl_(SSL_new(identity.context_)) {
  JVMC_CHECK(ssl_ != nullptr);
  SSL_set_fd(ssl_, fd);
  side == Side::Caller ? SSL_set_connect_state(ssl_) : SSL_set_accept_state(ssl_);
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

TlsSession::Progress TlsSession::handshake() {
  std::lock_guard lock(mutex_);
  ERR_clear_error();
  return progressOf(SSL_do_handshake(ssl_));
}

TlsSession::Progress TlsSession::read(std::span<uint8_t> into) {
  std::lock_guard lock(mutex_);
  ERR_clear_error();
  return progressOf(SSL_read(ssl_, into.data(), int(std::min<size_t>(into.size(), INT_MAX))));
}

TlsSession::Progress TlsSession::write(std::span<const uint8_t> bytes) {
  std::lock_guard lock(mutex_);
  ERR_clear_error();
  return progressOf(SSL_write(ssl_, bytes.data(), int(std::min<size_t>(bytes.size(), INT_MAX))));
}

bool TlsSession::holdsBytes() const {
  std::lock_guard lock(mutex_);
  return SSL_pending(ssl_) > 0;
}

void TlsSession::moveTo(int fd) {
  std::lock_guard lock(mutex_);
  SSL_set_fd(ssl_, fd);
}

PeerCertificate TlsSession::peer() const {
  std::lock_guard lock(mutex_);
  return describe(SSL_get0_peer_certificate(ssl_));
}

TlsSession::Progress TlsSession::progressOf(int result) {
  if (result > 0) return {State::Done, size_t(result)};
  const int systemError = errno;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return {State::WantsRead};
    case SSL_ERROR_WANT_WRITE:
      return {State::WantsWrite};
    case SSL_ERROR_ZERO_RETURN:
      return {State::Closed};
    case SSL_ERROR_SYSCALL:
      if (ERR_peek_error() == 0 && (systemError == 0 || systemError == EPIPE || systemError == ECONNRESET))
        return {State::Closed};
      return {State::Failed, 0, std::strerror(systemError)};
    default:
      break;
  }
  const unsigned long code = ERR_peek_last_error();
  if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    ERR_clear_error();
    return {State::Closed};
  }
  if (const long verified = SSL_get_verify_result(ssl_); verified != X509_V_OK) {
    ERR_clear_error();
    return {State::Failed, 0,
            fmt::format("its certificate is not accepted: {}", X509_verify_cert_error_string(verified))};
  }
  switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
      ERR_clear_error();
      return {State::Failed, 0, "the other side does not encrypt, or does not speak this protocol"};
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      ERR_clear_error();
      return {State::Failed, 0, "it has no certificate"};
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      return {State::Failed, 0, fmt::format("the other side does not accept our certificate ({})", sslWords())};
    default:
      return {State::Failed, 0, fmt::format("encryption failed: {}", sslWords())};
  }
}

// ---------------------------------------------------------------- credentials

namespace {

Result<Credentials> withIdentity(Result<ClusterKey> key, const std::string& keyFile) {
  if (!key.ok()) return key.error();
  Credentials credentials{*key};
  auto identity = TlsIdentity::read(std::filesystem::path(keyFile).parent_path().string());
  if (identity.ok())
    credentials.identity = std::move(*identity);
  else if (identity.error().code != ErrorCode::kNotFound)
    return identity.error();
  return credentials;
}

}  // namespace

Result<Credentials> Credentials::read(const std::string& keyFile) {
  return withIdentity(ClusterKey::read(keyFile), keyFile);
}

Result<Credentials> Credentials::readOrCreateKey(const std::string& keyFile) {
  return withIdentity(ClusterKey::readOrCreate(keyFile), keyFile);
}

}  // namespace jvmc::cluster
