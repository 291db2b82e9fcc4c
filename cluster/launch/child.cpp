#include "cluster/launch/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace jvmc::cluster {

namespace {

/// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void becomeChild(pid_t parent, const char* program, char* const* arguments, int listenFd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(125);  // it died before we asked
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGUSR1}) ::signal(signal, SIG_DFL);
  int nowhere = open("/dev/null", O_RDWR);
  dup2(nowhere, 0);
  dup2(2, 1);  // a VM process has nothing to say on stdout: the launcher speaks for the program
  // The listening socket may have any number, kInheritedListenFd included; dup2 clears close-on-exec, a self-dup does
  // not.
  if (listenFd == kInheritedListenFd) {
    fcntl(listenFd, F_SETFD, 0);
  } else {
    dup2(listenFd, kInheritedListenFd);
  }
  close_range(kInheritedListenFd + 1, ~0u, 0);
  execv(program, arguments);
  _exit(126);
}

}  // namespace

Result<pid_t> startVm(const std::vector<std::string>& arguments, int listenFd) {
  std::error_code error;
  std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error).replace_filename(kVmProgram);
  if (error || access(program.c_str(), X_OK) != 0)
    return Error{ErrorCode::kNotFound, fmt::format("cannot start a node: there is no program '{}'", program.string())};
  std::vector<char*> pointers;
  for (auto& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) becomeChild(parent, program.c_str(), pointers.data(), listenFd);
  if (child < 0) return Error{ErrorCode::kIo, fmt::format("cannot start a process: {}", std::strerror(errno))};
  return child;
}

std::string describeExit(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("was killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("exited with code {}", WEXITSTATUS(status));
}

}  // namespace jvmc::cluster
