// The verifier of one body; its parts stand in body.cpp (shape, values, dominance), instructions.cpp (types) and
// frame_states.cpp.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "ir/analysis/cfg.h"
#include "ir/analysis/liveness.h"
#include "ir/signature.h"
#include "ir/text/literals.h"
#include "ir/text/value_names.h"
#include "ir/verify/report.h"

namespace jvmc::ir::verify {

class BodyVerifier {
 public:
  BodyVerifier(const Module& module, FunctionId function, const FunctionBody& body, bool allowOptimised, Report& report)
      : module_(module),
        function_(function),
        decl_(module[function]),
        body_(body),
        optimised_(allowOptimised && body.optimised),
        report_(report) {}

  void run();

 private:
  // -- body.cpp
  bool checkShape();
  void valueEntry(ValueId v);
  void blockIds(BlockId b);
  void existing(ValueId v, const VerifyPlace& place);
  void callIds(const BlockCall& call, const VerifyPlace& place);
  void instrIds(const Instr& instr, const VerifyPlace& place, bool isLast);
  bool symbolExists(const Instr& instr) const;
  void stateIds();
  void checkValues();
  void define(ValueId v, Value::Kind kind, BlockId b, uint32_t index, const VerifyPlace& place);
  void checkDominance();
  bool availableAtStart(ValueId v, BlockId b) const;
  bool available(ValueId v, BlockId b, uint32_t index) const;
  void undominated(ValueId v, const VerifyPlace& place, std::string_view where);

  // -- instructions.cpp
  void checkTypes(BlockId b);
  void checkInstr(const Instr& instr, const VerifyPlace& place);
  bool suffixOk(const Instr& instr) const;
  void checkOperands(const Instr& instr, const VerifyPlace& place);
  /// Passes know more about the classes of objects than types say (an inlined virtual call): in optimised bodies any
  /// reference may stand for any other.
  bool assignable(TypeId from, TypeId to) const;
  bool fits(TypeId type, const OperandRule& rule) const;
  std::string ruleText(const OperandRule& rule) const;
  void checkResult(const Instr& instr, const VerifyPlace& place);
  void checkTargets(const Instr& instr, const VerifyPlace& place);
  void checkArguments(const BlockCall& call, size_t firstParam, const VerifyPlace& place);
  void checkHandler(BlockId b);
  void checkSpecial(const Instr& instr, const VerifyPlace& place);
  void checkAtomic(const Instr& instr, const VerifyPlace& place);
  void checkStore(const Instr& instr, const VerifyPlace& place);
  bool mayStoreFinal(ClassId owner) const;

  // -- frame_states.cpp
  using Use = std::function<void(ValueId)>;
  void checkState(const Instr& instr, const VerifyPlace& place, const Use& use);
  bool checkPoint(const FrameState& state, const VerifyPlace& place, bool isInnermost, const FrameState* inner);
  void checkSlots(const FrameState& state, const FrameState& innermost, const VerifyPlace& place, const Use& use);
  void checkVirtual(const VirtualObject& object, const FrameState& innermost, const VerifyPlace& place, const Use& use);
  bool sourceFits(const SlotSource& source, TypeId type, const FrameState& innermost) const;
  /// A baseline function that frame states name, with its liveness; null if its body cannot be had.
  struct Baseline {
    const FunctionBody* body;
    Cfg cfg;
    Liveness liveness;
    explicit Baseline(const FunctionBody& b) : body(&b), cfg(b), liveness(b, cfg) {}
  };
  Baseline* baseline(FunctionId function);

  // -- places and names
  template <class Action>
  void forEachBlock(Action action) {
    for (uint32_t b = 0; b < body_.blocks.size() && !report_.full(); ++b) action(BlockId(b));
  }
  VerifyPlace functionPlace() const { return {.kind = VerifyPlace::Kind::Function, .function = function_}; }
  VerifyPlace blockPlace(BlockId b) const {
    return {.kind = VerifyPlace::Kind::Block, .function = function_, .block = b};
  }
  VerifyPlace instrPlace(BlockId b, uint32_t i) const {
    return {.kind = VerifyPlace::Kind::Instr, .function = function_, .block = b, .index = i};
  }
  static VerifyPlace operandPlace(VerifyPlace place, size_t operand) {
    place.operand = uint32_t(operand);
    return place;
  }
  static VerifyPlace targetPlace(VerifyPlace place, size_t target) {
    place.target = uint32_t(target);
    return place;
  }
  VerifyPlace statePlace(uint32_t s) const {
    return {.kind = VerifyPlace::Kind::FrameState, .function = function_, .index = s};
  }
  SourceLoc locationOf(const VerifyPlace& place) const;
  void error(Invariant invariant, const VerifyPlace& place, std::string message);
  std::string valueName(ValueId v);
  std::string blockName(BlockId b);
  const text::BodyNames& names();
  TypeId typeOf(ValueId v) const { return body_[v].type; }

  struct Definition {
    bool known = false;
    BlockId block = {};
    uint32_t index = 0;
  };

  const Module& module_;
  FunctionId function_;
  const FunctionDecl& decl_;
  const FunctionBody& body_;
  bool optimised_;
  Report& report_;
  std::vector<Definition> definitions_;
  const Cfg* cfg_ = nullptr;
  std::optional<text::BodyNames> names_;
  std::map<FunctionId, std::unique_ptr<Baseline>> baselines_;
};

}  // namespace jvmc::ir::verify
