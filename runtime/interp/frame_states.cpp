// Capture of optimised bodies in the interpreter: what the cold blocks of compiled code do, as the oracle of tests.
#include "runtime/helpers/access.h"
#include "runtime/interp/frame_ops.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

const ir::Instr& instrAt(const ir::FunctionBody& body, uint32_t flatIndex) {
  for (const ir::Block& block : body.blocks) {
    if (flatIndex < block.instrs.size()) return block.instrs[flatIndex];
    flatIndex -= uint32_t(block.instrs.size());
  }
  JVMC_UNREACHABLE(flatIndex);
}

/// Instance fields of a class, superclass first: the order of VirtualObject::fields.
std::vector<FieldLayout> allFields(const ModuleLayout& layout, ir::ClassId cls) {
  std::vector<FieldLayout> fields;
  if (ir::ClassId super = layout.module()[cls].super; super.valid()) fields = allFields(layout, super);
  fields.insert(fields.end(), layout[cls].fields.begin(), layout[cls].fields.end());
  return fields;
}

}  // namespace

void addTraceStates(ThreadContext& ctx, const FunctionCode& code, uint32_t flatIndex) {
  const ir::FunctionBody& body = code.body();
  for (ir::FrameStateId id = instrAt(body, flatIndex).frameState; id.valid(); id = body.frameStates[id.index()].outer)
    jvmc_addTraceFrame(&ctx, body.frameStates[id.index()].function.value, body.frameStates[id.index()].resumePoint / 2);
}

void captureFrameStates(ThreadContext& ctx, InterpFrame* frame, uint32_t flatIndex) {
  const ir::FunctionBody& body = frame->code->body();
  const ir::FrameStateId innermost = instrAt(body, flatIndex).frameState;
  JVMC_CHECK(innermost.valid(), "a safepoint of optimised code has no frame state", flatIndex);
  const auto& virtuals = body.frameStates[innermost.index()].virtuals;
  const ModuleLayout& layout = ctx.vm->layout();
  const uint64_t* r = frame->registers();

  std::vector<ObjectRef> objects;
  for (const ir::VirtualObject& v : virtuals) {
    objects.push_back(jvmc_materialise(&ctx, layout.classIndex(v.cls)));
    if (v.elidedLocks > 0)
      header(objects.back())->lockWord.store(uint32_t(ctx.lockOwner) + v.elidedLocks - 1, std::memory_order_relaxed);
  }
  auto valueOf = [&](const ir::SlotSource& source) {
    return source.kind == ir::SlotSource::Kind::Virtual ? objects[source.virtualIndex]
                                                        : r[frame->code->registerOf(source.value)];
  };
  for (size_t i = 0; i < virtuals.size(); ++i) {
    std::vector<FieldLayout> fields = allFields(layout, virtuals[i].cls);
    for (size_t f = 0; f < fields.size(); ++f)
      storeSlot(objects[i] + fields[f].offset, fields[f].kind, valueOf(virtuals[i].fields[f]));
  }
  for (ir::FrameStateId id = innermost; id.valid(); id = body.frameStates[id.index()].outer) {
    const ir::FrameState& state = body.frameStates[id.index()];
    uint64_t* slots = jvmc_captureFrame(&ctx, state.function.value, state.resumePoint, uint32_t(state.slots.size()));
    for (size_t i = 0; i < state.slots.size(); ++i) slots[i] = valueOf(state.slots[i]);
  }
}

}  // namespace jvmc::rt
