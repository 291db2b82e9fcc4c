// Coherence checks of programs with peers: how often the slow path runs, with every object stale at first. The counts
// are the proof that LLVM merged and hoisted the markers before they were expanded.
#include <gtest/gtest.h>

#include "tests/unit/jit/fake_runtime.h"

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using test::slot;

constexpr const char* kKernels = R"(
class Body {
  field x: f64
  field y: f64
  field next: ref(Body)
}
func @sum(%a: array(i64)) -> i64 {
  %n = array_length %a
  br loop(0, 0)
loop(%i: i32, %s: i64):
  %more = lt.i32 %i, %n
  br_if %more, body, done
body:
  %v = load_elem %a, %i
  %s2 = add.i64 %s, %v
  %i2 = add.i32 %i, 1
  br loop(%i2, %s2)
done:
  return %s
}
func @saxpy(%k: f64, %x: array(f64), %y: array(f64)) {
  %n = array_length %x
  br loop(0)
loop(%i: i32):
  %more = lt.i32 %i, %n
  br_if %more, body, done
body:
  %xv = load_elem %x, %i
  %yv = load_elem %y, %i
  %p = mul.f64 %k, %xv
  %q = add.f64 %p, %yv
  store_elem %y, %i, %q
  %i2 = add.i32 %i, 1
  br loop(%i2)
done:
  return
}
func @length(%b: ref(Body)) -> i32 {
  br loop(%b, 0)
loop(%p: ref(Body), %n: i32):
  %isEnd = ref_eq %p, null
  br_if %isEnd, done, body
body:
  %n2 = add.i32 %n, 1
  %q = load_field %p, Body.next
  br loop(%q, %n2)
done:
  return %n
}
func @norm(%b: ref(Body)) -> f64 {
  %x = load_field %b, Body.x
  %y = load_field %b, Body.y
  %x2 = mul.f64 %x, %x
  %y2 = mul.f64 %y, %y
  %r = add.f64 %x2, %y2
  return %r
}
func @move(%b: ref(Body)) {
  store_field %b, Body.x, 1.0
  store_field %b, Body.y, 2.0
  return
}
func @isBody(%o: ref(Object)) -> i32 {
  %r = instance_of %o, ref(Body)
  return %r
}
)";

class Coherence : public testing::Test {
 protected:
  Coherence() { vm.ctx.epoch = 9 * rt::kEpochStep; }

  rt::ObjectRef stale(rt::ObjectRef object) {
    reinterpret_cast<rt::ObjectHeader*>(object)->epochWord = 3 * rt::kEpochStep;
    return object;
  }
  rt::ObjectRef newBody() {
    return vm.newObject(vm.module->findClass("Body").value, (*vm.layout)[vm.module->findClass("Body")].instanceBytes);
  }
  uint64_t slowCalls() { return vm.helperCalls["checkRead"] + vm.helperCalls["checkWrite"]; }

  FakeRuntime vm{kKernels, {.checked = true, .synchronous = true}};
};

TEST_F(Coherence, ALoopOverOneArrayChecksItOnce) {
  rt::ObjectRef a = stale(vm.newArray(ir::kI64, 5000));
  for (int i = 0; i < 5000; ++i) vm.elements<int64_t>(a)[i] = i;
  EXPECT_EQ(vm.run("sum", {a}).i64(), 5000 * 4999 / 2);
  EXPECT_EQ(slowCalls(), 1u);
  EXPECT_EQ(vm.run("sum", {a}).i64(), 5000 * 4999 / 2);
  EXPECT_EQ(slowCalls(), 1u) << "valid from then on";
}

TEST_F(Coherence, ALoopThatReadsOneArrayAndUpdatesAnotherChecksEachOnce) {
  rt::ObjectRef x = stale(vm.newArray(ir::kF64, 1000)), y = stale(vm.newArray(ir::kF64, 1000));
  vm.elements<double>(x)[999] = 2.0;
  vm.run("saxpy", {slot(3.0), x, y});
  EXPECT_EQ(vm.elements<double>(y)[999], 6.0);
  EXPECT_EQ(vm.helperCalls["checkRead"], 2u) << "x, and y for its first read";
  EXPECT_EQ(vm.helperCalls["checkWrite"], 1u);
}

TEST_F(Coherence, AZeroTripLoopChecksNoMoreThanTheLength) {
  vm.run("sum", {stale(vm.newArray(ir::kI64, 0))});
  EXPECT_LE(slowCalls(), 1u);
}

TEST_F(Coherence, AListChecksEachNodeOnce) {
  rt::ObjectRef head = rt::kNullRef;
  uint32_t offset = vm.layout->field({{}, vm.module->findClass("Body"), 2}).offset;
  for (int i = 0; i < 100; ++i) {
    rt::ObjectRef node = newBody();
    *reinterpret_cast<rt::ObjectRef*>(node + offset) = head;
    head = stale(node);
  }
  EXPECT_EQ(vm.run("length", {head}).i32(), 100);
  EXPECT_EQ(slowCalls(), 100u);
}

TEST_F(Coherence, AccessesToOneObjectShareACheck) {
  vm.run("norm", {stale(newBody())});
  EXPECT_EQ(vm.helperCalls["checkRead"], 1u);
  vm.run("move", {stale(newBody())});
  EXPECT_EQ(vm.helperCalls["checkWrite"], 1u);
}

TEST_F(Coherence, AWriteNeedsMoreThanAFreshCopy) {
  rt::ObjectRef body = newBody();
  auto& epoch = reinterpret_cast<rt::ObjectHeader*>(body)->epochWord;
  epoch = vm.ctx.epoch;  // fresh, but nobody's
  vm.run("norm", {body});
  EXPECT_EQ(slowCalls(), 0u);
  vm.run("move", {body});
  EXPECT_EQ(vm.helperCalls["checkWrite"], 1u);
  vm.run("move", {body});
  EXPECT_EQ(vm.helperCalls["checkWrite"], 1u) << "this thread is its writer now";
  vm.ctx.writerSlot = 6;
  vm.run("move", {body});
  EXPECT_EQ(vm.helperCalls["checkWrite"], 2u) << "the writer is another thread";
  epoch = rt::kEpochHome;
  vm.run("move", {body});
  EXPECT_EQ(vm.helperCalls["checkWrite"], 2u) << "at home anyone writes";
}

TEST_F(Coherence, NullThrowsOrIsNoInstanceWithoutACheck) {
  EXPECT_EQ(vm.run("norm", {0}).exception, "NullPointerException");
  EXPECT_EQ(vm.run("move", {0}).exception, "NullPointerException");
  EXPECT_EQ(vm.run("sum", {0}).exception, "NullPointerException");
  EXPECT_EQ(vm.run("isBody", {0}).i32(), 0);
  EXPECT_EQ(slowCalls(), 0u);
  EXPECT_EQ(vm.run("isBody", {stale(newBody())}).i32(), 1);
  EXPECT_EQ(slowCalls(), 1u) << "the class of an object that was never fetched is unknown";
}

TEST_F(Coherence, AResultIsTheSameWhereverCaptured) {
  rt::ObjectRef a = vm.newArray(ir::kI64, 5000);
  for (int i = 0; i < 5000; ++i) vm.elements<int64_t>(a)[i] = i;
  for (uint64_t k : {1, 7, 100}) {
    vm.captureEvery = k;
    stale(a);
    EXPECT_EQ(vm.run("sum", {a}).i64(), 5000 * 4999 / 2);
  }
}

}  // namespace
}  // namespace jvmc::jit
