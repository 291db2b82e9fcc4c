// What capture and resume know about a baseline function: its control flow, its liveness, and the typed slots of each
// of its resume points. Built on first use, cached for the life of the VM, shared by all threads.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "ir/analysis/cfg.h"
#include "ir/analysis/liveness.h"
#include "runtime/thread.h"

namespace jvmc::rt {

/// The slots of one resume point, in frame order.
struct PointSlots {
  std::vector<ir::ValueId> values;
  std::vector<ir::TypeId> types;
  std::vector<uint32_t> references;  ///< indexes of the slots that hold references, ascending
};

class FunctionInfo {
 public:
  FunctionInfo(const ir::Module& module, ir::FunctionId function, const ir::FunctionBody& body);
  ~FunctionInfo();

  ir::FunctionId function() const { return function_; }
  const ir::FunctionBody& body() const { return body_; }
  const ir::Cfg& cfg() const { return cfg_; }
  const ir::Instr& instr(uint32_t flatIndex) const;
  ir::BlockId blockOf(uint32_t flatIndex) const { return cfg_.position(flatIndex).block; }

  /// A frame may stand at `resumePoint`: before any instruction, or after one that is a Call safepoint.
  bool isResumePoint(uint32_t resumePoint) const;
  /// The slots at a resume point. Lock-free once built.
  const PointSlots& slots(uint32_t resumePoint) const;
  /// Type of the value that the callee or the runtime supplies at an `after` point; kVoid if there is none.
  ir::TypeId suppliedType(uint32_t resumePoint) const;
  /// Nesting depth of the innermost loop around an instruction, 0 outside loops.
  uint32_t loopDepth(uint32_t flatIndex) const;

 private:
  const ir::Module& module_;
  ir::FunctionId function_;
  const ir::FunctionBody& body_;
  ir::Cfg cfg_;
  ir::Liveness liveness_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<PointSlots>> owned_;
  std::unique_ptr<std::atomic<const PointSlots*>[]> points_;
};

/// The FunctionInfos of a module. Thread-safe.
class FunctionInfos {
 public:
  explicit FunctionInfos(const ir::Module& module);
  ~FunctionInfos();

  const ir::Module& module() const { return module_; }
  /// Fails if the stored body of the function is corrupt.
  Result<const FunctionInfo*> find(ir::FunctionId function) const;
  /// The same for a function that is known to be sound, because a frame of it exists.
  const FunctionInfo& operator[](ir::FunctionId function) const;
  /// The function with this content; invalid if the module has none. Hashes every function at the first call.
  ir::FunctionId findByHash(const ir::FunctionHash& hash) const;
  /// Frames of the function count against the guest depth limit.
  bool mayRecurse(ir::FunctionId function) const { return recursive_[function.index()]; }

 private:
  const ir::Module& module_;
  std::vector<bool> recursive_;
  mutable std::once_flag hashedOnce_;
  mutable std::map<ir::FunctionHash, ir::FunctionId> byHash_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<FunctionInfo>> owned_;
  std::unique_ptr<std::atomic<const FunctionInfo*>[]> infos_;
};

/// Visits the non-null references that a thread's data holds: frames, resumption, wait, its Thread object. The thread
/// must not run, or the world must be stopped.
void visitThreadReferences(const FunctionInfos& functions, const GuestThread& thread,
                           const std::function<void(ObjectRef)>& visit);

/// As above, for frames alone. `visit` gets the address of each reference slot, null ones included.
void forEachReferenceSlot(const FunctionInfos& functions, FrameStack& frames,
                          const std::function<void(uint64_t&)>& visit);

}  // namespace jvmc::rt
