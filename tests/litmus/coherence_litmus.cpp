// coherence_litmus: the litmus programs of the coherence protocol for as many rounds as wanted, in runs of some seconds
// that differ by seed and by what disturbs them. See docs/reference/memory_model.md.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "tests/unit/cluster/objects/litmus.h"

namespace {

using namespace jvmc::cluster;
using namespace jvmc::cluster::test;

const char kUsage[] =
    "Usage: coherence_litmus [--rounds N] [--seconds S] [--seed N] [--list] [PROGRAM...]\n"
    "Runs each litmus program (all, if none is named) until it has done N rounds (default 10000), in runs of S "
    "seconds\n"
    "(default 5): as it is, with one message in eight delayed, with blocks that move, with both, and these four with\n"
    "leases and loans of whatever other nodes use, in turn.\n"
    "Exit code: 0 nothing forbidden was seen, 1 something was, 2 usage.\n";

struct Options {
  uint64_t rounds = 10'000, seed = 1;
  double seconds = 5;
  bool list = false;
  std::vector<std::string> names;
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--list") {
      options.list = true;
    } else if (argument == "--rounds" && i + 1 < argc) {
      options.rounds = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument == "--seed" && i + 1 < argc) {
      options.seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument == "--seconds" && i + 1 < argc) {
      options.seconds = std::strtod(argv[++i], nullptr);
    } else if (argument.starts_with("-")) {
      return false;
    } else {
      options.names.push_back(argument);
    }
  }
  return options.rounds > 0 && options.seconds > 0;
}

bool isWanted(const Options& options, const LitmusProgram& program) {
  return options.names.empty() ||
         std::find(options.names.begin(), options.names.end(), program.name) != options.names.end();
}

/// True if nothing forbidden was seen.
bool run(const LitmusProgram& program, const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  uint64_t rounds = 0, moves = 0, seed = options.seed;
  for (; rounds < options.rounds; ++seed) {
    TestOptions disturbed{.nodes = program.nodes,
                          .seconds = options.seconds,
                          .delayOneIn = seed % 2 != 0 ? 0u : 8u,
                          .seed = seed,
                          .moving = seed / 2 % 2 != 0,
                          .space = {}};
    if (seed / 4 % 2 != 0) disturbed.leasing();
    TestCluster cluster(disturbed);
    program.run(cluster);
    rounds += cluster.shared().operations;
    moves += cluster.shared().moves;
    if (cluster.errors() == 0 && cluster.shared().operations > 0) continue;
    const std::string what = cluster.errors() > 0 ? cluster.firstError() : "it did nothing";
    fmt::print("FAIL  {:24} seed {}: {}\n", program.name, seed, what);
    return false;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("ok    {:24} {:>11} rounds {:>8} moves {:>5} runs {:8.1f} s\n", program.name, rounds, moves,
             seed - options.seed, seconds);
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) return fmt::print(stderr, "{}", kUsage), 2;
  bool good = true;
  size_t found = 0;
  for (const LitmusProgram& program : litmusPrograms()) {
    if (!isWanted(options, program)) continue;
    ++found;
    if (options.list)
      fmt::print("{}\n", program.name);
    else
      good = run(program, options) && good;
  }
  if (found < options.names.size()) return fmt::print(stderr, "coherence_litmus: no such program; see --list\n"), 2;
  return good ? 0 : 1;
}
