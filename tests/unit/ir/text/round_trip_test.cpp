// The text form loses nothing: every example is parsed, verified, printed, and parsed again.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "ir/binary/hash.h"
#include "ir/text/parser.h"
#include "ir/text/printer.h"

namespace jvmc::ir::text {
namespace {

namespace fs = std::filesystem;

std::string readFile(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

std::vector<fs::path> exampleFiles() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(JVMC_SOURCE_DIR) / "tests/golden/parse"))
    if (entry.path().extension() == ".ir") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

struct Parsed {
  SourceSet sources;
  DiagnosticSink sink;
  std::optional<ParsedModule> module;

  explicit Parsed(std::string text, std::string name = "test.ir") {
    sources.add(std::move(name), std::move(text));
    module = parseModule(sources, sink);
    if (module && !checkModule(*module, sink)) module.reset();
  }
  std::string errors() const { return renderDiagnostics(sources, sink, false); }
};

/// The module and its optimised bodies, as `irc emit ir` would show them.
std::string print(const ParsedModule& parsed, const PrintOptions& options = {}) {
  Result<std::string> text = printModule(*parsed.module, options);
  if (!text.ok()) return text.error().message;
  std::string out = *text;
  for (const OptimisedBody& optimised : parsed.optimised)
    out += "\n" + printFunction(*parsed.module, optimised.function, optimised.body, options);
  return out;
}

TEST(RoundTrip, PrintingAndParsingGivesTheSameTextAndHashes) {
  ASSERT_FALSE(exampleFiles().empty());
  for (const fs::path& path : exampleFiles()) {
    Parsed first(readFile(path), path.filename());
    ASSERT_TRUE(first.module) << first.errors();
    std::string text = print(*first.module);
    Parsed second(text, "printed.ir");
    ASSERT_TRUE(second.module) << path << "\n" << second.errors() << text;
    EXPECT_EQ(print(*second.module), text) << path;
    const Module &a = *first.module->module, &b = *second.module->module;
    ASSERT_EQ(a.functions.size(), b.functions.size());
    for (uint32_t f = 0; f < a.functions.size(); ++f)
      EXPECT_EQ(hashFunction(a, FunctionId(f)), hashFunction(b, FunctionId(f))) << a.functions[f].name;
    ASSERT_EQ(first.module->optimised.size(), second.module->optimised.size());
  }
}

TEST(RoundTrip, LocationsSurvive) {
  for (const fs::path& path : exampleFiles()) {
    Parsed first(readFile(path), path.filename());
    ASSERT_TRUE(first.module) << first.errors();
    Parsed second(print(*first.module), "printed.ir");
    ASSERT_TRUE(second.module) << second.errors();
    const Module &a = *first.module->module, &b = *second.module->module;
    auto where = [](const Module& m, const SourceLoc& loc) {
      return m.files[loc.file] + ":" + std::to_string(loc.line) + ":" + std::to_string(loc.column);
    };
    for (uint32_t f = 0; f < a.functions.size(); ++f) {
      EXPECT_EQ(where(a, a.functions[f].loc), where(b, b.functions[f].loc));
      const FunctionBody &x = **a.body(FunctionId(f)), &y = **b.body(FunctionId(f));
      for (uint32_t block = 0; block < x.blocks.size(); ++block)
        for (uint32_t i = 0; i < x.blocks[block].instrs.size(); ++i)
          EXPECT_EQ(where(a, x.blocks[block].instrs[i].loc), where(b, y.blocks[block].instrs[i].loc));
    }
  }
}

TEST(RoundTrip, EveryInstructionOfTheTableStandsInAnExample) {
  std::set<Opcode> seen;
  for (const fs::path& path : exampleFiles()) {
    Parsed parsed(readFile(path));
    ASSERT_TRUE(parsed.module) << parsed.errors();
    auto collect = [&](const FunctionBody& body) {
      for (const Block& block : body.blocks)
        for (const Instr& instr : block.instrs) seen.insert(instr.op);
    };
    for (uint32_t f = 0; f < parsed.module->module->functions.size(); ++f)
      collect(**parsed.module->module->body(FunctionId(f)));
    for (const OptimisedBody& optimised : parsed.module->optimised) collect(optimised.body);
  }
  for (size_t op = 0; op < kOpcodeCount; ++op)
    EXPECT_TRUE(seen.contains(Opcode(op))) << "no example in tests/golden/parse uses " << opInfo(Opcode(op)).mnemonic;
}

TEST(RoundTrip, WithoutLocationsTheTextIsStillTheSameProgram) {
  for (const fs::path& path : exampleFiles()) {
    Parsed first(readFile(path), path.filename());
    ASSERT_TRUE(first.module) << first.errors();
    std::string text = print(*first.module, {.locations = false});
    EXPECT_EQ(text.find('!'), std::string::npos);
    Parsed second(text);
    ASSERT_TRUE(second.module) << second.errors();
    EXPECT_EQ(print(*second.module, {.locations = false}), text);
  }
}

}  // namespace
}  // namespace jvmc::ir::text
