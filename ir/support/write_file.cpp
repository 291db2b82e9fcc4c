#include "ir/support/write_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace jvmc {

namespace {

Error ioError(const std::string& path, int error) {
  return {ErrorCode::kIo, fmt::format("cannot write '{}': {}", path, std::strerror(error))};
}

/// Writes all bytes and closes `fd`; 0 or an errno.
int writeAndClose(int fd, std::string_view bytes, bool sync) {
  int error = 0;
  while (!bytes.empty() && error == 0) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n >= 0)
      bytes.remove_prefix(size_t(n));
    else if (errno != EINTR)
      error = errno;
  }
  if (sync && error == 0 && ::fsync(fd) != 0) error = errno;
  if (::close(fd) != 0 && error == 0) error = errno;
  return error;
}

/// Where the name leads, links followed; the name itself if there is nothing yet.
std::string resolved(const std::string& path) {
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? real.get() : path;
}

}  // namespace

Status writeFile(const std::string& path, std::string_view bytes) {
  struct stat old;
  bool exists = ::stat(path.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) {
    int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    int error = fd < 0 ? errno : writeAndClose(fd, bytes, false);
    return error ? Status(ioError(path, error)) : Unit{};
  }
  // A file that may not be written is not to be replaced either.
  if (exists && ::access(path.c_str(), W_OK) != 0) return ioError(path, errno);
  std::string target = resolved(path);
  std::string temporary = fmt::format("{}.tmp.{}", target, ::getpid());
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CLOEXEC | O_CREAT | O_TRUNC, 0666);
  if (fd < 0) return ioError(path, errno);
  if (exists) (void)!::fchmod(fd, old.st_mode & 07777);
  int error = writeAndClose(fd, bytes, true);
  if (error == 0 && ::rename(temporary.c_str(), target.c_str()) != 0) error = errno;
  if (error == 0) return Unit{};
  ::unlink(temporary.c_str());
  return ioError(path, error);
}

}  // namespace jvmc
