#include "cluster/launch/children.h"

#include <signal.h>

namespace jvmc::cluster {

Result<kj::Own<VmChild>> VmChild::start(IoLoop& loop, const VmArguments& arguments, int listenFd) {
  std::vector<std::string> words{
      kVmProgram,   "--program",       arguments.program, "--node",          std::to_string(arguments.node),
      "--key-file", arguments.keyFile, "--log",           arguments.logLevel};
  if (arguments.jsonLog) words.push_back("--json-log");
  auto pid = startVm(words, listenFd);
  if (!pid.ok()) return pid.error();
  return kj::heap<VmChild>(loop, *pid);
}

VmChild::VmChild(IoLoop& loop, pid_t pid)
    : firstPid_(pid), pid_(pid), status_(loop.io().unixEventPort.onChildExit(pid_).fork()) {}

VmChild::~VmChild() noexcept(false) {
  kill(SIGKILL);
}

void VmChild::kill(int signal) {
  KJ_IF_MAYBE (pid, pid_) ::kill(*pid, signal);
}

kj::Promise<std::string> VmChild::ended() {
  return status_.addBranch().then([](int status) { return describeExit(status); });
}

kj::Promise<void> waitForAll(IoLoop& loop, kj::ArrayPtr<kj::Own<VmChild>> children, kj::Duration patience) {
  auto waits = kj::heapArrayBuilder<kj::Promise<void>>(children.size());
  for (auto& child : children) {
    waits.add(loop.timer().timeoutAfter(patience, child->ended()).ignoreResult().catch_([&child](kj::Exception&&) {
      child->kill(SIGKILL);
      return child->ended().ignoreResult();
    }));
  }
  return kj::joinPromises(waits.finish());
}

}  // namespace jvmc::cluster
