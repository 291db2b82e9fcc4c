// Log lines of the processes of a cluster: who, when on the machine's monotonic clock (so that lines of different
// processes on one machine can be put in order), level, text. On stderr only.
#pragma once

#include <string>

namespace jvmc::cluster {

struct LogOptions {
  std::string who;             ///< "launcher", "agent", "node 2"
  std::string level = "warn";  ///< error, warn, info, debug, trace, off; $JVMC_LOG wins ("debug", "info,...")
  bool json = false;           ///< one JSON object a line
};

/// Sets the process's default logger. Call once, before threads start. An unknown level name counts as warn.
void setupLogging(const LogOptions& options);

}  // namespace jvmc::cluster
