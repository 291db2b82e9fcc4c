// Objects, statics and arrays: what they compute, what they throw, and that capture at every safepoint changes neither.
#include "runtime/abi/guest_memory.h"
#include "tests/unit/jit/all_ways.h"

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using test::runAllWays;
using test::slot;

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
func @link(%p: ref(Point)) {
  store_field %p, Point.next, %p
  return
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
  vm.ctx.barrierFlags = rt::kBarrierAlways;
  vm.run("roundTrip", {slot(1)});
  EXPECT_EQ(vm.helperCalls["storeBarrier"], 2u) << "two reference stores; primitive ones have none";
  vm.ctx.barrierFlags = rt::kFlagOld;
  vm.run("roundTrip", {slot(1)});
  EXPECT_EQ(vm.helperCalls["storeBarrier"], 2u) << "the object is young";
  const ir::ClassId point = vm.module->findClass("Point");
  const rt::ObjectRef object = vm.newObject(point.value, (*vm.layout)[point].instanceBytes);
  vm.run("link", {object});
  EXPECT_EQ(vm.helperCalls["storeBarrier"], 2u);
  rt::header(object)->classWord |= rt::kFlagOld;
  vm.run("link", {object});
  EXPECT_EQ(vm.helperCalls["storeBarrier"], 3u);
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

}  // namespace
}  // namespace jvmc::jit
