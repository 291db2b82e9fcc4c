#include "cluster/net/key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace jvmc::cluster {

namespace {

Error ioError(const std::string& what, const std::string& path) {
  return {errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
          fmt::format("{} {}: {}", what, path, std::strerror(errno))};
}

struct OpenFile {
  int fd;
  ~OpenFile() {
    if (fd >= 0) close(fd);
  }
};

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Nonce randomNonce() {
  Nonce nonce;
  JVMC_CHECK(RAND_bytes(nonce.data(), int(nonce.size())) == 1);
  return nonce;
}

ClusterKey ClusterKey::random() {
  ClusterKey key;
  JVMC_CHECK(RAND_bytes(key.bytes_.data(), int(key.bytes_.size())) == 1);
  return key;
}

Result<ClusterKey> ClusterKey::read(const std::string& path) {
  OpenFile file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return ioError("cannot read the cluster key", path);
  struct stat info;
  if (fstat(file.fd, &info) != 0) return ioError("cannot read the cluster key", path);
  if (info.st_uid != geteuid() || (info.st_mode & 077) != 0)
    return Error{ErrorCode::kRefused,
                 fmt::format("cluster key {} must belong to you and be readable by you only (chmod 600)", path)};
  char text[80];
  ssize_t count = ::read(file.fd, text, sizeof text);
  if (count < 0) return ioError("cannot read the cluster key", path);
  while (count > 0 && std::isspace(uint8_t(text[count - 1]))) --count;
  ClusterKey key;
  if (size_t(count) != 2 * key.bytes_.size())
    return Error{ErrorCode::kCorrupt, fmt::format("cluster key {} does not hold 64 hexadecimal digits", path)};
  for (size_t i = 0; i < key.bytes_.size(); ++i) {
    int high = hexDigit(text[2 * i]), low = hexDigit(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return Error{ErrorCode::kCorrupt, fmt::format("cluster key {} does not hold 64 hexadecimal digits", path)};
    key.bytes_[i] = uint8_t(high << 4 | low);
  }
  return key;
}

Status ClusterKey::write(const std::string& path) const {
  // Written aside (mkstemp: mode 0600) and linked into place, so that nobody ever reads half a key.
  std::string aside = path + ".XXXXXX";
  OpenFile file{mkostemp(aside.data(), O_CLOEXEC)};
  if (file.fd < 0) return ioError("cannot write the cluster key", path);
  std::string text;
  for (uint8_t byte : bytes_) text += fmt::format("{:02x}", byte);
  text += '\n';
  bool written = ::write(file.fd, text.data(), text.size()) == ssize_t(text.size());
  bool linked = written && link(aside.c_str(), path.c_str()) == 0;
  int error = errno;
  unlink(aside.c_str());
  if (linked) return Unit{};
  errno = error;
  return ioError("cannot write the cluster key", path);
}

Result<ClusterKey> ClusterKey::readOrCreate(const std::string& path) {
  auto existing = read(path);
  if (existing.ok() || existing.error().code != ErrorCode::kNotFound) return existing;
  auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::exists(folder)) {
    std::error_code error;
    std::filesystem::create_directories(folder.parent_path(), error);
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return ioError("cannot make", folder.string());
  }
  ClusterKey key = random();
  auto written = key.write(path);
  if (written.ok()) return key;
  return errno == EEXIST ? read(path) : Result<ClusterKey>(written.error());
}

Proof ClusterKey::prove(std::string_view label, std::initializer_list<std::span<const uint8_t>> parts) const {
  std::vector<uint8_t> text;
  auto append = [&](const void* data, size_t size) {
    uint64_t length = size;
    for (int i = 0; i < 8; ++i) text.push_back(uint8_t(length >> (8 * i)));
    auto* bytes = static_cast<const uint8_t*>(data);
    text.insert(text.end(), bytes, bytes + size);
  };
  append(label.data(), label.size());
  for (auto part : parts) append(part.data(), part.size());
  Proof proof;
  unsigned size = 0;
  JVMC_CHECK(HMAC(EVP_sha256(), bytes_.data(), int(bytes_.size()), text.data(), text.size(), proof.data(), &size));
  JVMC_CHECK(size == proof.size(), size);
  return proof;
}

bool sameProof(const Proof& expected, std::span<const uint8_t> given) {
  return given.size() == expected.size() && CRYPTO_memcmp(expected.data(), given.data(), expected.size()) == 0;
}

std::string defaultKeyPath() {
  if (const char* path = std::getenv("JVMC_KEY_FILE"); path && *path) return path;
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config && *config)
    return std::string(config) + "/jvmcluster/key";
  const char* home = std::getenv("HOME");
  return std::string(home ? home : "/") + "/.config/jvmcluster/key";
}

}  // namespace jvmc::cluster
