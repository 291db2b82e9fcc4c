// Starts VM processes: the program that lies beside this one, in a process group of its own, with nothing inherited but
// stderr and the listening socket. The kernel kills it when the thread that started it is gone.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "ir/support/result.h"

namespace jvmc::cluster {

/// The descriptor at which a VM process finds its listening socket.
inline constexpr int kInheritedListenFd = 3;

inline constexpr const char* kVmProgram = "jvmcluster-vm";

/// Runs kVmProgram with `arguments`, the first its own name. `listenFd` becomes kInheritedListenFd; the caller keeps
/// its own. Call from a thread that lives as long as the children should. Fails if the program is not beside this one.
Result<pid_t> startVm(const std::vector<std::string>& arguments, int listenFd);

/// "exited with code 3", "was killed by signal 9 (Killed)".
std::string describeExit(int waitStatus);

}  // namespace jvmc::cluster
