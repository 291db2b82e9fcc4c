// What --stats writes: every node's part, and all of them added up.
#pragma once

#include <string>

#include "cluster/launch/program_run.h"

namespace jvmc::tool {

/// Writes {schemaVersion, program, exitCode, wallNanos, nodes: [...], total: {...}} to a file, or to standard output if
/// `path` is "-". In `total` numbers are sums, but for names that end in Max, p50 or p99: there the largest counts. A
/// node that could not report any more is null.
Status writeStats(const std::string& path, const std::string& program, const cluster::RunOutcome& outcome);

}  // namespace jvmc::tool
