#include "runtime/frames/function_info.h"

#include <functional>

#include "ir/analysis/call_graph.h"
#include "ir/analysis/safepoints.h"
#include "ir/support/fault.h"
#include "runtime/frames/runtime_frames.h"

namespace jvmc::rt {

FunctionInfo::FunctionInfo(const ir::Module& module, ir::FunctionId function, const ir::FunctionBody& body)
    : module_(module),
      function_(function),
      body_(body),
      cfg_(body),
      liveness_(body, cfg_),
      points_(std::make_unique<std::atomic<const PointSlots*>[]>(2 * size_t(cfg_.instrCount()))) {}

FunctionInfo::~FunctionInfo() = default;

const ir::Instr& FunctionInfo::instr(uint32_t flatIndex) const {
  auto [block, index] = cfg_.position(flatIndex);
  return body_[block].instrs[index];
}

bool FunctionInfo::isResumePoint(uint32_t resumePoint) const {
  if (resumePoint / 2 >= cfg_.instrCount()) return false;
  return resumePoint % 2 == 0 || ir::safepointKind(module_, instr(resumePoint / 2)) == ir::SafepointKind::After;
}

const PointSlots& FunctionInfo::slots(uint32_t resumePoint) const {
  JVMC_CHECK(resumePoint < 2 * cfg_.instrCount(), resumePoint, cfg_.instrCount());
  std::atomic<const PointSlots*>& entry = points_[resumePoint];
  if (const PointSlots* ready = entry.load(std::memory_order_acquire)) return *ready;

  auto slots = std::make_unique<PointSlots>();
  slots->values = liveness_.slots(resumePoint);
  for (ir::ValueId v : slots->values) {
    ir::TypeId type = body_[v].type;
    if (module_.types[type].isReference()) slots->references.push_back(uint32_t(slots->types.size()));
    slots->types.push_back(type);
  }
  std::scoped_lock lock(mutex_);
  if (const PointSlots* ready = entry.load(std::memory_order_acquire)) return *ready;
  owned_.push_back(std::move(slots));
  entry.store(owned_.back().get(), std::memory_order_release);
  return *owned_.back();
}

ir::TypeId FunctionInfo::suppliedType(uint32_t resumePoint) const {
  if (resumePoint % 2 == 0) return ir::kVoid;
  ir::ValueId result = instr(resumePoint / 2).result;
  return result.valid() ? body_[result].type : ir::kVoid;
}

uint32_t FunctionInfo::loopDepth(uint32_t flatIndex) const {
  int loop = cfg_.loopOf(blockOf(flatIndex));
  return loop < 0 ? 0 : cfg_.loops()[size_t(loop)].depth;
}

// ---------------------------------------------------------------- cache

FunctionInfos::FunctionInfos(const ir::Module& module)
    : module_(module),
      recursive_(module.functions.size()),
      infos_(std::make_unique<std::atomic<const FunctionInfo*>[]>(module.functions.size())) {
  ir::CallGraph calls(module);
  for (uint32_t f = 0; f < recursive_.size(); ++f) recursive_[f] = calls.mayRecurse(ir::FunctionId(f));
}

FunctionInfos::~FunctionInfos() = default;

Result<const FunctionInfo*> FunctionInfos::find(ir::FunctionId function) const {
  JVMC_CHECK(function.index() < module_.functions.size(), function.value);
  std::atomic<const FunctionInfo*>& entry = infos_[function.index()];
  if (const FunctionInfo* ready = entry.load(std::memory_order_acquire)) return ready;
  Result<const ir::FunctionBody*> body = module_.body(function);
  if (!body.ok()) return std::move(body).error();
  auto info = std::make_unique<FunctionInfo>(module_, function, **body);
  std::scoped_lock lock(mutex_);
  if (const FunctionInfo* ready = entry.load(std::memory_order_acquire)) return ready;
  owned_.push_back(std::move(info));
  entry.store(owned_.back().get(), std::memory_order_release);
  return static_cast<const FunctionInfo*>(owned_.back().get());
}

const FunctionInfo& FunctionInfos::operator[](ir::FunctionId function) const {
  Result<const FunctionInfo*> info = find(function);
  JVMC_CHECK(info.ok(), module_[function].name, info.error().message);
  return **info;
}

ir::FunctionId FunctionInfos::findByHash(const ir::FunctionHash& hash) const {
  std::call_once(hashedOnce_, [&] {
    for (uint32_t f = 0; f < module_.functions.size(); ++f)
      byHash_.emplace(module_.hash(ir::FunctionId(f)), ir::FunctionId(f));
  });
  auto it = byHash_.find(hash);
  return it == byHash_.end() ? ir::FunctionId() : it->second;
}

// ---------------------------------------------------------------- references in frames

void forEachReferenceSlot(const FunctionInfos& functions, FrameStack& frames,
                          const std::function<void(uint64_t&)>& visit) {
  for (size_t i = 0; i < frames.depth(); ++i) {
    const FrameHeader& header = frames.header(i);
    uint64_t* slots = frames.slots(i);
    if (header.function == kFrameClassInit) {
      visit(slots[2]);
    } else if (header.function == kFrameThreadStart) {
      visit(slots[0]);
      const PointSlots& point = functions[ir::FunctionId(uint32_t(slots[2]))].slots(ir::pointBefore(0));
      for (uint32_t r : point.references) visit(slots[kThreadStartFixedSlots + r]);
    } else if (!isRuntimeFrame(header.function)) {
      for (uint32_t r : functions[ir::FunctionId(header.function)].slots(header.resumePoint).references)
        if (!JVMC_FAULT("reference-slot-taken-for-an-integer")) visit(slots[r]);
    }
  }
}

void visitThreadReferences(const FunctionInfos& functions, const GuestThread& thread,
                           const std::function<void(ObjectRef)>& visit) {
  auto visitRef = [&](ObjectRef ref) {
    if (ref != kNullRef) visit(ref);
  };
  auto visitResumption = [&](const Resumption& r) {
    visitRef(r.exception);
    if (r.kind != Resumption::Kind::Value || thread.frames.empty()) return;
    // The value is a reference if the instruction it goes to has a reference result.
    const FrameHeader& top = thread.frames.top();
    if (isRuntimeFrame(top.function) || top.resumePoint % 2 == 0) return;
    ir::TypeId type = functions[ir::FunctionId(top.function)].suppliedType(top.resumePoint);
    if (functions.module().types[type].isReference()) visitRef(r.value);
  };
  visitRef(thread.ref.object);
  visitRef(thread.wait.object);
  visitResumption(thread.resumption);
  auto visitSlot = [&](uint64_t& slot) { visitRef(slot); };
  forEachReferenceSlot(functions, const_cast<FrameStack&>(thread.frames), visitSlot);
  forEachReferenceSlot(functions, const_cast<FrameStack&>(thread.captured), visitSlot);
}

}  // namespace jvmc::rt
