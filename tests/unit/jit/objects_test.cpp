// Objects, arrays, calls, volatile access, monitors and threads: what they compute, what they throw, and that capture
// at every safepoint changes neither.
#include <gtest/gtest.h>

#include "tests/unit/jit/fake_runtime.h"

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using test::Outcome;
using test::slot;

// Runs plainly and captured at every, every second, every third safepoint.
Outcome runAllWays(FakeRuntime& vm, const std::string& function, std::vector<uint64_t> arguments = {}) {
  vm.captureEvery = 0;
  Outcome plain = vm.run(function, arguments);
  for (uint64_t k : {1, 2, 3}) {
    vm.captureEvery = k;
    Outcome captured = vm.run(function, arguments);
    EXPECT_EQ(captured.exception, plain.exception) << function << " captured every " << k;
    if (plain.exception.empty()) {
      EXPECT_EQ(captured.bits, plain.bits) << function << " captured every " << k;
    }
  }
  return plain;
}

constexpr const char* kFields = R"(
class Point {
  field b: i8
  field s: i16
  field i: i32
  field l: i64
  field f: f32
  field d: f64
  field next: ref(Point)
}
func @roundTrip(%x: i32) -> i64 {
  %p = new Point
  %q = new Point
  store_field %p, Point.b, %x
  store_field %p, Point.s, %x
  store_field %p, Point.i, %x
  %l = i32_to_i64 %x
  store_field %p, Point.l, %l
  store_field %p, Point.f, 0.5
  %d = i32_to_f64 %x
  store_field %p, Point.d, %d
  store_field %q, Point.next, %p
  store_field %p, Point.next, %q
  %pp = load_field %q, Point.next
  %same = ref_eq %pp, %p
  %differ = ref_ne %pp, %q
  %b = load_field %pp, Point.b
  %s = load_field %pp, Point.s
  %i = load_field %pp, Point.i
  %l2 = load_field %pp, Point.l
  %f = load_field %pp, Point.f
  %d2 = load_field %pp, Point.d
  %fi = f32_to_i32 %f
  %di = f64_to_i64 %d2
  %1 = add.i32 %b, %s
  %2 = add.i32 %1, %i
  %3 = add.i32 %2, %fi
  %4 = add.i32 %3, %same
  %5 = add.i32 %4, %differ
  %6 = i32_to_i64 %5
  %7 = add.i64 %6, %l2
  %8 = add.i64 %7, %di
  freeze %p
  return %8
}
func @nullLoad() -> i32 {
  %p = call @none()
  %v = load_field %p, Point.i
  return %v
}
func @nullStore() {
  %p = call @none()
  store_field %p, Point.i, 1
  return
}
func @none() -> ref(Point) {
  return null
}
)";

TEST(Objects, FieldsKeepTheirTypesAndSmallOnesTruncate) {
  FakeRuntime vm(kFields);
  for (int32_t x : {0, 1, 127, 128, 300, -1, -40000, 1 << 30}) {
    int64_t expected = int64_t(int8_t(x)) + int16_t(x) + x + 2 + int64_t(x) + x;
    // Ints are summed in 32 bits first.
    expected = int32_t(uint32_t(int8_t(x)) + uint32_t(int16_t(x)) + uint32_t(x) + 2u) + int64_t(x) + x;
    EXPECT_EQ(runAllWays(vm, "roundTrip", {slot(x)}).i64(), expected) << x;
  }
  EXPECT_GT(vm.helperCalls["freeze"], 0u);
  EXPECT_EQ(runAllWays(vm, "nullLoad").exception, "NullPointerException");
  EXPECT_EQ(runAllWays(vm, "nullStore").exception, "NullPointerException");
}

TEST(Objects, AReferenceStoreCallsTheBarrierOnlyWhileItIsOn) {
  FakeRuntime vm(kFields);
  vm.run("roundTrip", {slot(1)});
  EXPECT_EQ(vm.helperCalls["storeBarrier"], 0u);
  vm.ctx.barrierFlags = 1;
  vm.run("roundTrip", {slot(1)});
  EXPECT_EQ(vm.helperCalls["storeBarrier"], 2u) << "two reference stores; primitive ones have none";
}

TEST(Objects, AllocationIsInlineUntilTheBumpAreaIsUsedUp) {
  FakeRuntime vm(kFields);
  for (int i = 0; i < 4000; ++i) ASSERT_EQ(vm.run("roundTrip", {slot(1)}).exception, "");
  EXPECT_GT(vm.helperCalls["newObject"], 0u);
  EXPECT_LT(vm.helperCalls["newObject"], 40u);
}

TEST(Objects, ClassTestsKnowSubclassesInterfacesAndArrays) {
  FakeRuntime vm(R"(
interface Shape {
}
class A implements Shape {
}
class B : A {
}
class C {
}
func @make(%k: i32) -> ref(Object) {
  switch %k, nothing [0: a, 1: b, 2: c, 3: arrayA, 4: arrayB, 5: ints]
a:
  %1 = new A
  return %1
b:
  %2 = new B
  return %2
c:
  %3 = new C
  return %3
arrayA:
  %4 = new_array ref(A), 1
  return %4
arrayB:
  %5 = new_array ref(B), 1
  return %5
ints:
  %6 = new_array i32, 1
  return %6
nothing:
  return null
}
func @kinds(%k: i32) -> i32 {
  %o = call @make(%k)
  %isObject = instance_of %o, ref(Object)
  %isA = instance_of %o, ref(A)
  %isB = instance_of %o, ref(B)
  %isShape = instance_of %o, ref(Shape)
  %isArrayA = instance_of %o, array(ref(A))
  %isInts = instance_of %o, array(i32)
  %1 = mul.i32 %isA, 2
  %2 = mul.i32 %isB, 4
  %3 = mul.i32 %isShape, 8
  %4 = mul.i32 %isArrayA, 16
  %5 = mul.i32 %isInts, 32
  %6 = or.i32 %isObject, %1
  %7 = or.i32 %6, %2
  %8 = or.i32 %7, %3
  %9 = or.i32 %8, %4
  %10 = or.i32 %9, %5
  return %10
}
func @cast(%k: i32) -> i32 {
  %o = call @make(%k)
  %a = check_cast %o, ref(A)
  return 1
}
func @castArray(%k: i32) -> i32 {
  %o = call @make(%k)
  %a = check_cast %o, array(ref(A))
  return 1
}
)");
  int expected[] = {11, 15, 1, 17, 17, 33, 0};
  for (int32_t k = 0; k < 7; ++k) {
    EXPECT_EQ(runAllWays(vm, "kinds", {slot(k)}).i32(), expected[k]) << k;
    EXPECT_EQ(runAllWays(vm, "cast", {slot(k)}).exception, k < 2 || k == 6 ? "" : "ClassCastException") << k;
    EXPECT_EQ(runAllWays(vm, "castArray", {slot(k)}).exception, k == 3 || k == 4 || k == 6 ? "" : "ClassCastException");
  }
}

constexpr const char* kStatics = R"(
class Config {
  static size: i32
  static name: ref(Object)
  static volatile epoch: i64
  init @setUp
}
class Plain {
  static count: i64
}
func @setUp() {
  store_static Config.size, 42
  return
}
func @size() -> i32 {
  %s = load_static Config.size
  return %s
}
func @start() -> i32 {
  init_class Config
  %c = new Config
  store_static Config.name, %c
  %n = load_static Config.name
  %same = ref_eq %n, %c
  return %same
}
func @bump() -> i64 {
  %c = load_static Plain.count
  %d = add.i64 %c, 1
  store_static Plain.count, %d
  store_static Config.epoch, %d
  %e = load_static Config.epoch
  return %e
}
)";

TEST(Statics, TheInitialiserRunsOnceBeforeTheFirstAccess) {
  FakeRuntime vm(kStatics);
  EXPECT_EQ(vm.run("size").i32(), 42);
  EXPECT_EQ(vm.helperCalls["initClass"], 1u);
  EXPECT_EQ(vm.run("size").i32(), 42);
  EXPECT_EQ(vm.helperCalls["initClass"], 1u);
  EXPECT_EQ(vm.run("start").i32(), 1);
  EXPECT_EQ(vm.run("bump").i64(), 1);
  EXPECT_EQ(vm.run("bump").i64(), 2);
}

TEST(Statics, AFrameCapturedInTheInitialisationRunsTheInstructionAgain) {
  FakeRuntime vm(kStatics);
  vm.captureEvery = 1;
  EXPECT_EQ(vm.run("size").i32(), 42);
  EXPECT_EQ(vm.captures, 1u);
  EXPECT_EQ(vm.run("bump").i64(), 1) << "a volatile static: initialised and then accessed";
}

constexpr const char* kArrays = R"(
class Base {
}
class Derived : Base {
}
func @fill(%n: i32) -> i64 {
  %b = new_array i8, %n
  %s = new_array i16, %n
  %i = new_array i32, %n
  %l = new_array i64, %n
  %f = new_array f32, %n
  %d = new_array f64, %n
  br loop(0, 0)
loop(%k: i32, %sum: i64):
  %more = lt.i32 %k, %n
  br_if %more, body, done
body:
  %k3 = mul.i32 %k, 100
  store_elem %b, %k, %k3
  store_elem %s, %k, %k3
  store_elem %i, %k, %k3
  %kl = i32_to_i64 %k3
  store_elem %l, %k, %kl
  %kf = i32_to_f32 %k3
  store_elem %f, %k, %kf
  %kd = i32_to_f64 %k3
  store_elem %d, %k, %kd
  %vb = load_elem %b, %k
  %vs = load_elem %s, %k
  %vi = load_elem %i, %k
  %vl = load_elem %l, %k
  %vf = load_elem %f, %k
  %vd = load_elem %d, %k
  %1 = add.i32 %vb, %vs
  %2 = add.i32 %1, %vi
  %3 = i32_to_i64 %2
  %4 = add.i64 %3, %vl
  %5 = f32_to_i64 %vf
  %6 = add.i64 %4, %5
  %7 = f64_to_i64 %vd
  %8 = add.i64 %6, %7
  %sum2 = add.i64 %sum, %8
  %k2 = add.i32 %k, 1
  br loop(%k2, %sum2)
done:
  return %sum
}
func @get(%n: i32, %k: i32) -> i32 {
  %a = new_array i32, %n
  %v = load_elem %a, %k
  %len = array_length %a
  return %len
}
func @put(%n: i32, %k: i32) {
  %a = new_array f64, %n
  store_elem %a, %k, 1.0
  return
}
func @store(%exact: i32) {
  %derived = new_array ref(Derived), 1
  br_if %exact, good, bad
good:
  %d = new Derived
  store_elem %derived, 0, %d
  store_elem %derived, 0, null
  br bad
bad:
  %asBase = call @widen(%derived)
  %b = new Base
  store_elem %asBase, 0, %b
  return
}
func @widen(%a: array(ref(Base))) -> array(ref(Base)) {
  return %a
}
func @bulk() -> i32 {
  %a = new_array i32, 10
  array_fill %a, 2, 8, 7
  array_copy %a, 2, %a, 0, 4
  %0 = load_elem %a, 0
  %9 = load_elem %a, 9
  %s = sub.i32 %0, %9
  return %s
}
func @bulkBad(%n: i32) {
  %a = new_array i8, 10
  array_fill %a, 0, %n, 1
  return
}
func @literal() -> i32 {
  %t = new_bytes "hello"
  %c = load_elem %t, 4
  return %c
}
)";

TEST(Arrays, ElementsOfEveryKindAreStoredAndLoaded) {
  FakeRuntime vm(kArrays);
  int64_t expected = 0;
  for (int k = 0; k < 50; ++k) expected += int8_t(k * 100) + int16_t(k * 100) + 4 * k * 100;
  EXPECT_EQ(runAllWays(vm, "fill", {slot(50)}).i64(), expected);
  EXPECT_EQ(runAllWays(vm, "bulk").i32(), 7);
  EXPECT_EQ(runAllWays(vm, "literal").i32(), 'o');
}

TEST(Arrays, ABadIndexLengthOrElementThrows) {
  FakeRuntime vm(kArrays);
  EXPECT_EQ(runAllWays(vm, "get", {slot(4), slot(3)}).i32(), 4);
  for (int32_t bad : {4, -1, 1 << 30, std::numeric_limits<int32_t>::min()}) {
    EXPECT_EQ(runAllWays(vm, "get", {slot(4), slot(bad)}).exception, "ArrayIndexOutOfBoundsException");
    EXPECT_EQ(runAllWays(vm, "put", {slot(4), slot(bad)}).exception, "ArrayIndexOutOfBoundsException");
  }
  EXPECT_EQ(runAllWays(vm, "get", {slot(-5), slot(0)}).exception, "NegativeArraySizeException");
  EXPECT_EQ(runAllWays(vm, "get", {slot(100000), slot(99999)}).i32(), 100000) << "long ones come from the runtime";
  EXPECT_EQ(runAllWays(vm, "store", {slot(1)}).exception, "ArrayStoreException");
  EXPECT_EQ(runAllWays(vm, "bulkBad", {slot(11)}).exception, "ArrayIndexOutOfBoundsException");
}

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
