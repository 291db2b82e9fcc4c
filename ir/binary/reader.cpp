// Opening, and the BodySource that decodes bodies on first use. What turns message parts into our structures, with
// every index checked, is decoder.cpp.
#include "ir/binary/reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ir/binary/decoder.h"
#include "ir/binary/error_bridge.h"
#include "ir/binary/format.h"
#include "ir/binary/hash.h"
#include "ir/verifier.h"

namespace jvmc::ir {
namespace {

/// The bytes of a module file: a private mapping or a copy. Always aligned to 8.
class Bytes {
 public:
  Bytes() = default;
  Bytes(Bytes&& other) noexcept { swap(other); }
  Bytes& operator=(Bytes&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Bytes() {
    if (mapped_ != nullptr) ::munmap(mapped_, size_);
  }

  static Bytes copyOf(std::span<const uint8_t> from) {
    Bytes bytes;
    bytes.size_ = from.size();
    bytes.words_.resize((from.size() + 7) / 8);
    if (!from.empty()) std::memcpy(bytes.words_.data(), from.data(), from.size());
    return bytes;
  }

  static Result<Bytes> mapFile(const std::string& path) {
    auto failed = [&] {
      return Error{ErrorCode::kIo, fmt::format("cannot read '{}': {}", path, std::strerror(errno))};
    };
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed();
    struct stat info;
    Bytes bytes;
    if (::fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
      if (S_ISDIR(info.st_mode)) errno = EISDIR;
      ::close(fd);
      return failed();
    }
    bytes.size_ = size_t(info.st_size);
    if (bytes.size_ != 0) {
      void* at = ::mmap(nullptr, bytes.size_, PROT_READ, MAP_PRIVATE, fd, 0);
      if (at != MAP_FAILED) bytes.mapped_ = at;
    }
    bool ok = bytes.size_ == 0 || bytes.mapped_ != nullptr;
    ::close(fd);
    if (!ok) return failed();
    return bytes;
  }

  std::span<const uint8_t> all() const {
    const void* start = mapped_ != nullptr ? mapped_ : words_.data();
    return {static_cast<const uint8_t*>(start), size_};
  }

 private:
  void swap(Bytes& other) {
    std::swap(mapped_, other.mapped_);
    std::swap(size_, other.size_);
    words_.swap(other.words_);
  }

  void* mapped_ = nullptr;
  size_t size_ = 0;
  std::vector<uint64_t> words_;
};

/// Owns the bytes; stateless otherwise, so that any number of threads may load.
class StoredBodies final : public BodySource {
 public:
  StoredBodies(const Module& module, Bytes bytes) : module_(module), bytes_(std::move(bytes)) {}

  std::span<const uint8_t> content() const { return bytes_.all().subspan(kHeaderBytes); }
  DecodeMaps& maps() { return maps_; }

  Result<FunctionBody> load(FunctionId function) override {
    auto body = catchingCorruption([&] { return decodeBody(module_, maps_, content(), function); });
    if (body.ok() && hashBody(module_, function, *body) != maps_.hashes[function.index()])
      body = Error{ErrorCode::kCorrupt, "its content does not have the hash that the module file names"};
    if (!body.ok()) return std::move(body).error().withContext(fmt::format("function '@{}'", module_[function].name));
    return body;
  }

  FunctionHash hash(FunctionId function) override { return maps_.hashes[function.index()]; }

 private:
  const Module& module_;
  Bytes bytes_;
  DecodeMaps maps_;
};

Result<std::unique_ptr<Module>> open(Bytes bytes) {
  auto all = bytes.all();
  auto expected = checkHeader(all.first(std::min(all.size(), kHeaderBytes)), all.size());
  if (!expected.ok()) return expected.error();
  if (hashContent(all.subspan(kHeaderBytes)) != *expected)
    return Error{ErrorCode::kCorrupt, "the module file is corrupt: its content does not have the hash in its header"};

  auto module = std::make_unique<Module>();
  auto source = std::make_unique<StoredBodies>(*module, std::move(bytes));
  Status decoded = catchingCorruption([&] { return decodeDeclarations(*module, source->maps(), source->content()); });
  if (!decoded.ok()) return decoded.error();
  if (auto errors = verifyDeclarations(*module, 1); !errors.empty())
    return Error{ErrorCode::kInvalidInput, "the module is not valid: " + errors[0].message};
  module->setBodySource(std::move(source));
  return module;
}

}  // namespace

Result<std::unique_ptr<Module>> openModule(const std::string& path) {
  auto bytes = Bytes::mapFile(path);
  if (!bytes.ok()) return bytes.error();
  auto module = open(*std::move(bytes));
  if (!module.ok()) return std::move(module).error().withContext(path);
  return module;
}

Result<std::unique_ptr<Module>> openModuleBytes(std::span<const uint8_t> bytes) {
  return open(Bytes::copyOf(bytes));
}

Result<ModuleHash> readModuleHash(const std::string& path) {
  auto bytes = Bytes::mapFile(path);
  if (!bytes.ok()) return bytes.error();
  auto hash = readModuleHashBytes(bytes->all());
  if (!hash.ok()) return std::move(hash).error().withContext(path);
  return hash;
}

Result<ModuleHash> readModuleHashBytes(std::span<const uint8_t> bytes) {
  return checkHeader(bytes.first(std::min(bytes.size(), kHeaderBytes)), bytes.size());
}

}  // namespace jvmc::ir
