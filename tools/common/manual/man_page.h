// Man pages (section 1) of a command line: one for the tool, and one for each of its commands.
#pragma once

#include <string>
#include <string_view>

#include "tools/common/manual/description.h"

namespace jvmc::tools {

struct ManualEdition {
  std::string version;  ///< "jvmcluster 0.1.0"
  std::string date;     ///< "2026-11-23"
};

/// roff with the man macros. `tool` is the description of the whole program, `command` it or one of its commands.
std::string manPage(const CommandText& tool, const CommandText& command, const ManualEdition& edition);

/// "jvmcluster-run.1".
std::string manPageFile(const CommandText& command);

}  // namespace jvmc::tools
