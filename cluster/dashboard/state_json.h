// What the dashboard's page is told: docs/internals/dashboard.md has the members.
#pragma once

#include <string>

#include "cluster/dashboard/recorder.h"

namespace jvmc::cluster {

inline constexpr size_t kThreadsShown = 1000;

/// The latest sample, and frames and events with numbers above `since`.
std::string stateJson(const Recorder& recorder, uint64_t since, int64_t nowUnixMillis);

}  // namespace jvmc::cluster
