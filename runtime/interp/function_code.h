// A function as the interpreter runs it: a compact array of instructions over a register file.
//
// Registers are 8-byte slots of the interpreter frame:
//
//     [ parameters | other references | other numbers | scratch | constants ]
//
// Every SSA value has its own register. References stand together so that a new frame zeroes one range and the
// collector reads exactly that range and the reference parameters; constants are copied in when a frame is made.
//
// A branch target's arguments are one parallel copy, made sequential here (a cycle goes through a scratch register), in
// a stub before the jump. A comparison whose only use is the branch after it is fused with it; the lone branch is still
// emitted out of line, because a frame may stand before it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/abi/class_info.h"
#include "runtime/abi/layout.h"
#include "runtime/frames/function_info.h"

namespace jvmc::rt {

enum class IOp : uint32_t {
#define JVMC_IOP(name) k##name,
#include "runtime/interp/interp_ops.def"
  kCount
};

struct Inst {
  IOp op;
  uint32_t d = 0, a = 0, b = 0;
};
static_assert(sizeof(Inst) == 16);

inline constexpr uint32_t kNoRegister = ~0u;

/// Cases ascending; a value that is none of them goes to `fallback`. Targets are instruction indexes.
struct SwitchTable {
  std::vector<std::pair<int32_t, uint32_t>> cases;
  int32_t low = 0;
  std::vector<uint32_t> dense;  ///< by value - low, if the cases are dense
  uint32_t fallback = 0;

  uint32_t find(int32_t value) const;
};

class FunctionCode {
 public:
  /// `body` is the function's own, or an optimised form of it (then `info` is still the baseline's).
  FunctionCode(const ModuleLayout& layout, const FunctionInfo& info, const ir::FunctionBody& body, bool countsDepth);

  ir::FunctionId function() const { return info_.function(); }
  const FunctionInfo& info() const { return info_; }
  const ir::FunctionBody& body() const { return body_; }

  const Inst* begin() const { return code_.data(); }
  const Inst* at(uint32_t inst) const { return code_.data() + inst; }
  bool contains(const Inst* inst) const {
    const uint64_t offset = uint64_t(inst) - uint64_t(code_.data());
    return offset < code_.size() * sizeof(Inst) && offset % sizeof(Inst) == 0;
  }
  /// The instruction to go on with at flat index i of `body`.
  const Inst* atFlat(uint32_t flatIndex) const { return code_.data() + instOfFlat_[flatIndex]; }
  uint32_t flatOf(const Inst* inst) const { return flatOfInst_[size_t(inst - code_.data())]; }
  /// Where an exception at `flatIndex` goes (its object in exceptionRegister()), or null.
  const Inst* handlerOf(uint32_t flatIndex) const;

  /// An argument list: its length, then registers.
  const uint32_t* argumentList(uint32_t index) const { return arguments_.data() + index; }
  const SwitchTable& switchTable(uint32_t index) const { return switches_[index]; }

  uint32_t paramCount() const { return paramCount_; }
  uint32_t referenceBegin() const { return paramCount_; }
  uint32_t referenceEnd() const { return referenceEnd_; }
  const std::vector<uint32_t>& referenceParams() const { return referenceParams_; }
  uint32_t constantBegin() const { return constantBegin_; }
  const std::vector<uint64_t>& constants() const { return constants_; }
  uint32_t exceptionRegister() const { return exceptionRegister_; }
  /// Words of a frame, header included.
  uint32_t frameWords() const { return frameWords_; }
  uint32_t registerOf(ir::ValueId v) const { return registerOf_[v.index()]; }
  /// Registers of the slots at a baseline resume point (not for optimised bodies). Lock-free once built.
  const std::vector<uint32_t>& slotRegisters(uint32_t resumePoint) const;
  /// The function may recurse: its frames count against the depth limit.
  bool countsDepth() const { return countsDepth_; }

  size_t bytes() const;

 private:
  friend class Predecoder;

  const FunctionInfo& info_;
  const ir::FunctionBody& body_;
  std::vector<Inst> code_;
  std::vector<uint32_t> flatOfInst_, instOfFlat_;
  std::vector<uint32_t> handlerOfFlat_;  // instruction index, or kNoRegister; empty if the function has no handlers
  std::vector<uint32_t> arguments_;
  std::vector<SwitchTable> switches_;
  std::vector<uint64_t> constants_;
  std::vector<uint32_t> referenceParams_, registerOf_;
  uint32_t paramCount_ = 0, referenceEnd_ = 0, constantBegin_ = 0, exceptionRegister_ = 0, frameWords_ = 0;
  bool countsDepth_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<std::vector<uint32_t>>> ownedSlots_;
  std::unique_ptr<std::atomic<const std::vector<uint32_t>*>[]> slotRegisters_;
};

/// The FunctionCodes of a module, built on first use. Thread-safe.
class FunctionCodes {
 public:
  FunctionCodes(const ModuleLayout& layout, const FunctionInfos& infos);
  ~FunctionCodes();

  size_t functionCount() const { return layout_.module().functions.size(); }
  /// The code if it is there.
  const FunctionCode* ready(uint32_t function) const { return codes_[function].load(std::memory_order_acquire); }
  /// The code that calls run. Fails if the stored body is corrupt.
  Result<const FunctionCode*> find(ir::FunctionId function);
  /// The code of the stored body, which is what frames go on in.
  Result<const FunctionCode*> findStored(ir::FunctionId function);
  /// Calls of `function` interpret `body`, an optimised form of it, from now on (tests of passes; before the first
  /// call).
  void replaceBody(ir::FunctionId function, const ir::FunctionBody& body);

 private:
  using Table = std::unique_ptr<std::atomic<const FunctionCode*>[]>;
  const FunctionCode* install(Table& table, ir::FunctionId function, std::unique_ptr<FunctionCode> code);

  const ModuleLayout& layout_;
  const FunctionInfos& infos_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<FunctionCode>> owned_;
  Table codes_;   // what calls run
  Table stored_;  // of stored bodies where those are others
};

}  // namespace jvmc::rt
