// protocol_model: explores the coherence protocol, with all its rules and with each of them removed.
// How to read its output: docs/internals/protocol_model.md.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "tests/model/explorer.h"

namespace {

using namespace jvmc::cluster::model;
using jvmc::cluster::Fault;

constexpr uint64_t kStatesMax = 4'000'000;
constexpr uint64_t kStatesMaxLong = 60'000'000;

const char kUsage[] =
    "Usage: protocol_model [--long] [--list] [--states N] [SCENARIO [RULE]]\n"
    "Explores every state of each scenario, then each scenario that shows the absence of a rule with that rule "
    "removed.\n"
    "  SCENARIO    only this one, with all rules\n"
    "  RULE        the same with this rule removed; prints the trace\n"
    "  --long      the long scenarios too (minutes, some gigabytes)\n"
    "  --states N  gives a scenario up after N states\n"
    "  --list      names of scenarios and rules\n"
    "Exit code: 0 as it should be, 1 a violation or a rule that nothing misses, 2 usage.\n";

struct Options {
  bool longToo = false, list = false;
  uint64_t statesMax = 0;
  std::vector<std::string> names;
};

void printTrace(const Outcome& outcome) {
  for (size_t i = 0; i < outcome.trace.size(); ++i) fmt::print("    {:3}  {}\n", i + 1, outcome.trace[i]);
  fmt::print("         => {}\n", outcome.violation);
}

Outcome exploreTimed(const Scenario& scenario, Fault removed, uint64_t statesMax, double& seconds) {
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome = explore(scenario, removed, statesMax);
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

/// With all rules: true if nothing is violated and all has been seen.
bool holds(const Scenario& scenario, uint64_t statesMax) {
  double seconds = 0;
  const Outcome outcome = exploreTimed(scenario, {}, statesMax, seconds);
  const bool good = outcome.violation.empty() && outcome.complete;
  fmt::print("{}  {:24} {:>9} states {:>10} steps  depth {:3}  {:6.2f} s  {}\n", good ? "ok  " : "FAIL", scenario.name,
             outcome.states, outcome.steps, outcome.depth, seconds,
             outcome.complete ? scenario.proves : "gave up: too many states");
  if (!outcome.violation.empty()) printTrace(outcome);
  std::fflush(stdout);
  return good;
}

/// Without a rule: true if that is noticed.
bool noticed(const Mutation& mutation, const Scenario& scenario, uint64_t statesMax, bool trace) {
  double seconds = 0;
  const Outcome outcome = exploreTimed(scenario, mutation.removed, statesMax, seconds);
  const bool found = !outcome.violation.empty();
  fmt::print("{}  without {:22} {:24} {:>9} states  {:3} steps: {}\n", found ? "ok  " : "FAIL", mutation.rule,
             scenario.name, outcome.states, outcome.trace.size(), found ? outcome.violation : "nothing is violated");
  if (found && trace) printTrace(outcome);
  std::fflush(stdout);
  return found;
}

const Scenario* find(const std::vector<Scenario>& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Scenario& s) { return s.name == name; });
  return found == all.end() ? nullptr : &*found;
}

int exploreOne(const Options& options, const std::vector<Scenario>& all, uint64_t statesMax) {
  const Scenario* scenario = find(all, options.names[0]);
  if (!scenario) return fmt::print(stderr, "protocol_model: no scenario {}; see --list\n", options.names[0]), 2;
  if (options.names.size() == 1) return holds(*scenario, statesMax) ? 0 : 1;
  for (const Mutation& mutation : mutations())
    if (mutation.rule == options.names[1]) return noticed(mutation, *scenario, statesMax, true) ? 0 : 1;
  return fmt::print(stderr, "protocol_model: no rule {}; see --list\n", options.names[1]), 2;
}

int exploreAll(const std::vector<Scenario>& all, uint64_t statesMax) {
  bool good = true;
  for (const Scenario& scenario : all) good = holds(scenario, statesMax) && good;
  for (const Mutation& mutation : mutations())
    good = noticed(mutation, *find(all, mutation.scenario), statesMax, false) && good;
  return good ? 0 : 1;
}

void printNames(const std::vector<Scenario>& all) {
  for (const Scenario& scenario : all) fmt::print("{:24} {}\n", scenario.name, scenario.proves);
  fmt::print("\n");
  for (const Mutation& mutation : mutations()) fmt::print("{:24} missed by {}\n", mutation.rule, mutation.scenario);
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--long") {
      options.longToo = true;
    } else if (argument == "--list") {
      options.list = true;
    } else if (argument == "--states" && i + 1 < argc) {
      options.statesMax = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument.starts_with("-")) {
      return false;
    } else {
      options.names.push_back(argument);
    }
  }
  return options.names.size() <= 2;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) return fmt::print(stderr, "{}", kUsage), 2;
  std::vector<Scenario> all = shortScenarios();
  if (options.longToo || options.list || !options.names.empty())
    for (Scenario& scenario : longScenarios()) all.push_back(std::move(scenario));
  if (options.list) return printNames(all), 0;
  const uint64_t statesMax = options.statesMax != 0 ? options.statesMax : options.longToo ? kStatesMaxLong : kStatesMax;
  return options.names.empty() ? exploreAll(all, statesMax) : exploreOne(options, all, statesMax);
}
