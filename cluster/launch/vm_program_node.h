// The real ProgramNode: a Vm on this node. A program on one node runs with everything at home; on several it has the
// services of cluster/node_services.h.
#pragma once

#include "cluster/launch/program_node.h"

namespace jvmc::cluster {

/// `makeCode` makes the compiler (jit/ is not seen from here).
MakeProgramNode vmProgramNodes(rt::MakeCodeProvider makeCode);

}  // namespace jvmc::cluster
