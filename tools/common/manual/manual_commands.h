// The commands `help` and `completion`, which every tool has.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "tools/common/manual/completion.h"

namespace jvmc::tools {

/// Adds both to `app`, whose other commands must be there already. What was asked for becomes `action`, which gives the
/// exit code.
void addManualCommands(CLI::App& app, std::function<int()>& action, LiveWords live = {});

}  // namespace jvmc::tools
