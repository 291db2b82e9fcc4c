// What the compiler emits, seen through emitText.
#include <gmock/gmock.h>

#include <regex>

#include "ir/text/parser.h"
#include "jit/compiler.h"
#include "tests/unit/jit/fake_runtime.h"

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

std::string emit(const std::string& text, const std::string& function, EmitOptions options = {}) {
  FakeRuntime vm(text);
  options.pipeline.passes = std::vector<std::string>{};  // what the lowering does, not what our passes do before
  auto emitted = emitText(*vm.layout, vm.function(function), options);
  return emitted.ok() ? *emitted : "error: " + emitted.error().message;
}

size_t count(const std::string& text, const std::string& pattern) {
  std::regex regex(pattern);
  return size_t(std::distance(std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator()));
}

constexpr const char* kCall = R"(
func @callee(%o: ref(Object)) {
  thread_yield
  return
}
func @caller(%a: ref(Object), %b: ref(Object), %n: i64) -> i64 {
  call @callee(%a)
  monitor_enter %b
  %m = add.i64 %n, 1
  return %m
}
)";

TEST(Emit, ACallIsFollowedByOneCheckAndAColdBlockThatStoresEachLiveValue) {
  std::string text = emit(kCall, "caller", {.optimised = false});
  EXPECT_THAT(text, HasSubstr("@cell.0"));
  size_t capture = text.find("captureFrame");
  ASSERT_NE(capture, std::string::npos);
  // Live after the call: %b and %n, not %a.
  EXPECT_THAT(text, HasSubstr("@jvmc_captureFrame(ptr %ctx, i32 1, i32 1, i32 2)"));
  EXPECT_EQ(count(text, "store i64 %"), 3u) << "b and n after the call, n after monitor_enter";
}

TEST(Emit, EverySafepointKeepsItsLiveReferencesInItsColdBlock) {
  // After the call %b is live; the collector finds it because the cold block still uses it.
  std::string text = emit(kCall, "caller");
  EXPECT_THAT(text, ContainsRegex("ptrtoint ptr %[0-9]+ to i64"));
  EXPECT_GE(count(text, "call ptr @jvmc_captureFrame"), 2u);
}

TEST(Emit, AssemblyNamesCellsSymbolically) {
  EXPECT_THAT(emit(kCall, "caller", {.kind = TextKind::Asm}), HasSubstr("cell.0@GOTPCREL"));
}

TEST(Emit, AContinuationTakesSlots) {
  std::string text = emit(kCall, "caller", {.resumePoint = ir::pointAfter(0)});
  EXPECT_THAT(text, ContainsRegex("define void @caller.ptr .*%ctx, ptr .*, ptr"));
  EXPECT_THAT(text, Not(HasSubstr("@cell.0"))) << "the call is behind it";
}

constexpr const char* kRecursiveStore = R"(
class Node {
  field next: ref(Node)
}
func @chain(%n: ref(Node), %left: i32) {
  %m = new Node
  store_field %m, Node.next, %n
  %less = sub.i32 %left, 1
  br_if %less, deeper, end
deeper:
  call @chain(%m, %less)
  br end
end:
  return
}
)";

TEST(Emit, UnmovableCodeHasNoPollNoCheckAfterACallAndNoBarrier) {
  EmitOptions unmovable;
  unmovable.pipeline.unmovable = true;
  for (const char* needed : {"@jvmc_poll", "@jvmc_captureFrame", "@jvmc_storeBarrier"}) {
    EXPECT_THAT(emit(kRecursiveStore, "chain"), HasSubstr(needed));
    EXPECT_THAT(emit(kRecursiveStore, "chain", unmovable), Not(HasSubstr(needed)));
  }
  EXPECT_THAT(emit(kCall, "caller", unmovable), HasSubstr("@jvmc_captureFrame")) << "a callee that waits still unwinds";
}

constexpr const char* kCopy = R"(
func @copy(%n: i32, %a: array(f64), %b: array(f64)) {
  br loop(0)
loop(%i: i32):
  %v = load_elem %a, %i
  store_elem %b, %i, %v
  %i2 = add.i32 %i, 1
  %more = lt.i32 %i2, %n
  br_if %more, loop(%i2), done
done:
  return
}
func @clear(%a: array(i64)) {
  br loop(0)
loop(%i: i32):
  store_elem %a, %i, 0
  %i2 = add.i32 %i, 1
  %more = lt.i32 %i2, 50
  br_if %more, loop(%i2), done
done:
  return
}
)";

TEST(Emit, GuestLoopsBecomeNoLibraryCalls) {
  for (const char* function : {"copy", "clear"}) {
    std::string text = emit(kCopy, function);
    EXPECT_THAT(text, Not(HasSubstr("llvm.memcpy"))) << function;
    EXPECT_THAT(text, Not(HasSubstr("llvm.memset"))) << function;
  }
}

TEST(Emit, UncheckedCodeHasNoMarkersAndCheckedCodeOnlyStubsInTheEnd) {
  EXPECT_THAT(emit(kCopy, "copy"), Not(HasSubstr("jvmc.check")));
  EXPECT_THAT(emit(kCopy, "copy", {.optimised = false, .checked = true}), HasSubstr("@jvmc.check.write"));
  std::string text = emit(kCopy, "copy", {.checked = true});
  EXPECT_THAT(text, Not(ContainsRegex("call .*@jvmc.check")));
  EXPECT_THAT(text, HasSubstr("call preserve_allcc void @stub.checkElementsWrite"));
}

}  // namespace
}  // namespace jvmc::jit
