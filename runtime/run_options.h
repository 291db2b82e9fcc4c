// Run options as people write them: shared by `irc run` and `jvmcluster run`.
#pragma once

#include <string_view>

#include "runtime/vm.h"

namespace jvmc::rt {

/// "capture:7,gc:13": comma-separated capture, migrate, gc, io, barrier, each with a count of at least 1. Empty: none.
Result<Zeal> parseZeal(std::string_view list);

/// "interp", "jit" or "auto".
Result<RunMode> parseMode(std::string_view name);
std::string_view modeName(RunMode mode);

/// "map,jitdump": what perf is told of compiled functions (NativeTools). Empty: nothing.
Result<NativeTools> parsePerf(std::string_view list);

/// "512M", "4G", "65536K" or bytes; at least 4 MiB.
Result<uint64_t> parseSize(std::string_view text);

/// What a run did, as a JSON object: options, captures, heap, code.
std::string statsToJson(Vm& vm);

}  // namespace jvmc::rt
