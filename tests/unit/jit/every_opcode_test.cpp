// `--mode jit` never falls back: every instruction that a stored module can hold compiles, in plain and in checked
// code, and so does the continuation at every resume point.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "ir/analysis/cfg.h"
#include "ir/text/parser.h"
#include "jit/compiler.h"

namespace jvmc::jit {
namespace {

/// The programs that show the syntax of each instruction.
std::vector<std::filesystem::path> programs() {
  std::vector<std::filesystem::path> found;
  for (auto& entry : std::filesystem::directory_iterator(JVMC_SOURCE_DIR "/tests/golden/parse"))
    if (entry.path().extension() == ".ir") found.push_back(entry.path());
  return found;
}

std::unique_ptr<ir::Module> parse(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  ir::text::SourceSet sources;
  sources.add(path.string(), text.str());
  ir::text::DiagnosticSink sink;
  auto parsed = ir::text::parseModule(sources, sink);
  JVMC_CHECK(parsed.has_value(), ir::text::renderDiagnostics(sources, sink, false));
  return std::move(parsed->module);
}

EmitOptions options(bool checked) {
  EmitOptions options;
  options.optimised = false;  // what LLVM makes of it is not the question
  options.checked = checked;
  options.pipeline.passes = std::vector<std::string>{};
  return options;
}

TEST(EveryOpcode, CompilesInPlainAndInCheckedCode) {
  std::set<ir::Opcode> compiled;
  for (auto& path : programs()) {
    SCOPED_TRACE(path.filename().string());
    auto module = parse(path);
    rt::ModuleLayout layout(*module, rt::AddressPlan());
    for (uint32_t f = 0; f < module->functions.size(); ++f) {
      ir::FunctionId function(f);
      auto body = module->body(function);
      ASSERT_TRUE(body.ok());
      for (bool checked : {false, true}) {
        auto text = emitText(layout, function, options(checked));
        ASSERT_TRUE(text.ok()) << (*module)[function].name << ": " << text.error().message;
        EXPECT_NE(text->find("define "), std::string::npos);
      }
      for (auto& block : (*body)->blocks)
        for (auto& instr : block.instrs) compiled.insert(instr.op);
    }
  }
  for (size_t op = 0; op < ir::kOpcodeCount; ++op) {
    if (ir::opInfo(ir::Opcode(op)).has(ir::kMarker)) continue;
    EXPECT_TRUE(compiled.contains(ir::Opcode(op))) << ir::opInfo(ir::Opcode(op)).mnemonic << " stands in no program";
  }
}

TEST(EveryOpcode, HasAContinuationAfterEachCallAndAtEachLoop) {
  size_t continuations = 0;
  for (auto& path : programs()) {
    SCOPED_TRACE(path.filename().string());
    auto module = parse(path);
    rt::ModuleLayout layout(*module, rt::AddressPlan());
    for (uint32_t f = 0; f < module->functions.size(); ++f) {
      const ir::FunctionBody& body = **module->body(ir::FunctionId(f));
      ir::Cfg cfg(body);
      for (uint32_t point = 0; point < 2 * cfg.instrCount(); ++point) {
        ir::Cfg::Position at = cfg.position(point / 2);
        bool atLoop = point % 2 == 0 && at.index == 0 && cfg.isLoopHeader(at.block);
        bool afterCall = point % 2 != 0 && body[at.block].instrs[at.index].info().has(ir::kCall);
        if (!cfg.reachable(at.block) || !(atLoop || afterCall)) continue;
        EmitOptions here = options(point % 4 < 2);
        here.resumePoint = point;
        auto text = emitText(layout, ir::FunctionId(f), here);
        ASSERT_TRUE(text.ok()) << module->functions[f].name << " at " << point << ": " << text.error().message;
        ++continuations;
      }
    }
  }
  EXPECT_GT(continuations, 20u);
}

}  // namespace
}  // namespace jvmc::jit
