// Optimised code does what the stored code does: each program below runs stored, then under every combination of one
// pass, no pass, all passes and random subsets; plain and with coherence checks; and with all its frames captured at
// every k-th safepoint and resumed, in the stored body or in continuations. Log, result, exceptions and stack traces
// are the same each time, the verifier finds nothing, and the evaluator catches what the passes may not do.
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "ir/text/parser.h"
#include "tests/unit/ir/passes/evaluator.h"

namespace jvmc::ir {
namespace {

using test::Evaluator;
using test::Outcome;

struct Program {
  explicit Program(const std::string& name) {
    std::ifstream in(std::string(JVMC_IR_TEST_DIR) + "/passes/programs/" + name);
    std::stringstream text;
    text << in.rdbuf();
    text::SourceSet sources;
    sources.add(name, text.str());
    text::DiagnosticSink sink;
    auto parsed = text::parseModule(sources, sink);
    bool ok = parsed && text::checkModule(*parsed, sink);
    JVMC_CHECK(ok, text::renderDiagnostics(sources, sink, false));
    module = std::move(parsed->module);
    calls = std::make_unique<CallGraph>(*module);
    main = module->findFunction("main");
  }
  std::unique_ptr<Module> module;
  std::unique_ptr<CallGraph> calls;
  FunctionId main;
};

class Equivalence : public testing::TestWithParam<const char*> {
 protected:
  Equivalence() : program(GetParam()) {
    Evaluator stored(*program.module, *program.calls, {.optimise = false});
    expected = stored.run(program.main, {});
    EXPECT_THAT(stored.faults(), testing::IsEmpty());
  }

  void expectSame(Evaluator::Options options) {
    std::string passes = "all";
    if (options.pipeline.passes) passes = fmt::format("[{}]", fmt::join(*options.pipeline.passes, ","));
    SCOPED_TRACE(fmt::format("passes {} checked {} seed {} capture {} baseline {}", passes, options.pipeline.checked,
                             options.pipeline.seed, options.captureEvery, options.resumeInBaseline));
    Evaluator optimised(*program.module, *program.calls, options);
    Outcome got = optimised.run(program.main, {});
    EXPECT_EQ(got.log, expected.log);
    EXPECT_THAT(optimised.faults(), testing::IsEmpty());
    EXPECT_EQ(got.captures > 0, options.captureEvery != 0);
  }

  void expectSameUnderCapture(const PipelineOptions& pipeline) {
    for (uint64_t every : {0, 1, 2, 5}) {
      expectSame({.pipeline = pipeline, .captureEvery = every});
      if (every != 0) expectSame({.pipeline = pipeline, .captureEvery = every, .resumeInBaseline = true});
    }
  }

  Program program;
  Outcome expected;
};

TEST_P(Equivalence, WithoutOptionalPasses) {
  for (bool checked : {false, true}) expectSameUnderCapture({.checked = checked, .passes = std::vector<std::string>{}});
}

TEST_P(Equivalence, WithEachPassAlone) {
  for (const Pass& pass : allPasses()) {
    if (pass.need != Pass::Need::Optional) continue;
    for (bool checked : {false, true})
      expectSameUnderCapture({.checked = checked, .passes = std::vector<std::string>{std::string(pass.name)}});
  }
}

TEST_P(Equivalence, WithAllPasses) {
  for (bool checked : {false, true}) expectSameUnderCapture({.checked = checked});
}

TEST_P(Equivalence, WithRandomSubsets) {
  for (uint64_t seed = 1; seed <= 12; ++seed)
    expectSame({.pipeline = {.checked = seed % 2 == 0, .seed = seed}, .captureEvery = 1 + seed % 4});
}

INSTANTIATE_TEST_SUITE_P(Programs, Equivalence, testing::Values("loops.ir", "arrays.ir", "objects.ir", "virtuals.ir"),
                         [](const auto& info) {
                           return std::string(info.param).substr(0, std::string(info.param).find('.'));
                         });

}  // namespace
}  // namespace jvmc::ir
