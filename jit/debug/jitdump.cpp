#include "jit/debug/jitdump.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

namespace jvmc::jit {

namespace {

struct Header {
  uint32_t magic = 0x4A695444;
  uint32_t version = 1;
  uint32_t bytes = sizeof(Header);
  uint32_t machine;
  uint32_t padding = 0;
  uint32_t pid;
  uint64_t timestamp;
  uint64_t flags = 0;
};
static_assert(sizeof(Header) == 40);

enum RecordId : uint32_t { kLoad = 0, kClose = 3 };

struct Prefix {
  uint32_t id;
  uint32_t bytes;  ///< of the whole record
  uint64_t timestamp;
};
static_assert(sizeof(Prefix) == 16);

struct Load {
  Prefix prefix;
  uint32_t pid, tid;
  uint64_t virtualAddress, address, codeBytes, number;
};
static_assert(sizeof(Load) == 56);

#if defined(__x86_64__)
constexpr uint32_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kMachine = EM_AARCH64;
#else
constexpr uint32_t kMachine = EM_NONE;
#endif

/// The clock of `perf record -k 1` (CLOCK_MONOTONIC), nanoseconds.
uint64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return uint64_t(time.tv_sec) * 1'000'000'000 + uint64_t(time.tv_nsec);
}

}  // namespace

JitDump::JitDump() {
  const char* folder = std::getenv("JITDUMPDIR");
  const std::string path = fmt::format("{}/jit-{}.dump", folder && *folder ? folder : "/tmp", ::getpid());
  ::unlink(path.c_str());  // of an earlier process with this number; in /tmp nobody's link may be followed
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return;
  file_ = ::fdopen(fd, "wb");
  if (!file_) {
    ::close(fd);
    return;
  }
  Header header{.machine = kMachine, .pid = uint32_t(::getpid()), .timestamp = now()};
  write(&header, sizeof header);
  std::fflush(file_);
  marker_ = ::mmap(nullptr, size_t(::sysconf(_SC_PAGESIZE)), PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
}

JitDump::~JitDump() {
  if (!file_) return;
  Prefix close{kClose, sizeof close, now()};
  write(&close, sizeof close);
  std::fclose(file_);
  if (marker_ != MAP_FAILED) ::munmap(marker_, size_t(::sysconf(_SC_PAGESIZE)));
}

void JitDump::add(uint64_t address, std::string_view code, std::string_view name) {
  if (!file_ || code.empty()) return;
  std::scoped_lock lock(mutex_);
  Load load{{kLoad, uint32_t(sizeof(Load) + name.size() + 1 + code.size()), now()},
            uint32_t(::getpid()),
            uint32_t(::gettid()),
            address,
            address,
            code.size(),
            number_++};
  write(&load, sizeof load);
  write(name.data(), name.size());
  write("", 1);
  write(code.data(), code.size());
  std::fflush(file_);
}

void JitDump::write(const void* bytes, size_t size) {
  (void)!std::fwrite(bytes, 1, size, file_);  // a full disk costs names, not the program
}

}  // namespace jvmc::jit
