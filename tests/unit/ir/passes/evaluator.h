// Runs IR bodies, stored and optimised, with capture and resumption: the oracle of the pass tests. Slow, simple, one
// thread. What a program does is its log (calls of the native `@log`), its result or exception, and its stack traces.
//
// It distrusts optimised code: a null object behind `nonnull`, an index out of range behind `inbounds`, a stale
// coherence token, an access without a valid check, a frame state that does not fit, too much work between two
// safepoints: each is a failure of the pass, reported in `faults`.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/analysis/call_graph.h"
#include "ir/analysis/liveness.h"
#include "ir/passes/pipeline.h"

namespace jvmc::ir::test {

struct Object;

struct Val {
  uint64_t bits = 0;
  Object* ref = nullptr;
  // What a coherence check promised about this copy of the reference.
  uint64_t checkedAt = 0;
  bool checkedWrite = false;
  int64_t from = 0, to = INT64_MAX;
};

struct Object {
  ClassId cls;
  TypeId array;
  std::map<std::pair<uint32_t, uint32_t>, Val> fields;
  std::vector<Val> elements;
};

/// A portable frame.
struct Frame {
  FunctionId function;
  uint32_t point = 0;
  std::vector<Val> slots;
};

struct Outcome {
  std::string log;  ///< what the program logged, and at its end its result or exception
  uint64_t captures = 0;
  uint64_t steps = 0;  ///< instructions executed
};

class Evaluator {
 public:
  struct Options {
    bool optimise = true;
    PipelineOptions pipeline = {};
    uint64_t captureEvery = 0;      ///< every k-th safepoint captures all frames and resumes; 0 never
    bool resumeInBaseline = false;  ///< resume by interpreting the stored body, else by continuations
    bool verify = true;             ///< each optimised body goes through verifyBody
  };

  Evaluator(const Module& module, const CallGraph& calls, Options options);
  ~Evaluator();

  Outcome run(FunctionId function, std::vector<Val> args);
  const std::vector<std::string>& faults() const { return faults_; }

  Object* newArray(TypeId elementType, size_t length);

 private:
  enum class Status { Normal, Exception, Capture };
  struct Code;  // a body with what is needed to run it
  struct Activation;

  const Code& codeOf(FunctionId function);
  const Code& continuationOf(FunctionId function, uint32_t point);
  const Code& baselineOf(FunctionId function);
  Status invoke(FunctionId function, std::vector<Val> args, Val& result);
  Status enter(const Code& code, std::vector<Val> args, Val& result);
  Status resume(const Frame& frame, Status status, Val& result);
  Status loop(Activation& a, Val& result);
  Status step(Activation& a, const Instr& instr);
  bool arithmetic(Activation& a, const Instr& instr, Val& out);
  bool access(Activation& a, const Instr& instr, Status& status);
  void coherence(Activation& a, const Instr& instr);
  Status call(Activation& a, const Instr& instr);
  Status safepoint(Activation& a, const Instr& instr);
  void capture(Activation& a, const Instr& instr, bool after);
  Status raise(ClassId cls);
  void trace(Activation& a, const Instr& instr);
  bool goTo(Activation& a, const BlockCall& target, const Val* exception);
  bool handle(Activation& a, const Instr& instr);
  Val fresh(Object* object) const;
  void requireChecked(Activation& a, const Val& object, bool write, std::optional<int64_t> index);
  void fault(const std::string& what);
  std::string describe(const Val& v, TypeId type) const;

  const Module& module_;
  const CallGraph& calls_;
  Options options_;
  std::vector<std::unique_ptr<Code>> codes_;
  std::map<uint32_t, const Code*> byFunction_, baselines_;
  std::map<std::pair<uint32_t, uint32_t>, const Code*> continuations_;
  std::deque<Object> heap_;
  std::map<std::pair<uint32_t, uint32_t>, Val> statics_;
  std::vector<std::string> faults_;
  std::string log_;
  std::vector<std::pair<uint32_t, uint32_t>> trace_;
  std::vector<Frame> frames_;  // being captured, innermost first
  Val exception_;
  uint64_t events_ = 0, captures_ = 0, steps_ = 0, sinceSafepoint_ = 0, epoch_ = 1;
  uint32_t depth_ = 0;
};

}  // namespace jvmc::ir::test
