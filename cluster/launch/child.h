// Starts VM processes: this same program, in a process group of its own, with nothing inherited but stderr and the
// listening socket. The kernel kills it when the thread that started it is gone.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "ir/support/result.h"

namespace jvmc::cluster {

/// The descriptor at which a VM process finds its listening socket.
inline constexpr int kInheritedListenFd = 3;

/// Runs this program's executable with `arguments`. `listenFd` becomes kInheritedListenFd; the caller keeps its own.
/// Call from a thread that lives as long as the children should.
Result<pid_t> startSelf(const std::vector<std::string>& arguments, int listenFd);

/// "exited with code 3", "was killed by signal 9 (Killed)".
std::string describeExit(int waitStatus);

}  // namespace jvmc::cluster
