// jvmcluster prof: where the threads of a running program spend their time, on all its nodes.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <set>
#include <thread>

#include "ir/support/write_file.h"
#include "runtime/run_options.h"
#include "tools/common/command_line.h"
#include "tools/jvmcluster/clusters.h"
#include "tools/jvmcluster/profile.h"
#include "tools/jvmcluster/profile_request.h"

namespace jvmc::tool {

namespace {

using Json = nlohmann::ordered_json;

constexpr auto kCollectPeriod = std::chrono::milliseconds(500);
/// A node stops by itself if this tool does not come back.
constexpr int64_t kLeaseMillis = 5000;

struct ProfOptions {
  std::string cluster, keyFile;
  std::string program;
  std::string mode = "cpu";
  double seconds = 10;
  uint32_t hz = 100;
  std::string allocInterval = "512K";
  std::string file;
  std::string format;
  uint32_t top = 20;
  std::string load;
  std::vector<std::string> diff;
  bool json = false;
};

volatile std::sig_atomic_t isInterrupted = 0;

int fail(const CommonOptions& common, const Error& error) {
  printError(common, error.message);
  return error.code == ErrorCode::kInvalidInput ? int(kFailed) : exitCodeOf(error);
}

/// Adds the answers of all nodes, and what those have left that have ended. Gives the number of the others.
Result<size_t> take(ClusterProfile& profile, const Clusters::Program& program, const Json& request) {
  auto reports = program.client->observe(program.view.id, Json{{"profile", request}}.dump());
  if (!reports.ok()) return reports.error();
  size_t present = 0;
  for (const std::string& text : *reports) {
    const Json report = Json::parse(text, nullptr, false);
    present += report.contains("now") ? 1 : 0;
    if (!report.is_object() || !report.contains("profile"))
      return Error{ErrorCode::kCorrupt, "a node's answer makes no sense"};
    if (auto added = profile.add(report.value("node", 0u), report["profile"]); !added.ok()) return added.error();
  }
  return present;
}

/// Samples until the time is over, the program ends or the user has seen enough.
Status sample(const CommonOptions& common, ClusterProfile& profile, const ProfOptions& options) {
  ClusterOptions where;
  where.cluster = options.cluster;
  where.keyFile = options.keyFile;
  auto clusters = Clusters::open(where);
  if (!clusters.ok()) return clusters.error();
  auto program = clusters->program(options.program);
  if (!program.ok()) return program.error();
  profile.program = program->view.name;

  auto request = profileRequest(options.mode, options.hz, options.allocInterval);
  if (!request.ok()) return request.error();
  (*request)["leaseMillis"] = kLeaseMillis;
  std::signal(SIGINT, [](int) { isInterrupted = 1; });
  const auto begin = std::chrono::steady_clock::now();
  const auto end =
      begin + std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(options.seconds));
  bool hasBegun = false;
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    const bool isLast = isInterrupted || now >= end;
    auto taken = take(profile, *program, isLast ? Json{{"stop", true}} : *request);
    if (!taken.ok()) {
      // A program that has ended meanwhile leaves what it did until shortly before.
      if (!hasBegun || taken.error().code != ErrorCode::kUnavailable) return taken.error();
      break;
    }
    hasBegun = true;
    if (isLast) {
      warnOfSilentNodes(common, program->silentNodes(*taken));
      break;
    }
    std::this_thread::sleep_until(std::min(end, now + kCollectPeriod));
  }
  profile.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return Unit{};
}

int show(const CommonOptions& common, const ProfOptions& options, const ClusterProfile& profile, ModeInfo mode) {
  const TextOptions text{options.top, useColor(common, STDOUT_FILENO) && options.file.empty()};
  ProfileFormat format = options.file.empty() ? ProfileFormat::Text : formatOf(options.file);
  if (!options.format.empty()) format = *formatNamed(options.format);
  std::string out;
  if (options.json) {
    Json json = {{"schemaVersion", 1}, {"program", profile.program}};
    json.update(rowsOf(profile, mode, options.top));
    out = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  } else {
    out = formatted(profile, mode, format, text);
  }
  if (options.file.empty()) return std::fwrite(out.data(), 1, out.size(), stdout), kOk;
  if (auto written = writeFile(options.file, out); !written.ok()) return fail(common, written.error());
  return kOk;
}

int prof(const CommonOptions& common, const ProfOptions& options) {
  // Of several modes the first one is shown; a .json file keeps all.
  auto mode = modeNamed(options.mode.substr(0, options.mode.find(',')));
  if (!mode.ok()) return fail(common, mode.error());
  if (!options.diff.empty()) {
    ClusterProfile before, after;
    for (auto [profile, path] : {std::pair(&before, options.diff[0]), std::pair(&after, options.diff[1])})
      if (auto loaded = profile->load(path); !loaded.ok()) return fail(common, loaded.error());
    const std::string text = diffOf(before, after, *mode, {options.top, useColor(common, STDOUT_FILENO)});
    return std::fputs(text.c_str(), stdout), kOk;
  }
  ClusterProfile profile;
  const Status got = options.load.empty() ? sample(common, profile, options) : profile.load(options.load);
  if (!got.ok()) return fail(common, got.error());
  return show(common, options, profile, *mode);
}

}  // namespace

Result<Json> profileRequest(const std::string& modes, uint32_t hz, const std::string& allocInterval) {
  std::set<std::string> kinds;
  for (size_t from = 0; from <= modes.size();) {
    const size_t comma = std::min(modes.find(',', from), modes.size());
    auto mode = modeNamed(modes.substr(from, comma - from));
    if (!mode.ok()) return mode.error();
    kinds.insert(mode->kind);
    from = comma + 1;
  }
  auto bytes = parseInterval(allocInterval);
  if (!bytes.ok()) return bytes.error();
  return Json{{"kinds", kinds}, {"hz", hz}, {"allocBytes", *bytes}};
}

Result<uint64_t> parseInterval(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double factor = unit.empty() ? 1 : unit == "K" ? 1024 : unit == "M" ? 1 << 20 : 0;
  if (end == text.c_str() || number * factor < 1024 || number * factor > double(1 << 30))
    return Error{ErrorCode::kInvalidInput, "'" + text + "' is no size from 1K to 1024M"};
  return uint64_t(number * factor);
}

void addProf(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<ProfOptions>();
  ClusterOptions defaults;
  CLI::App* command = app.add_subcommand("prof", "Profile a running program on all its nodes");
  command->add_option("PROGRAM", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->add_option("--cluster", options->cluster, "An agent's HOST:PORT (default: what runs on this machine)")
      ->envname("JVMC_CLUSTER");
  command->add_option("--key-file", options->keyFile, "Key of the cluster at --cluster")->envname("JVMC_KEY_FILE");
  command
      ->add_option(
          "--mode", options->mode,
          "cpu; alloc: bytes by class; lock: waits for monitors; wait: all waits; remote: objects fetched from "
          "other nodes. Several, with commas: all are taken, the first is shown")
      ->check(tools::parsesWith([](const std::string& text) { return profileRequest(text, 1, "1K"); }))
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "How long; Ctrl-C ends it earlier")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str();
  command->add_option("--hz", options->hz, "cpu: samples for each second of a worker's CPU time")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_option("--alloc-interval", options->allocInterval, "alloc: bytes between two samples of a thread")
      ->check(tools::parsesWith(parseInterval))
      ->capture_default_str();
  command->add_option(
      "-o,--output", options->file,
      "Write to FILE: .pb.gz for pprof, .speedscope.json, .folded, .txt, any other .json to load again");
  command->add_option("--format", options->format, "text, json, folded, speedscope or pprof, whatever FILE is called")
      ->check(tools::parsesWith(formatNamed));
  command->add_flag("--json", options->json, "The tables as JSON");
  command->add_option("--top", options->top, "Lines to show")->capture_default_str();
  command->add_option("--load", options->load, "Show a profile from a .json file instead of taking one");
  command->add_option("--diff", options->diff, "Two .json files: what has become more, and less")->expected(2);
  command->footer(
      "Examples:\n"
      "  jvmcluster prof                                   # where CPU time goes, for 10 seconds\n"
      "  jvmcluster prof 3fa9 --seconds 30 -o cpu.pb.gz    # then: pprof -http=: cpu.pb.gz\n"
      "  jvmcluster prof --mode remote                     # which lines fetch objects of which class from which node\n"
      "  jvmcluster prof --mode lock,cpu -o before.json\n"
      "  jvmcluster prof --load before.json --mode cpu --format folded\n"
      "  jvmcluster prof --diff before.json after.json --mode cpu");
  command->callback([&common, options, &action] { action = [&common, options] { return prof(common, *options); }; });
}

}  // namespace jvmc::tool
