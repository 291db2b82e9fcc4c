#include "cluster/launch/runtime_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace jvmc::cluster {

namespace {

std::string basePath() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  struct stat info;
  if (runtime && *runtime && stat(runtime, &info) == 0 && S_ISDIR(info.st_mode) && access(runtime, W_OK) == 0)
    return std::string(runtime) + "/jvmcluster";
  return fmt::format("/tmp/jvmcluster-{}", geteuid());
}

Error systemError(const std::string& what) {
  return {ErrorCode::kIo, fmt::format("{}: {}", what, std::strerror(errno))};
}

/// Makes the base folder, or checks that the one there is ours alone: in /tmp anybody could have made it.
Result<std::string> privateBase() {
  std::string base = basePath();
  if (mkdir(base.c_str(), 0700) != 0 && errno != EEXIST) return systemError("cannot make " + base);
  struct stat info;
  if (lstat(base.c_str(), &info) != 0) return systemError("cannot look at " + base);
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0)
    return Error{ErrorCode::kRefused, fmt::format("{} must be a folder of yours that nobody else may enter", base)};
  return base;
}

int openLocked(const std::string& path) {
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

}  // namespace

Result<RuntimeDir> RuntimeDir::create(const std::string& prefix) {
  auto base = privateBase();
  if (!base.ok()) return base.error();
  findRuntimeDirs();  // removes what killed processes left
  // Made under a name that nobody looks at and renamed when its lock is held.
  std::string hidden = fmt::format("{}/.{}-{}-XXXXXX", *base, prefix, getpid());
  if (!mkdtemp(hidden.data())) return systemError("cannot make a folder in " + *base);
  int lock = openLocked(hidden + "/lock");
  std::string path = *base + "/" + hidden.substr(base->size() + 2);
  if (lock < 0 || rename(hidden.c_str(), path.c_str()) != 0) return systemError("cannot make " + path);
  return RuntimeDir(path, lock);
}

RuntimeDir::RuntimeDir(RuntimeDir&& other) noexcept : path_(std::move(other.path_)), lockFd_(other.lockFd_) {
  other.path_.clear();
  other.lockFd_ = -1;
}

void RuntimeDir::remove() {
  if (path_.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (error) spdlog::warn("cannot remove {}: {}", path_, error.message());
  close(lockFd_);
  path_.clear();
  lockFd_ = -1;
}

std::vector<std::string> findRuntimeDirs() {
  std::vector<std::string> live;
  auto base = privateBase();
  if (!base.ok()) return live;
  std::error_code error;
  for (auto& entry : std::filesystem::directory_iterator(*base, error)) {
    std::string path = entry.path().string();
    if (entry.path().filename().string().starts_with(".")) continue;
    int lock = access((path + "/lock").c_str(), F_OK) == 0 ? openLocked(path + "/lock") : -1;
    if (lock < 0) {
      live.push_back(path);
      continue;
    }
    std::filesystem::remove_all(path, error);
    close(lock);
  }
  std::sort(live.begin(), live.end());
  return live;
}

}  // namespace jvmc::cluster
