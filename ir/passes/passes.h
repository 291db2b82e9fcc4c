// Entry points of the passes, one file each; pipeline.cpp lists them with what they do.
#pragma once

#include "ir/passes/pass.h"

namespace jvmc::ir {

void runFrameStates(const PassContext& context, FunctionBody& body);
void runPollInsertion(const PassContext& context, FunctionBody& body);
void runStripMining(const PassContext& context, FunctionBody& body);
void runTypeDispatch(const PassContext& context, FunctionBody& body);
void runInlining(const PassContext& context, FunctionBody& body);
void runScalarReplacement(const PassContext& context, FunctionBody& body);
void runLoopInvariants(const PassContext& context, FunctionBody& body);
void runBoundsCheckVersioning(const PassContext& context, FunctionBody& body);
void runNullCheckElimination(const PassContext& context, FunctionBody& body);
void runSpinWaits(const PassContext& context, FunctionBody& body);
void runCoherence(const PassContext& context, FunctionBody& body);
void runCleanup(const PassContext& context, FunctionBody& body);

/// Takes the state of an instruction that is no safepoint and, with its flags, cannot throw any more.
void dropStateOfSafeInstr(const Module& module, const FunctionBody& body, Instr& instr);

/// Not in the list of passes: turns the body after the structural passes into the continuation at `resumePoint`
/// (pipeline.h).
void makeContinuation(const PassContext& context, FunctionBody& body, uint32_t resumePoint);

}  // namespace jvmc::ir
