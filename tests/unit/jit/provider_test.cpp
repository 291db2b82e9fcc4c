// The code provider as the runtime sees it: background compilation, installation, look-up by address.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "tests/unit/jit/fake_runtime.h"

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using test::slot;

constexpr const char* kProgram = R"(
func @twice(%x: i32) -> i32 {
  %r = add.i32 %x, %x
  return %r
}
func @other(%x: i64) -> i64 {
  return %x
}
func @down(%n: i32) -> i32 {
  br_if %n, deeper, end
deeper:
  %less = sub.i32 %n, 1
  %r = call @down(%less)
  %s = add.i32 %r, %n
  return %s
end:
  return 0
}
)";

template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

TEST(Provider, CompilesInTheBackgroundAndInstallsItself) {
  FakeRuntime vm(kProgram, {.compileThreads = 2});
  ir::FunctionId f = vm.function("twice");
  rt::FunctionCell& cell = vm.ctx.cells[f.index()];
  EXPECT_EQ(cell.entry.load(), nullptr) << "nothing happens before the first request";
  vm.code->requestFunction(f);
  ASSERT_TRUE(eventually([&] { return cell.enter.load() != nullptr; }));
  uint64_t argument = slot(21), result = 0;
  cell.enter.load()(&vm.ctx, &cell, &argument, &result);
  EXPECT_EQ(result, 42u);
  EXPECT_NE(vm.ctx.cells[vm.function("other").index()].entry.load(), nullptr) << "an adapter";
  EXPECT_EQ(vm.ctx.cells[vm.function("other").index()].enter.load(), nullptr);
  EXPECT_EQ(vm.code->stats().functions, 1u);
}

TEST(Provider, AContinuationIsThereSomeTimeAfterItIsAskedFor) {
  FakeRuntime vm(kProgram, {});
  ir::FunctionId f = vm.function("twice");
  rt::ContinuationFn code = nullptr;
  ASSERT_TRUE(eventually([&] { return (code = vm.code->requestContinuation(f, ir::pointAfter(0))) != nullptr; }));
  uint64_t slots[] = {slot(7)}, result = 0;  // the sum is supplied
  code(&vm.ctx, slots, &result);
  EXPECT_EQ(result, 7u);
  EXPECT_EQ(vm.code->stats().continuations, 1u) << "asked for many times, compiled once";
}

TEST(Provider, KnowsWhichFunctionAnAddressBelongsTo) {
  FakeRuntime vm(kProgram);
  vm.run("twice", {slot(1)});
  uint64_t entry = uint64_t(vm.ctx.cells[vm.function("twice").index()].entry.load());
  EXPECT_EQ(vm.code->functionAt(entry), vm.function("twice"));
  EXPECT_FALSE(vm.code->functionAt(entry - (1 << 20)).valid());
  EXPECT_FALSE(vm.code->functionAt(uint64_t(&vm)).valid());
  EXPECT_GT(vm.code->stats().codeBytes, 0u);
}

TEST(Provider, KnowsWhichLinesAnAddressStandsFor) {
  FakeRuntime vm(kProgram);
  vm.run("twice", {slot(1)});
  const ir::FunctionId f = vm.function("twice");
  const uint64_t entry = uint64_t(vm.ctx.cells[f.index()].entry.load());
  std::set<uint32_t> lines;
  uint64_t pc = entry;
  for (; vm.code->functionAt(pc) == f; ++pc) {
    const std::vector<rt::CodeSite> places = vm.code->sitesAt(pc);
    ASSERT_FALSE(places.empty());
    EXPECT_EQ(places.back().function, f) << "the compiled function is the outermost place";
    lines.insert(places.back().loc.line);
  }
  const uint32_t declared = (*vm.module)[f].loc.line;
  lines.erase(declared);  // the prologue
  ASSERT_FALSE(lines.empty());
  EXPECT_GT(*lines.begin(), declared);
  EXPECT_LT(*lines.rbegin(), declared + 10);
  EXPECT_TRUE(vm.code->sitesAt(uint64_t(&vm)).empty());
}

TEST(Provider, WhatCannotBeCompiledIsAFailureAndNotACrash) {
  FakeRuntime vm(kProgram, {});
  EXPECT_EQ(vm.code->requestContinuation(vm.function("twice"), 9998), nullptr) << "no such resume point";
  EXPECT_TRUE(eventually([&] { return vm.code->stats().failures == 1; }));
}

TEST(Provider, ManyThreadsMayAskForTheSameFunction) {
  FakeRuntime vm(kProgram, {.synchronous = true, .compileThreads = 2});
  ir::FunctionId f = vm.function("twice");
  std::vector<std::thread> threads;
  std::atomic<int> ready = 0;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      vm.code->requestFunction(f);
      ready += vm.ctx.cells[f.index()].enter.load() != nullptr;
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(ready, 8);
  EXPECT_EQ(vm.code->stats().functions, 1u);
}

TEST(Provider, ThePerfMapNamesCompiledFunctions) {
  std::string path = "/tmp/perf-" + std::to_string(::getpid()) + ".map";
  {
    FakeRuntime vm(kProgram, {.synchronous = true, .tools = {.perfMap = true}});
    vm.run("twice", {slot(1)});
    EXPECT_EQ(vm.run("down", {slot(100)}).i32(), 5050);
    std::ifstream map(path);
    std::map<std::string, uint64_t> startOf;  // by name without serial number
    for (std::string start, size, name; map >> start >> size >> name;) {
      size_t serial = name.find('#'), part = name.find('.', serial);
      if (serial == std::string::npos) continue;  // adapters
      startOf[name.substr(0, serial) + (part == std::string::npos ? "" : name.substr(part))] =
          std::stoull(start, nullptr, 16);
    }
    EXPECT_EQ(vm.code->functionAt(startOf["twice"]), vm.function("twice"));
    EXPECT_EQ(vm.code->functionAt(startOf["down"]), vm.function("down"));
    EXPECT_EQ(vm.code->functionAt(startOf["down.body"]), vm.function("down")) << "where it goes when it calls itself";
  }
  std::remove(path.c_str());
}

}  // namespace
}  // namespace jvmc::jit
