// Where running clusters of a user are found: one private folder each.
//
//   $XDG_RUNTIME_DIR/jvmcluster/  or  /tmp/jvmcluster-UID/      0700, ours
//       run-PID-xxxxxx/     a launcher: key (0600), lock (held while it lives), control.sock, node-N.sock
//       agent-PID-xxxxxx/   an agent: lock, control.sock
//
// A folder whose lock nobody holds was left by a killed process; whoever comes by removes it.
#pragma once

#include <string>
#include <vector>

#include "ir/support/result.h"

namespace jvmc::cluster {

/// A folder of one process. Removed with everything in it by the destructor, or by remove() in a hurry.
class RuntimeDir {
 public:
  /// `prefix`: "run" or "agent".
  static Result<RuntimeDir> create(const std::string& prefix);
  RuntimeDir(RuntimeDir&& other) noexcept;
  RuntimeDir& operator=(RuntimeDir&&) = delete;
  ~RuntimeDir() { remove(); }

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  void remove();

 private:
  RuntimeDir(std::string path, int lockFd) : path_(std::move(path)), lockFd_(lockFd) {}
  std::string path_;
  int lockFd_ = -1;
};

/// Folders of processes that live; abandoned ones are removed on the way. Oldest name first.
std::vector<std::string> findRuntimeDirs();

}  // namespace jvmc::cluster
