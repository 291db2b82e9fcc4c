// A VM process: one node of one program. States and protocol: schema/launch.capnp.
//
//   main thread    waits for work: builds the VM, answers questions about it, stops it
//   I/O loop       launcher, heartbeats, outside calls (KJ)
//   message loop   everything between nodes: objects, threads, balancer
//   the VM's own   workers, compiler, collector
#pragma once

#include <string>

#include "cluster/launch/child.h"
#include "cluster/launch/program_node.h"

namespace jvmc::cluster {

struct VmProcessOptions {
  int listenFd = kInheritedListenFd;
  std::string program;  ///< id
  uint32_t node = 0;
  std::string keyFile;
};

/// Serves until the program or its launcher is gone; the process's exit code (0, or 125 when it could not serve).
int runVmProcess(const VmProcessOptions& options, const MakeProgramNode& makeNode);

}  // namespace jvmc::cluster
