// What the passes make of every example passes the verifier, in every choice of optional passes that a seed gives:
// frame states name live slots by number and type, values dominate their uses, safepoints have states.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "ir/analysis/call_graph.h"
#include "ir/analysis/cfg.h"
#include "ir/analysis/liveness.h"
#include "ir/passes/pipeline.h"
#include "ir/text/parser.h"
#include "ir/text/printer.h"

namespace jvmc::ir {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> programs() {
  std::vector<fs::path> paths;
  for (const char* folder : {"tests/golden/parse", "examples", "tests/run"}) {
    fs::path path = fs::path(JVMC_SOURCE_DIR) / folder;
    if (!fs::exists(path)) continue;
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.path().extension() == ".ir") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::optional<text::ParsedModule> parse(const fs::path& path) {
  std::ostringstream source;
  source << std::ifstream(path, std::ios::binary).rdbuf();
  text::SourceSet sources;
  text::DiagnosticSink sink;
  sources.add(path.filename(), source.str());
  auto parsed = text::parseModule(sources, sink);
  if (parsed && text::checkModule(*parsed, sink)) return parsed;
  ADD_FAILURE() << text::renderDiagnostics(sources, sink, false);
  return std::nullopt;
}

void expectValid(const Module& module, FunctionId f, const FunctionBody& body, const std::string& what) {
  std::vector<VerifyError> errors = verifyBody(module, f, body, 3);
  for (const VerifyError& error : errors)
    ADD_FAILURE() << what << ": " << error.message << " (" << invariantName(error.invariant) << ", block "
                  << error.place.block.value << ", instruction " << error.place.index << ")";
  if (!errors.empty()) ADD_FAILURE() << text::printFunction(module, f, body, {.locations = false});
}

TEST(Passes, LeaveValidBodies) {
  for (const fs::path& path : programs()) {
    auto parsed = parse(path);
    if (!parsed) continue;
    const Module& module = *parsed->module;
    CallGraph calls(module);
    for (uint32_t f = 0; f < module.functions.size(); ++f) {
      for (uint64_t seed = 0; seed < 6; ++seed) {
        for (bool checked : {false, true}) {
          auto body = runPipeline(module, calls, FunctionId(f), {.checked = checked, .seed = seed});
          ASSERT_TRUE(body.ok()) << body.error().message;
          expectValid(module, FunctionId(f), *body,
                      fmt::format("{} @{} seed {} checked {}", path.filename().string(), module.functions[f].name, seed,
                                  checked));
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST(Passes, ContinuationsAtEveryLoopHeaderAndCallAreValid) {
  for (const fs::path& path : programs()) {
    auto parsed = parse(path);
    if (!parsed) continue;
    const Module& module = *parsed->module;
    CallGraph calls(module);
    for (uint32_t f = 0; f < module.functions.size(); ++f) {
      const FunctionBody& baseline = **module.body(FunctionId(f));
      Cfg cfg(baseline);
      for (uint32_t point = 0; point < 2 * cfg.instrCount(); ++point) {
        Cfg::Position at = cfg.position(point / 2);
        const Instr& instr = baseline[at.block].instrs[at.index];
        bool atHeader = point % 2 == 0 && at.index == 0 && cfg.isLoopHeader(at.block);
        bool afterCall = point % 2 != 0 && instr.info().has(kCall);
        if (!cfg.reachable(at.block) || !(atHeader || afterCall)) continue;
        auto body = runContinuationPipeline(module, calls, FunctionId(f), point, {.checked = point % 3 == 0});
        ASSERT_TRUE(body.ok()) << body.error().message;
        expectValid(module, FunctionId(f), *body,
                    fmt::format("{} @{} point {}", path.filename().string(), module.functions[f].name, point));
        if (HasFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace jvmc::ir
