#include "ir/passes/pipeline.h"

#include <algorithm>

#include "ir/analysis/liveness.h"
#include "ir/passes/passes.h"
#include "ir/passes/ssa.h"
#include "ir/support/prng.h"

namespace jvmc::ir {
namespace {

using Need = Pass::Need;

constexpr Pass kPasses[] = {
    {"frame_states", "Each safepoint learns the portable frame it captures, each other throw its place.",
     Need::Required, runFrameStates},
    {"poll_insertion", "A poll on each loop's back edge and on entry of functions that may recurse.", Need::Required,
     runPollInsertion},
    {"strip_mining", "Innermost counted loops poll every 1024 iterations only, so that they vectorise.", Need::Optional,
     runStripMining},
    {"type_dispatch", "Virtual calls in loops that can reach few functions become tests and direct calls.",
     Need::Optional, runTypeDispatch},
    {"inlining", "Small functions, and virtual calls with one implementation, are copied into their callers.",
     Need::Optional, runInlining},
    {"scalar_replacement", "Objects that do not leave the function become values, virtual in frame states.",
     Need::Optional, runScalarReplacement},
    {"loop_invariants", "What does not change in a loop moves in front of it.", Need::Optional, runLoopInvariants},
    {"bounds_check_versioning", "Counted loops over arrays get a version without bounds checks.", Need::Optional,
     runBoundsCheckVersioning},
    {"null_check_elimination", "Accesses to what is known not to be null lose their check.", Need::Optional,
     runNullCheckElimination},
    {"spin_waits", "Volatile loads of loops that only wait for them are marked: their home may wait, too.",
     Need::Optional, runSpinWaits},
    {"coherence", "Checks in front of the accesses to objects that may be cached copies.", Need::WhenChecked,
     runCoherence},
    {"cleanup", "Dead code and parameters go; values and states are renumbered without gaps.", Need::Required,
     runCleanup},
};

/// Until after this pass the baseline's blocks stand where they stood, with new ones behind: resume points can be
/// found, and a continuation is made there.
constexpr std::string_view kLastStructural = "strip_mining";

Result<std::vector<const Pass*>> choosePasses(const Module& module, FunctionId function,
                                              const PipelineOptions& options) {
  if (options.passes) {
    for (const std::string& name : *options.passes) {
      bool known = std::any_of(std::begin(kPasses), std::end(kPasses), [&](const Pass& p) { return p.name == name; });
      if (!known) return Error{ErrorCode::kInvalidInput, fmt::format("unknown pass '{}'", name)};
    }
  }
  Prng prng(options.seed ^ std::hash<std::string>{}(module[function].name));
  std::vector<const Pass*> chosen;
  for (const Pass& pass : kPasses) {
    bool coin = prng.next() % 2 != 0;  // drawn for each pass, so that the list of names does not shift the choices
    bool wanted = !options.passes ||
                  std::find(options.passes->begin(), options.passes->end(), pass.name) != options.passes->end();
    if (options.seed != 0 && pass.need == Need::Optional && !coin) wanted = false;
    if (pass.need == Need::Required) wanted = true;
    if (pass.need == Need::WhenChecked) wanted = options.checked;
    if (wanted) chosen.push_back(&pass);
  }
  return chosen;
}

const Pass& lastStructural() {
  return *std::find_if(std::begin(kPasses), std::end(kPasses), [](const Pass& p) { return p.name == kLastStructural; });
}

void finishStructure(const PassContext& context, FunctionBody& body, std::optional<uint32_t> resumePoint) {
  if (resumePoint)
    makeContinuation(context, body, *resumePoint);
  else
    rebuildSsa(body);
}

Result<FunctionBody> run(const Module& module, const CallGraph& calls, FunctionId function,
                         std::optional<uint32_t> resumePoint, const PipelineOptions& options) {
  auto stored = module.body(function);
  if (!stored.ok()) return stored.error();
  auto passes = choosePasses(module, function, options);
  if (!passes.ok()) return passes.error();
  const FunctionBody& baseline = **stored;
  if (resumePoint && *resumePoint / 2 >= baseline.instrCount())
    return Error{ErrorCode::kInvalidInput,
                 fmt::format("'@{}' has no resume point {}", module[function].name, *resumePoint)};
  PassContext context{module, calls, function, baseline, options.checked, options.unmovable};
  FunctionBody body = baseline;
  bool isStructural = true;
  for (const Pass* pass : *passes) {
    if (isStructural && pass > &lastStructural()) {
      isStructural = false;
      finishStructure(context, body, resumePoint);
    }
    pass->run(context, body);
  }
  return body;
}

}  // namespace

void runCleanup(const PassContext&, FunctionBody& body) {
  removeUnreachableBlocks(body);
  removeTrivialParams(body);
  removeDead(body);
  compact(body);
}

std::span<const Pass> allPasses() {
  return kPasses;
}

Result<FunctionBody> runPipeline(const Module& module, const CallGraph& calls, FunctionId function,
                                 const PipelineOptions& options) {
  return run(module, calls, function, std::nullopt, options);
}

Result<FunctionBody> runContinuationPipeline(const Module& module, const CallGraph& calls, FunctionId function,
                                             uint32_t resumePoint, const PipelineOptions& options) {
  return run(module, calls, function, resumePoint, options);
}

}  // namespace jvmc::ir
