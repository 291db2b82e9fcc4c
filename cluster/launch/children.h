// The VM processes that this process has started: what they are told, how they end, and that none is left behind.
#pragma once

#include <kj/async-unix.h>

#include <string>
#include <vector>

#include "cluster/launch/child.h"
#include "cluster/net/io_loop.h"

namespace jvmc::cluster {

/// What a VM process is told on its command line.
struct VmArguments {
  std::string program;
  uint32_t node = 0;
  std::string keyFile;
  std::string logLevel = "warn";
  bool jsonLog = false;
};

/// One child. Lives on the loop of the process's main thread, which must have called UnixEventPort::captureChildExit().
/// The destructor kills it.
class VmChild {
 public:
  static Result<kj::Own<VmChild>> start(IoLoop& loop, const VmArguments& arguments, int listenFd);
  explicit VmChild(IoLoop& loop, pid_t pid);
  ~VmChild() noexcept(false);
  VmChild(const VmChild&) = delete;

  uint32_t pid() const { return uint32_t(firstPid_); }
  bool running() const { return pid_ != nullptr; }
  void kill(int signal);
  /// How it ended, in words. May be asked for several times.
  kj::Promise<std::string> ended();

 private:
  pid_t firstPid_;
  kj::Maybe<pid_t> pid_;  // null once the process has been waited for
  kj::ForkedPromise<int> status_;
};

/// Waits until all have ended, and kills those that have not after `patience`.
kj::Promise<void> waitForAll(IoLoop& loop, kj::ArrayPtr<kj::Own<VmChild>> children, kj::Duration patience);

}  // namespace jvmc::cluster
