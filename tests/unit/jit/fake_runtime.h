// A runtime small enough to be read at once, so that the JIT is tested alone: one thread, a bump heap that is never
// collected, every jvmc_ helper with its plain meaning, and a driver that resumes captured frames by continuations.
//
//     FakeRuntime vm(R"(func @twice(%x: i32) -> i32 { ... })");
//     vm.captureEvery = 3;                          // every third safepoint unwinds into frames and resumes
//     EXPECT_EQ(vm.run("twice", {21}).i32(), 42);
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ir/analysis/call_graph.h"
#include "ir/module.h"
#include "jit/compiler.h"
#include "runtime/abi/context.h"
#include "runtime/class_table.h"

namespace jvmc::jit::test {

uint64_t slot(int32_t v);
uint64_t slot(int64_t v);
uint64_t slot(float v);
uint64_t slot(double v);

struct Outcome {
  uint64_t bits = 0;
  std::string exception;                                ///< class name, empty if the function returned
  std::vector<std::pair<std::string, uint32_t>> trace;  ///< function and flat index, innermost first

  int32_t i32() const { return int32_t(uint32_t(bits)); }
  int64_t i64() const { return int64_t(bits); }
  float f32() const;
  double f64() const;
};

struct Frame {
  uint32_t function, resumePoint;
  std::vector<uint64_t> slots;
};

class FakeRuntime {
 public:
  /// Two at a time need plans that do not overlap.
  explicit FakeRuntime(const std::string& text, rt::CodeOptions options = {.synchronous = true},
                       rt::AddressPlan plan = {});
  ~FakeRuntime();

  Outcome run(const std::string& function, std::vector<uint64_t> arguments = {});

  rt::ObjectRef newObject(rt::ClassIndex index, uint64_t bytes);
  rt::ObjectRef newArray(ir::TypeId element, uint32_t length);
  template <class T>
  T* elements(rt::ObjectRef array) {
    return reinterpret_cast<T*>(array + rt::kArrayElementsOffset);
  }
  ir::FunctionId function(const std::string& name) const;

  /// Called by every helper that is a safepoint, after it did its work: `value` is its result.
  void safepoint(uint64_t value = 0);
  void poll();
  void raise(rt::ObjectRef exception);
  void raiseBuiltin(uint32_t kind);

  std::unique_ptr<ir::Module> module;
  std::unique_ptr<rt::ModuleLayout> layout;
  std::unique_ptr<rt::ClassTable> classes;
  std::unique_ptr<ir::CallGraph> calls;
  std::unique_ptr<rt::CodeProvider> code;
  rt::ThreadContext ctx;
  std::atomic<uint64_t> clock{rt::kEpochStep};

  uint64_t captureEvery = 0;      ///< 0: never
  bool captureWhenAsked = false;  ///< a poll captures if another thread has stored kPollRequested since the last one
  std::map<std::string, std::function<uint64_t(const uint64_t*)>> natives;

  // What happened.
  std::map<std::string, uint64_t> helperCalls;
  uint64_t captures = 0, deepestCapture = 0;
  std::vector<Frame> captured;  ///< of the capture in progress, innermost first
  std::vector<std::pair<std::string, uint32_t>> trace;

 private:
  void capture(uint64_t value);
  void resumeTop(std::vector<Frame>& frames, uint64_t value, uint64_t* result);

  uint64_t safepoints_ = 0;
  uint64_t resumption_ = 0;  // value for the innermost frame of a capture
  uint64_t heapNext_ = 0;
};

}  // namespace jvmc::jit::test
