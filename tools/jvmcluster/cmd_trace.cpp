// jvmcluster trace: when each thread of a running program ran, waited, fetched, flushed and moved, and what the nodes
// did meanwhile.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "ir/support/write_file.h"
#include "tools/jvmcluster/clusters.h"
#include "tools/jvmcluster/timeline.h"

namespace jvmc::tool {

namespace {

using Json = nlohmann::ordered_json;

constexpr auto kCollectPeriod = std::chrono::milliseconds(500);
constexpr int64_t kLeaseMillis = 5000;
constexpr int kClockQuestions = 8;

struct TraceOptions {
  std::string cluster, keyFile;
  std::string program;
  double seconds = 5;
  std::string file;
  uint32_t events = 1 << 17;
  double minMicros = 0;
};

volatile std::sig_atomic_t isInterrupted = 0;

int64_t nowNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Asks all nodes; what they say about their clocks counts too. Nodes that have ended say nothing about theirs any
/// more.
Result<std::vector<Json>> ask(Clusters::Program& program, Timeline& timeline, const Json& request) {
  const int64_t asked = nowNanos();
  auto reports = program.client->observe(program.view.id, request.dump());
  const int64_t answered = nowNanos();
  if (!reports.ok()) return reports.error();
  std::vector<Json> answers;
  for (const std::string& text : *reports) {
    answers.push_back(Json::parse(text, nullptr, false));
    const Json& answer = answers.back();
    if (!answer.is_object() || !answer.contains("node"))
      return Error{ErrorCode::kCorrupt, "a node's answer makes no sense"};
    if (answer.contains("now")) timeline.alignClock(answer["node"], answer["now"], asked, answered);
  }
  return answers;
}

Status record(const CommonOptions& common, Clusters::Program& program, Timeline& timeline,
              const TraceOptions& options) {
  for (int i = 0; i < kClockQuestions; ++i)
    if (auto answers = ask(program, timeline, {{"clock", true}}); !answers.ok()) return answers.error();
  const Json request = {
      {"trace",
       {{"events", options.events}, {"leaseMillis", kLeaseMillis}, {"minNanos", int64_t(options.minMicros * 1e3)}}}};
  std::signal(SIGINT, [](int) { isInterrupted = 1; });
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(options.seconds));
  for (bool hasBegun = false;; hasBegun = true) {
    const auto now = std::chrono::steady_clock::now();
    const bool isLast = isInterrupted || now >= end;
    // Names first: a program that ends takes its threads with it.
    if (auto threads = program.client->threads(program.view.id); threads.ok())
      for (const auto& thread : *threads) timeline.nameThread(thread.id, thread.name);
    auto answers = ask(program, timeline, isLast ? Json{{"trace", {{"stop", true}}}} : request);
    if (!answers.ok()) {
      if (hasBegun && answers.error().code == ErrorCode::kUnavailable) return Unit{};  // it has ended meanwhile
      return answers.error();
    }
    for (const Json& answer : *answers)
      if (auto added = timeline.add(answer); !added.ok()) return added;
    const auto present = std::ranges::count_if(*answers, [](const Json& answer) { return answer.contains("now"); });
    if (isLast) return warnOfSilentNodes(common, program.silentNodes(size_t(present))), Unit{};
    std::this_thread::sleep_until(std::min(end, now + kCollectPeriod));
  }
}

int trace(const CommonOptions& common, const TraceOptions& options) {
  const auto fail = [&](const Error& error) {
    printError(common, error.message);
    return exitCodeOf(error);
  };
  ClusterOptions where;
  where.cluster = options.cluster;
  where.keyFile = options.keyFile;
  auto clusters = Clusters::open(where);
  if (!clusters.ok()) return fail(clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(program.error());
  Timeline timeline;
  if (auto recorded = record(common, *program, timeline, options); !recorded.ok()) return fail(recorded.error());
  const Json chrome = timeline.toChrome(program->view.name, {options.minMicros});
  const std::string text = chrome.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (options.file == "-") return std::fwrite(text.data(), 1, text.size(), stdout), kOk;
  if (auto written = writeFile(options.file, text); !written.ok()) return fail(written.error());
  std::fprintf(stderr, "%zu events%s in %s: open it at ui.perfetto.dev\n", timeline.size(),
               timeline.lost() ? fmt::format(" ({} more were lost)", timeline.lost()).c_str() : "",
               options.file.c_str());
  return kOk;
}

}  // namespace

void addTrace(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<TraceOptions>();
  CLI::App* command = app.add_subcommand("trace", "Record a timeline of a running program, for Perfetto");
  command->add_option("PROGRAM", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->add_option("--cluster", options->cluster, "An agent's HOST:PORT (default: what runs on this machine)")
      ->envname("JVMC_CLUSTER");
  command->add_option("--key-file", options->keyFile, "Key of the cluster at --cluster")->envname("JVMC_KEY_FILE");
  command->add_option("--seconds", options->seconds, "How long; Ctrl-C ends it earlier")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_option("-o,--output", options->file, "The file; - is standard output")->required();
  command->add_option("--events", options->events, "Events that each node keeps between two looks at it (two a second)")
      ->check(CLI::Range(1024, 1 << 22))
      ->capture_default_str();
  command->add_option("--min-micros", options->minMicros, "Leave out fetches, flushes and waits that are shorter")
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  jvmcluster trace -o timeline.json                     # five seconds; open it at ui.perfetto.dev\n"
      "  jvmcluster trace 3fa9 --seconds 1 --min-micros 50 -o timeline.json");
  command->callback([&common, options, &action] { action = [&common, options] { return trace(common, *options); }; });
}

}  // namespace jvmc::tool
