// cluster_simulator: runs seeds, and says which fail and how to see that again.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/simulator/run.h"
#include "tests/simulator/scale.h"

namespace {

using namespace jvmc;
using namespace jvmc::sim;

constexpr const char* kUsage =
    R"(Runs clusters that exist only in this process, made from seeds, and checks all that happens in them.

usage: cluster_simulator --scale [--seed N] [--seeds K] [--nodes N] [--threads N]
       cluster_simulator [--seed N] [--seeds K] [--fault NAME] [--expect-failure] [--verbose] [--twice] [--trace]
                         [--rounds]

  --seed N          the first seed (1)
  --seeds K         how many, one after another (1)
  --fault NAME      leaves out a rule of the protocol, as cluster/objects/faults.h names it
  --expect-failure  the exit code is 0 if, and only if, some seed fails; the first one ends the runs
  --rounds          threads make objects and forget them, and the nodes collect them together
  --verbose         a line for each seed; and the last events even if all was well
  --scale           membership, directory and balancer alone, of 1000 nodes with 100,000 threads
  --twice           runs each seed twice; it fails if the runs differ
  --trace           prints all that happens
  --help            this text

Exit code: 0 if no seed fails, 1 if one does, 2 if the arguments make no sense.
docs/internals/simulator.md says what is simulated and what is real.
)";

constexpr std::pair<const char*, cluster::Fault> kFaults[] = {
    {"StampAtReply", cluster::Fault::StampAtReply},
    {"NoAckWait", cluster::Fault::NoAckWait},
    {"RefreshOverwrites", cluster::Fault::RefreshOverwrites},
    {"FirstFlusherDropsTwin", cluster::Fault::FirstFlusherDropsTwin},
    {"HomeClockNotBumped", cluster::Fault::HomeClockNotBumped},
    {"WideDiff", cluster::Fault::WideDiff},
    {"FetchOverlapsFlush", cluster::Fault::FetchOverlapsFlush},
    {"IgnoreForeignFlush", cluster::Fault::IgnoreForeignFlush},
    {"HoldNothing", cluster::Fault::HoldNothing},
    {"MoveWithoutPrepare", cluster::Fault::MoveWithoutPrepare},
    {"ArrivalDoesNotTick", cluster::Fault::ArrivalDoesNotTick},
    {"DeferredWritesOvertaken", cluster::Fault::DeferredWritesOvertaken},
    {"LeavesUncounted", cluster::Fault::LeavesUncounted},
    {"LoanAwaitsOwner", cluster::Fault::LoanAwaitsOwner},
    {"LoanDoesNotTick", cluster::Fault::LoanDoesNotTick},
    {"NeighboursUnchecked", cluster::Fault::NeighboursUnchecked},
    {"AheadWithoutTransaction", cluster::Fault::AheadWithoutTransaction},
    {"BytewiseReferences", cluster::Fault::BytewiseReferences},
    {"FreezeWithoutFlush", cluster::Fault::FreezeWithoutFlush},
    {"CopiesStayBehind", cluster::Fault::CopiesStayBehind},
    {"FramesComeTwice", cluster::Fault::FramesComeTwice},
    {"UnusedNeverAges", cluster::Fault::UnusedNeverAges},
    {"RecallNotAwaited", cluster::Fault::RecallNotAwaited},
    {"LeaseOutlivesRecall", cluster::Fault::LeaseOutlivesRecall},
    {"LesseeForgotten", cluster::Fault::LesseeForgotten},
    {"OvertakenRecallLost", cluster::Fault::OvertakenRecallLost},
    {"SharedIsWritten", cluster::Fault::SharedIsWritten},
    {"FlushIgnoresLeases", cluster::Fault::FlushIgnoresLeases},
    {"BorrowersForgotten", cluster::Fault::BorrowersForgotten},
    {"ObjectLoanDoesNotTick", cluster::Fault::ObjectLoanDoesNotTick},
    {"ReturnNotSettled", cluster::Fault::ReturnNotSettled},
    {"GrantOwes", cluster::Fault::GrantOwes},
    {"CopiesOutliveTheDead", cluster::Fault::CopiesOutliveTheDead},
    {"ArrivalsTrusted", cluster::Fault::ArrivalsTrusted},
    {"SentIsForgotten", cluster::Fault::SentIsForgotten},
    {"OverwrittenForgotten", cluster::Fault::OverwrittenForgotten},
    {"BlocksLeaveInRounds", cluster::Fault::BlocksLeaveInRounds},
    {"MembersUnchecked", cluster::Fault::MembersUnchecked},
};

bool isFault(const std::string& name) {
  return std::any_of(std::begin(kFaults), std::end(kFaults), [&](const auto& fault) { return name == fault.first; });
}
cluster::Fault faultOf(const std::string& name) {
  for (const auto& [word, fault] : kFaults)
    if (name == word) return fault;
  return cluster::Fault::None;
}

struct Arguments {
  uint64_t seed = 1, seeds = 1;
  std::string fault;  ///< of kFaults; empty: none
  bool scales = false, twice = false, collects = false;
  uint64_t nodes = 1000, threads = 100'000;
  bool expectsFailure = false, verbose = false, traces = false, help = false, valid = true;
};

Arguments parse(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const auto number = [&]() -> uint64_t {
      char* end = nullptr;
      const uint64_t value = ++i < count ? std::strtoull(words[i], &end, 10) : 0;
      arguments.valid = arguments.valid && end && *end == 0 && end != words[i];
      return value;
    };
    if (word == "--seed")
      arguments.seed = number();
    else if (word == "--seeds")
      arguments.seeds = number();
    else if (word == "--fault")
      arguments.valid = ++i < count && isFault(arguments.fault = words[i]) && arguments.valid;
    else if (word == "--expect-failure")
      arguments.expectsFailure = true;
    else if (word == "--verbose")
      arguments.verbose = true;
    else if (word == "--scale")
      arguments.scales = true;
    else if (word == "--rounds")
      arguments.collects = true;
    else if (word == "--twice")
      arguments.twice = true;
    else if (word == "--nodes")
      arguments.nodes = number();
    else if (word == "--threads")
      arguments.threads = number();
    else if (word == "--trace")
      arguments.traces = true;
    else if (word == "--help")
      arguments.help = true;
    else
      arguments.valid = false;
  }
  return arguments;
}

double secondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

bool runsScale(const Arguments& arguments, uint64_t seed) {
  ScaleOptions options = ScaleOptions::fromSeed(seed);
  options.nodes = uint32_t(arguments.nodes);
  options.threads = uint32_t(arguments.threads);
  const auto begin = std::chrono::steady_clock::now();
  const ScaleOutcome outcome = runScale(options);
  fmt::print(
      "seed {}: {} | {} | imbalance {:.1f} % -> {:.1f} %, {} moves, {} letters, {} joined, {} left, {} events, {:.0f} "
      "ms simulated, fingerprint {:016x}, {:.1f} s\n",
      seed, options.describe(), outcome.programEnd, outcome.imbalanceBefore * 100, outcome.imbalanceAfter * 100,
      outcome.moves, outcome.letters, outcome.joined, outcome.left, outcome.events, double(outcome.nanos) / 1e6,
      outcome.fingerprint, secondsSince(begin));
  if (!outcome.violation.empty()) fmt::print("seed {} fails: {}\n", seed, outcome.violation);
  return outcome.violation.empty();
}

int scale(const Arguments& arguments) {
  bool isWell = true;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed)
    isWell = runsScale(arguments, seed) && isWell;
  return isWell ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  const Arguments arguments = parse(count, words);
  if (arguments.help || !arguments.valid) {
    std::fputs(kUsage, arguments.help ? stdout : stderr);
    return arguments.help ? 0 : 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a long run tells at once
  spdlog::set_level(spdlog::level::off);
  if (arguments.scales) return scale(arguments);
  Laboratory laboratory;
  const auto begin = std::chrono::steady_clock::now();
  uint64_t failures = 0, events = 0, rounds = 0;
  double said = 0;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
    Plan plan = Plan::fromSeed(seed, arguments.collects);
    plan.describes = arguments.verbose && arguments.seeds == 1;
    plan.traces = arguments.traces;
    plan.node.space.fault = faultOf(arguments.fault);
    // Leases and loans tick clocks and leave messages out, which hides what lacks elsewhere.
    const bool aboutLeases =
        plan.node.space.fault >= cluster::Fault::RecallNotAwaited && plan.node.space.fault <= cluster::Fault::GrantOwes;
    plan.node.space.leases = arguments.fault.empty() || aboutLeases;
    plan.net.takesRepeated = plan.node.space.fault == cluster::Fault::FramesComeTwice;
    Outcome outcome = laboratory.run(seed, plan);
    if (arguments.twice && laboratory.run(seed, plan).fingerprint != outcome.fingerprint)
      outcome.violation = "it is another run the second time";
    events += outcome.events;
    rounds += outcome.rounds;
    if (arguments.verbose)
      fmt::print(
          "seed {}: {} | {} | {} events, {:.1f} ms, {} moves, {} blocks moved, {} leased, {} recalls, {} fetches, {} "
          "joined, {} left, {} "
          "frames repeated, {} rounds, {} of {} made buried, fingerprint {:016x}\n",
          seed, plan.describe(), outcome.programEnd, outcome.events, double(outcome.nanos) / 1e6, outcome.moves,
          outcome.blockMoves, outcome.leased, outcome.recalls, outcome.fetches, outcome.joined, outcome.drained,
          outcome.repeated, outcome.rounds, outcome.buried, outcome.made, outcome.fingerprint);
    if (plan.describes) fmt::print("{}", outcome.tail);
    if (!outcome.violation.empty()) {
      ++failures;
      if (!plan.describes) fmt::print("{}", outcome.tail);
      fmt::print("seed {} fails: {}\nto see it again: {} --seed {}{}{}\n", seed, outcome.violation, words[0], seed,
                 arguments.collects ? " --rounds" : "", arguments.fault.empty() ? "" : " --fault " + arguments.fault);
      if (arguments.expectsFailure) break;
    }
    if (const double now = secondsSince(begin); now - said > 10) {
      said = now;
      fmt::print(stderr, "{} of {} seeds, {} failed, {:.0f} s\n", seed - arguments.seed + 1, arguments.seeds, failures,
                 now);
    }
  }
  if (arguments.collects && arguments.seeds > 10 && rounds < arguments.seeds) {
    fmt::print("fails: hardly any round came to its end\n");
    ++failures;
  }
  fmt::print("{} seeds, {} failed, {} events, {:.1f} s\n", arguments.seeds, failures, events, secondsSince(begin));
  return (failures > 0) == arguments.expectsFailure ? 0 : 1;
}
