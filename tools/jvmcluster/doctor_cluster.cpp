#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "ir/support/version.h"
#include "tools/jvmcluster/doctor.h"

namespace jvmc::tool {

namespace {

constexpr double kSkewWarning = 1, kSkewFailure = 60;  // seconds: logs; certificates
constexpr uint64_t kFilesGood = 1024;

Finding examineVersion(const cluster::AgentView& agent) {
  Finding finding{"version", Health::Ok, fmt::format("agent {} has {}", agent.address, agent.version), ""};
  if (agent.version == kVersion) return finding;
  finding.health = Health::Failure;
  finding.found += fmt::format(", this is {}", kVersion);
  finding.remedy = "install the same version on every machine of the cluster";
  return finding;
}

/// Its clock was read at some moment between question and answer: what is beyond both is a difference.
Finding examineClock(const cluster::AgentView& agent, double asked, double answered) {
  const double clock = double(agent.unixNanos) / 1e9;
  const double skew = clock < asked ? clock - asked : clock > answered ? clock - answered : 0;
  Finding finding{"clock", Health::Ok,
                  fmt::format("agent {} is {:.3f} s {} (+-{:.3f} s)", agent.address, std::abs(skew),
                              skew < 0 ? "behind" : "ahead", answered - asked),
                  ""};
  if (skew == 0) finding.found = fmt::format("agent {} agrees within {:.3f} s", agent.address, answered - asked);
  if (std::abs(skew) < kSkewWarning) return finding;
  finding.health = std::abs(skew) < kSkewFailure ? Health::Warning : Health::Failure;
  finding.remedy = "let both machines follow a time server (systemd-timesyncd, chrony): logs and certificates need it";
  return finding;
}

}  // namespace

std::vector<Finding> examineAgents(const std::vector<cluster::AgentView>& agents,
                                   std::chrono::system_clock::time_point asked,
                                   std::chrono::system_clock::time_point answered) {
  auto seconds = [](auto time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); };
  std::vector<Finding> findings;
  for (const cluster::AgentView& agent : agents) {
    if (agent.unixNanos == 0) {
      findings.push_back(
          {"agent", Health::Failure,
           agent.version.empty() && agent.pid
               ? fmt::format("agent {} is of a version that tells neither version nor clock", agent.address)
               : fmt::format("agent {} does not answer", agent.address),
           "see its log; end it, and start it again with --join"});
      continue;
    }
    findings.push_back(examineVersion(agent));
    findings.push_back(examineClock(agent, seconds(asked), seconds(answered)));
    if (agent.filesMax < kFilesGood)
      findings.push_back({"open-files", Health::Warning,
                          fmt::format("agent {} may open {}", agent.address, agent.filesMax),
                          fmt::format("ulimit -n {} before it is started", kFilesGood)});
  }
  return findings;
}

}  // namespace jvmc::tool
