// Metrics for Prometheus, in its text format. One table (metrics.cpp) says what there is; docs/reference/metrics.md
// lists it for people, and a test compares the two.
#pragma once

#include <string>
#include <vector>

#include "cluster/dashboard/program_sample.h"

namespace jvmc::cluster {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

/// Of these programs, those of their nodes that are in the samples.
std::string metricsText(const std::vector<ProgramSample>& programs);

}  // namespace jvmc::cluster
