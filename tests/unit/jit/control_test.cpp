// Calls, volatile access, monitors, threads and exceptions: what they compute, what they throw, and that capture at
// every safepoint changes neither.
#include "tests/unit/jit/all_ways.h"

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using test::runAllWays;
using test::slot;

TEST(Calls, VirtualAndInterfaceCallsFindTheOverride) {
  FakeRuntime vm(R"(
interface Scaled {
  method scale(i32) -> i32
}
class abstract Animal implements Scaled {
  method legs() -> i32
  method scale(i32) -> i32 = @animalScale
}
class Dog : Animal {
  method legs() -> i32 = @dogLegs
}
class Bird : Animal {
  method legs() -> i32 = @birdLegs
  method scale(i32) -> i32 = @birdScale
}
class Ghost : Animal {
}
func @dogLegs(%this: ref(Dog)) -> i32 {
  return 4
}
func @birdLegs(%this: ref(Bird)) -> i32 {
  return 2
}
func @animalScale(%this: ref(Animal), %x: i32) -> i32 {
  %l = call_virtual %this, Animal.legs()
  %r = mul.i32 %l, %x
  return %r
}
func @birdScale(%this: ref(Bird), %x: i32) -> i32 {
  return %x
}
func @make(%k: i32) -> ref(Animal) {
  switch %k, none [0: dog, 1: bird, 2: ghost]
dog:
  %d = new Dog
  return %d
bird:
  %b = new Bird
  return %b
ghost:
  %g = new Ghost
  return %g
none:
  return null
}
func @legs(%k: i32) -> i32 {
  %a = call @make(%k)
  %l = call_virtual %a, Animal.legs()
  return %l
}
func @scaled(%k: i32) -> i32 {
  %a = call @make(%k)
  %l = call_interface %a, Scaled.scale(10)
  return %l
}
)");
  EXPECT_EQ(runAllWays(vm, "legs", {slot(0)}).i32(), 4);
  EXPECT_EQ(runAllWays(vm, "legs", {slot(1)}).i32(), 2);
  EXPECT_EQ(runAllWays(vm, "legs", {slot(2)}).exception, "AbstractMethodError");
  EXPECT_EQ(runAllWays(vm, "legs", {slot(3)}).exception, "NullPointerException");
  EXPECT_EQ(runAllWays(vm, "scaled", {slot(0)}).i32(), 40);
  EXPECT_EQ(runAllWays(vm, "scaled", {slot(1)}).i32(), 10);
  EXPECT_EQ(runAllWays(vm, "scaled", {slot(3)}).exception, "NullPointerException");
}

TEST(Calls, EverySlotTypePassesThroughBothAdaptersAndNatives) {
  FakeRuntime vm(R"(
native @mix(i32, i64, f32, f64, array(i8)) -> f64 node
func @many(%a: i32, %b: i64, %c: f32, %d: f64, %e: array(i8), %f: i32, %g: i64, %h: i32, %i: f64) -> f64 {
  %r = call_native @mix(%a, %b, %c, %d, %e)
  %gd = i64_to_f64 %g
  %s = add.f64 %r, %gd
  %hd = i32_to_f64 %h
  %t = add.f64 %s, %hd
  %u = add.f64 %t, %i
  %fd = i32_to_f64 %f
  %v = add.f64 %u, %fd
  return %v
}
func @caller(%a: i32) -> f64 {
  %bytes = new_array i8, %a
  %r = call @many(%a, -2, 0.5, 1.25, %bytes, -7, 100, -1000, 0.125)
  return %r
}
)");
  vm.natives["mix"] = [&](const uint64_t* a) {
    double array = *reinterpret_cast<int32_t*>(a[4] + rt::kArrayLengthOffset);
    return slot(double(int32_t(a[0])) + double(int64_t(a[1])) + std::bit_cast<float>(uint32_t(a[2])) +
                std::bit_cast<double>(a[3]) + array * 1e6);
  };
  EXPECT_EQ(runAllWays(vm, "caller", {slot(3)}).f64(), 3 - 2 + 0.5 + 1.25 + 3e6 - 7 + 100 - 1000 + 0.125);
}

constexpr const char* kAtomics = R"(
class Cell {
  field volatile n: i32
  field volatile b: i8
  field l: i64
  field link: ref(Cell)
}
func @fields() -> i64 {
  %c = new Cell
  store_field %c, Cell.n, 5
  %old = add_field %c, Cell.n, 3
  %was = swap_field %c, Cell.n, 100
  %no = cas_field %c, Cell.n, 1, 2
  %yes = cas_field %c, Cell.n, 100, -4
  %now = load_field %c, Cell.n
  store_field %c, Cell.b, 200
  %b = load_field %c, Cell.b
  %linked = cas_field %c, Cell.link, null, %c
  %link = swap_field %c, Cell.link, null
  %isC = ref_eq %link, %c
  %l0 = add_field %c, Cell.l, -1
  %l1 = load_field %c, Cell.l
  %1 = mul.i32 %old, 10
  %2 = add.i32 %1, %was
  %3 = mul.i32 %2, 10
  %4 = add.i32 %3, %no
  %5 = mul.i32 %4, 10
  %6 = add.i32 %5, %yes
  %7 = mul.i32 %6, 10
  %8 = add.i32 %7, %now
  %9 = mul.i32 %8, 1000
  %10 = add.i32 %9, %b
  %11 = mul.i32 %10, 10
  %12 = add.i32 %11, %linked
  %13 = add.i32 %12, %isC
  %14 = i32_to_i64 %13
  %15 = add.i64 %14, %l1
  fence
  return %15
}
func @elements() -> i32 {
  %a = new_array i32, 4
  store_elem_volatile %a, 1, 7
  %old = add_elem %a, 1, 2
  %was = swap_elem %a, 1, 20
  %yes = cas_elem %a, 1, 20, 30
  %now = load_elem_volatile %a, 1
  %1 = mul.i32 %old, 10
  %2 = add.i32 %1, %was
  %3 = mul.i32 %2, 10
  %4 = add.i32 %3, %yes
  %5 = mul.i32 %4, 100
  %6 = add.i32 %5, %now
  return %6
}
)";

TEST(Atomics, AccessesGiveTheOldValueOrSuccess) {
  int64_t n = 5;
  n = n * 10 + 8;
  n = n * 10 + 0;
  n = n * 10 + 1;
  n = n * 10 - 4;
  n = n * 1000 + int8_t(200);
  n = n * 10 + 1 + 1 - 1;
  for (bool checked : {false, true}) {
    FakeRuntime vm(kAtomics, {.checked = checked, .synchronous = true});
    EXPECT_EQ(runAllWays(vm, "fields").i64(), n) << "checked " << checked;
    EXPECT_EQ(runAllWays(vm, "elements").i32(), ((7 * 10 + 9) * 10 + 1) * 100 + 30);
    EXPECT_EQ(vm.helperCalls["atomicAccess"], 0u) << "objects at home are accessed inline";
  }
}

TEST(Atomics, AnObjectElsewhereIsAccessedByTheRuntimeAndCapturable) {
  FakeRuntime vm(R"(
class Cell {
  field volatile n: i32
}
func @bump(%c: ref(Cell)) -> i32 {
  %1 = add_field %c, Cell.n, 5
  %2 = add_field %c, Cell.n, 5
  %3 = load_field %c, Cell.n
  %4 = add.i32 %2, %3
  return %4
}
)",
                 {.checked = true, .synchronous = true});
  rt::ClassIndex index = vm.module->findClass("Cell").value;
  rt::ObjectRef cell = vm.newObject(index, 24);
  reinterpret_cast<rt::ObjectHeader*>(cell)->epochWord = rt::kEpochStep;  // a cached copy
  EXPECT_EQ(vm.run("bump", {cell}).i32(), 15);
  EXPECT_EQ(vm.helperCalls["atomicAccess"], 3u);
  vm.captureEvery = 1;
  EXPECT_EQ(vm.run("bump", {cell}).i32(), 15 + 20);
  EXPECT_EQ(vm.captures, 3u);
}

constexpr const char* kMonitors = R"(
func @locked(%o: ref(Object), %n: i32) -> i32 {
  monitor_enter %o
  %again = gt.i32 %n, 0
  br_if %again, deeper, leave
deeper:
  %m = sub.i32 %n, 1
  %r = call @locked(%o, %m)
  br leave
leave:
  monitor_exit %o
  return %n
}
func @signal(%o: ref(Object)) {
  monitor_enter %o
  monitor_wait %o, 1000
  monitor_notify %o
  monitor_notify_all %o
  monitor_exit %o
  return
}
func @exitOnly(%o: ref(Object)) {
  monitor_exit %o
  return
}
)";

TEST(Monitors, AnUncontendedLockIsInlineAndCountsItsOwnersEntries) {
  FakeRuntime vm(kMonitors);
  rt::ObjectRef o = vm.newObject(ir::builtin::kObject.value, 16);
  auto& word = reinterpret_cast<rt::ObjectHeader*>(o)->lockWord;
  EXPECT_EQ(vm.run("locked", {o, slot(0)}).i32(), 0);
  EXPECT_EQ(word, 0u);
  EXPECT_EQ(vm.helperCalls["monitorEnter"] + vm.helperCalls["monitorExit"], 0u);
  EXPECT_EQ(vm.run("locked", {o, slot(3)}).i32(), 3);
  EXPECT_EQ(vm.helperCalls["monitorEnter"], 0u);
  EXPECT_EQ(word, 0u);
  EXPECT_EQ(runAllWays(vm, "signal", {o}).exception, "");
  EXPECT_EQ(vm.helperCalls["monitorWait"], vm.helperCalls["monitorNotifyAll"]);
  EXPECT_EQ(runAllWays(vm, "exitOnly", {0}).exception, "NullPointerException");
  EXPECT_EQ(runAllWays(vm, "exitOnly", {o}).exception, "IllegalMonitorStateException");
}

TEST(Monitors, AForeignOrInflatedLockGoesToTheRuntime) {
  FakeRuntime vm(kMonitors);
  rt::ObjectRef o = vm.newObject(ir::builtin::kObject.value, 16);
  auto& word = reinterpret_cast<rt::ObjectHeader*>(o)->lockWord;
  for (uint32_t held : {uint32_t(9 << rt::kLockOwnerShift), rt::kLockInflated | uint32_t(vm.ctx.lockOwner)}) {
    word = held;
    vm.helperCalls.clear();
    vm.run("locked", {o, slot(0)});
    EXPECT_EQ(vm.helperCalls["monitorEnter"], 1u);
    EXPECT_EQ(vm.helperCalls["monitorExit"], 1u);
  }
  word = 0;
  vm.ctx.lockOwner = 0;  // a thread id too large for thin locks
  vm.helperCalls.clear();
  vm.run("locked", {o, slot(0)});
  EXPECT_EQ(vm.helperCalls["monitorEnter"], 1u);
}

TEST(Threads, EveryThreadInstructionCallsItsHelperAndIsASafepoint) {
  FakeRuntime vm(R"(
class Job {
  static sum: i32
}
func @work(%a: i32, %b: i32) {
  %s = load_static Job.sum
  %s1 = add.i32 %s, %a
  %s2 = add.i32 %s1, %b
  store_static Job.sum, %s2
  return
}
func @all() -> i32 {
  store_static Job.sum, 0
  %t = new Thread
  thread_start %t, @work(40, 2)
  %j = thread_join %t, 0
  thread_sleep 5
  thread_yield
  thread_park 5
  thread_unpark %t
  thread_interrupt %t
  %i = thread_interrupted
  %k = thread_is_interrupted %t
  %l = thread_is_alive %t
  spin_hint
  %me = thread_current
  %c = ref_eq %me, %t
  %sum = load_static Job.sum
  %1 = mul.i32 %sum, 100000
  %2 = mul.i32 %j, 10000
  %3 = mul.i32 %i, 1000
  %4 = mul.i32 %k, 100
  %5 = mul.i32 %l, 10
  %6 = add.i32 %1, %2
  %7 = add.i32 %6, %3
  %8 = add.i32 %7, %4
  %9 = add.i32 %8, %5
  %10 = add.i32 %9, %c
  return %10
}
)");
  EXPECT_EQ(runAllWays(vm, "all").i32(), 4211010);
  vm.captures = 0;
  vm.captureEvery = 1;
  vm.run("all");
  EXPECT_EQ(vm.captures, 11u) << "each of them but thread_current";
}

TEST(Control, ThrowFindsTheHandlerWithItsArguments) {
  FakeRuntime vm(R"(
class Trouble : Exception {
  field code: i32
}
func @fail(%code: i32) {
  %t = new Trouble
  store_field %t, Trouble.code, %code
  throw %t
}
func @guarded(%x: i32) -> i32 {
  br try
try handler caught(%x):
  %1 = div.i32 1000, %x
  call @fail(%1)
  return -1
caught(%e: ref(Throwable), %y: i32):
  %ours = instance_of %e, ref(Trouble)
  br_if %ours, code, other
code:
  %t = check_cast %e, ref(Trouble)
  %c = load_field %t, Trouble.code
  %r = add.i32 %c, %y
  return %r
other:
  throw %e
}
func @throwNull() {
  throw null
}
func @stuck() {
  unreachable
}
)");
  EXPECT_EQ(runAllWays(vm, "guarded", {slot(10)}).i32(), 110);
  EXPECT_EQ(runAllWays(vm, "guarded", {slot(0)}).exception, "ArithmeticException");
  EXPECT_EQ(runAllWays(vm, "throwNull").exception, "NullPointerException");
  EXPECT_NE(runAllWays(vm, "stuck").exception, "") << "an error, not a crash";
}

}  // namespace
}  // namespace jvmc::jit
