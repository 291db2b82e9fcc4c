// Completion of a tool's command line in bash, zsh and fish: commands, flags, the values of flags that have a fixed
// set, files, and names that a command of the tool can list (programs, threads, nodes).
#pragma once

#include <map>
#include <string>

#include "tools/common/manual/description.h"

namespace jvmc::tools {

/// Which command prints the words, one a line, that an argument ("PROGRAM") or a flag ("--program") may have.
using LiveWords = std::map<std::string, std::string>;

std::string bashCompletion(const CommandText& tool, const LiveWords& live);
std::string zshCompletion(const CommandText& tool, const LiveWords& live);
std::string fishCompletion(const CommandText& tool, const LiveWords& live);

}  // namespace jvmc::tools
