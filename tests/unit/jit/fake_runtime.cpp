#include "tests/unit/jit/fake_runtime.h"

#include <sys/mman.h>

#include <bit>
#include <cstring>

#include "ir/analysis/cfg.h"
#include "ir/text/parser.h"
#include "runtime/abi/helpers.h"

namespace jvmc::jit::test {

namespace {
constexpr uint64_t kHeapBytes = 1 << 28;
constexpr uint64_t kTlabBytes = 1 << 16;
}  // namespace

uint64_t slot(int32_t v) {
  return uint32_t(v);
}
uint64_t slot(int64_t v) {
  return uint64_t(v);
}
uint64_t slot(float v) {
  return std::bit_cast<uint32_t>(v);
}
uint64_t slot(double v) {
  return std::bit_cast<uint64_t>(v);
}
float Outcome::f32() const {
  return std::bit_cast<float>(uint32_t(bits));
}
double Outcome::f64() const {
  return std::bit_cast<double>(bits);
}

FakeRuntime::FakeRuntime(const std::string& text, rt::CodeOptions options, rt::AddressPlan plan) {
  ir::text::SourceSet sources;
  sources.add("test.ir", text);
  ir::text::DiagnosticSink sink;
  auto parsed = ir::text::parseModule(sources, sink);
  JVMC_CHECK(parsed.has_value(), ir::text::renderDiagnostics(sources, sink, false));
  module = std::move(parsed->module);
  layout = std::make_unique<rt::ModuleLayout>(*module, plan);
  classes = std::make_unique<rt::ClassTable>(*layout);
  calls = std::make_unique<ir::CallGraph>(*module);
  code = makeJit(*layout, classes->cells(), classes->infos(), options);

  uint64_t base = layout->plan().base;
  void* heap = ::mmap(reinterpret_cast<void*>(base), kHeapBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  JVMC_CHECK(heap == reinterpret_cast<void*>(base));
  heapNext_ = layout->staticsEnd();
  for (uint32_t c = 0; c < module->classes.size(); ++c) {
    ir::ClassId cls(c);
    auto* header = reinterpret_cast<rt::ObjectHeader*>((*layout)[cls].staticsAddress);
    header->epochWord = rt::kEpochHome;
    header->classWord = layout->staticsIndex(cls);
    if (!layout->needsInit(cls)) classes->info(layout->classIndex(cls)).initEpoch = 0;
  }
  ctx.epoch = rt::kEpochStep;
  ctx.depthLimit = 10000;
  ctx.classes = classes->infos();
  ctx.cells = classes->cells();
  ctx.clock = &clock;
  ctx.lockOwner = 7 << rt::kLockOwnerShift;
  ctx.vm = reinterpret_cast<rt::Vm*>(this);
  ctx.threadObject = newObject(ir::builtin::kThread.value, (*layout)[ir::builtin::kThread].instanceBytes);
}

FakeRuntime::~FakeRuntime() {
  code.reset();
  ::munmap(reinterpret_cast<void*>(layout->plan().base), kHeapBytes);
}

ir::FunctionId FakeRuntime::function(const std::string& name) const {
  ir::FunctionId f = module->findFunction(name);
  JVMC_CHECK(f.valid(), name);
  return f;
}

// ---------------------------------------------------------------- heap

rt::ObjectRef FakeRuntime::newObject(rt::ClassIndex index, uint64_t bytes) {
  rt::ObjectRef object = heapNext_;
  heapNext_ += (bytes + 7) & ~7ull;
  JVMC_CHECK(heapNext_ < layout->plan().base + kHeapBytes, bytes);
  auto* header = reinterpret_cast<rt::ObjectHeader*>(object);
  header->epochWord = rt::kEpochHome;
  header->classWord = index;
  // The next small objects come from the bump area, as in a real heap.
  if (ctx.allocLimit - ctx.allocCursor < 64) {
    ctx.allocCursor = heapNext_;
    ctx.allocLimit = heapNext_ += kTlabBytes;
  }
  return object;
}

rt::ObjectRef FakeRuntime::newArray(ir::TypeId element, uint32_t length) {
  ir::TypeKind kind = module->types[element].kind;
  rt::ObjectRef array = newObject(layout->arrayIndexOfElement(element), rt::arrayBytes(kind, length));
  *reinterpret_cast<uint32_t*>(array + rt::kArrayLengthOffset) = length;
  return array;
}

// ---------------------------------------------------------------- unwinding

void FakeRuntime::safepoint(uint64_t value) {
  if (captureEvery == 0 || ++safepoints_ % captureEvery != 0) return;
  capture(value);
}

void FakeRuntime::poll() {
  if (captureWhenAsked && ctx.pollLimit.exchange(0, std::memory_order_relaxed) == rt::kPollRequested) return capture(0);
  safepoint();
}

void FakeRuntime::capture(uint64_t value) {
  ctx.unwinding = rt::Unwinding::Capture;
  resumption_ = value;
  captured.clear();
}

void FakeRuntime::raise(rt::ObjectRef exception) {
  ctx.exception = exception;
  ctx.unwinding = rt::Unwinding::Exception;
  trace.clear();
}

void FakeRuntime::raiseBuiltin(uint32_t kind) {  // BuiltinThrow has the order of the builtin classes
  ir::ClassId cls(ir::builtin::kIndexArithmeticException + kind);
  raise(newObject(cls.value, (*layout)[cls].instanceBytes));
}

void FakeRuntime::resumeTop(std::vector<Frame>& frames, uint64_t value, uint64_t* result) {
  Frame frame = std::move(frames.back());
  frames.pop_back();
  ctx.depth = 0;
  for (const Frame& f : frames) ctx.depth += calls->mayRecurse(ir::FunctionId(f.function));
  ir::FunctionId function(frame.function);
  ctx.depth += calls->mayRecurse(function);
  if (frame.resumePoint % 2 == 1) {
    const ir::FunctionBody& body = **module->body(function);
    ir::Cfg::Position at = ir::Cfg(body).position(frame.resumePoint / 2);
    if (body[at.block].instrs[at.index].result.valid()) frame.slots.push_back(value);
  }
  rt::ContinuationFn go = code->requestContinuation(function, frame.resumePoint);
  JVMC_CHECK(go, frame.function, frame.resumePoint);
  frame.slots.push_back(0xDEAD'BEEF'DEAD'BEEF);  // nobody may read behind the slots
  go(&ctx, frame.slots.data(), result);
}

Outcome FakeRuntime::run(const std::string& name, std::vector<uint64_t> arguments) {
  ctx.pollLimit = captureEvery ? rt::kPollRequested : 0;
  ctx.unwinding = rt::Unwinding::None;
  ctx.depth = 0;
  trace.clear();
  rt::FunctionCell& cell = ctx.cells[function(name).index()];
  Outcome outcome;
  std::vector<Frame> frames;  // outermost first
  arguments.push_back(0);
  jvmc_interpret(&ctx, &cell, arguments.data(), &outcome.bits);
  while (true) {
    uint64_t value = outcome.bits;
    if (ctx.unwinding == rt::Unwinding::Capture) {
      JVMC_CHECK(!captured.empty());
      ++captures;
      deepestCapture = std::max<uint64_t>(deepestCapture, frames.size() + captured.size());
      while (!captured.empty()) {
        frames.push_back(std::move(captured.back()));
        captured.pop_back();
      }
      ctx.unwinding = rt::Unwinding::None;
      value = resumption_;
    }
    if (frames.empty()) break;
    resumeTop(frames, value, &outcome.bits);
  }
  JVMC_CHECK(ctx.depth == 0, ctx.depth);
  if (ctx.unwinding == rt::Unwinding::Exception) {
    auto* header = reinterpret_cast<rt::ObjectHeader*>(ctx.exception);
    outcome.exception = module->classes[header->classWord & rt::kClassMask].name;
    outcome.trace = trace;
    ctx.unwinding = rt::Unwinding::None;
  }
  return outcome;
}

}  // namespace jvmc::jit::test

// ---------------------------------------------------------------- helpers

using jvmc::jit::test::FakeRuntime;
using jvmc::rt::ObjectRef;
using namespace jvmc;  // NOLINT: the definitions below are the test's C interface

namespace {

FakeRuntime& vmOf(JvmcContext* ctx, const char* helper) {
  auto& vm = *reinterpret_cast<FakeRuntime*>(ctx->vm);
  ++vm.helperCalls[helper];
  return vm;
}

rt::ObjectHeader& headerOf(ObjectRef object) {
  return *reinterpret_cast<rt::ObjectHeader*>(object);
}
const rt::ClassInfo& infoOf(FakeRuntime& vm, ObjectRef object) {
  return (*vm.classes)[headerOf(object).classWord & rt::kClassMask];
}
int32_t lengthOf(ObjectRef array) {
  return *reinterpret_cast<int32_t*>(array + rt::kArrayLengthOffset);
}

template <class T>
uint64_t atomically(rt::AtomicOp op, uint64_t address, int64_t a, int64_t b) {
  auto& word = *reinterpret_cast<std::atomic<T>*>(address);
  T expected = T(a);
  switch (op) {
    case rt::AtomicOp::Load:
      return uint64_t(int64_t(word.load()));
    case rt::AtomicOp::Store:
      word = T(a);
      return 0;
    case rt::AtomicOp::Cas:
      return word.compare_exchange_strong(expected, T(b));
    case rt::AtomicOp::Add:
      return uint64_t(int64_t(word.fetch_add(T(a))));
    case rt::AtomicOp::Swap:
      return uint64_t(int64_t(word.exchange(T(a))));
  }
  return 0;
}

}  // namespace

extern "C" {

void jvmc_poll(JvmcContext* ctx) {
  vmOf(ctx, "poll").poll();
}

uint64_t* jvmc_captureFrame(JvmcContext* ctx, uint32_t function, uint32_t resumePoint, uint32_t slotCount) {
  auto& vm = vmOf(ctx, "captureFrame");
  vm.captured.push_back({function, resumePoint, std::vector<uint64_t>(slotCount)});
  return vm.captured.back().slots.data();
}

ObjectRef jvmc_materialise(JvmcContext* ctx, uint32_t classIndex) {
  return jvmc_newObject(ctx, classIndex);
}

void jvmc_interpret(JvmcContext* ctx, rt::FunctionCell* cell, const uint64_t* args, uint64_t* result) {
  auto& vm = vmOf(ctx, "interpret");
  vm.code->requestFunction(ir::FunctionId(cell->function));
  cell->enter.load()(ctx, cell, args, result);
}

void jvmc_throwBuiltin(JvmcContext* ctx, uint32_t kind, int32_t) {
  vmOf(ctx, "throwBuiltin").raiseBuiltin(kind);
}
void jvmc_throwObject(JvmcContext* ctx, ObjectRef object) {
  auto& vm = vmOf(ctx, "throwObject");
  object ? vm.raise(object) : vm.raiseBuiltin(uint32_t(rt::BuiltinThrow::NullPointer));
}
void jvmc_addTraceFrame(JvmcContext* ctx, uint32_t function, uint32_t flatIndex) {
  auto& vm = vmOf(ctx, "addTraceFrame");
  vm.trace.emplace_back(vm.module->functions[function].name, flatIndex);
}
ObjectRef jvmc_catchException(JvmcContext* ctx) {
  vmOf(ctx, "catchException");
  ctx->unwinding = rt::Unwinding::None;
  return ctx->exception;
}

ObjectRef jvmc_newObject(JvmcContext* ctx, uint32_t classIndex) {
  auto& vm = vmOf(ctx, "newObject");
  return vm.newObject(classIndex, (*vm.classes)[classIndex].instanceBytes);
}
ObjectRef jvmc_newArray(JvmcContext* ctx, uint32_t classIndex, int32_t length) {
  auto& vm = vmOf(ctx, "newArray");
  if (length < 0) {
    vm.raiseBuiltin(uint32_t(rt::BuiltinThrow::NegativeSize));
    return 0;
  }
  return vm.newArray(vm.module->types[vm.layout->arrayType(classIndex)].element(), uint32_t(length));
}
ObjectRef jvmc_newBytes(JvmcContext* ctx, uint32_t literal) {
  auto& vm = vmOf(ctx, "newBytes");
  const std::string& bytes = vm.module->byteLiterals[literal];
  ObjectRef array = vm.newArray(ir::kI8, uint32_t(bytes.size()));
  std::memcpy(vm.elements<char>(array), bytes.data(), bytes.size());
  return array;
}
void jvmc_initClass(JvmcContext* ctx, uint32_t classId) {
  auto& vm = vmOf(ctx, "initClass");
  rt::ClassInfo& info = vm.classes->info(classId);
  if (info.initEpoch == rt::kNotInitialised) {
    info.initEpoch = vm.clock.load();
    if (ir::FunctionId f = (*vm.module)[ir::ClassId(classId)].initializer; f.valid()) {
      uint64_t none = 0;
      uint64_t every = std::exchange(vm.captureEvery, 0);  // the fake keeps no frame for a running initialiser
      jvmc_interpret(ctx, &ctx->cells[f.index()], &none, &none);
      vm.captureEvery = every;
    }
  }
  ctx->epoch = vm.clock;
  vm.safepoint();
}

int32_t jvmc_instanceOf(JvmcContext* ctx, ObjectRef object, uint32_t classIndex) {
  auto& vm = vmOf(ctx, "instanceOf");
  return rt::isInstance(infoOf(vm, object), (*vm.classes)[classIndex]);
}
int32_t jvmc_arrayStoreCheck(JvmcContext* ctx, ObjectRef array, ObjectRef value) {
  auto& vm = vmOf(ctx, "arrayStoreCheck");
  return rt::isInstance(infoOf(vm, value), *infoOf(vm, array).element);
}
void jvmc_arrayCopy(JvmcContext* ctx, ObjectRef from, int32_t fromIndex, ObjectRef to, int32_t toIndex, int32_t count) {
  auto& vm = vmOf(ctx, "arrayCopy");
  if (!from || !to) return vm.raiseBuiltin(uint32_t(rt::BuiltinThrow::NullPointer));
  auto fits = [&](ObjectRef array, int32_t index) {
    return index >= 0 && count >= 0 && int64_t(index) + count <= lengthOf(array);
  };
  if (!fits(from, fromIndex) || !fits(to, toIndex)) return vm.raiseBuiltin(uint32_t(rt::BuiltinThrow::ArrayIndex));
  int shift = infoOf(vm, from).elementShift;
  std::memmove(vm.elements<char>(to) + (size_t(toIndex) << shift),
               vm.elements<char>(from) + (size_t(fromIndex) << shift), size_t(count) << shift);
}
void jvmc_arrayFill(JvmcContext* ctx, ObjectRef array, int32_t from, int32_t to, int64_t bits) {
  auto& vm = vmOf(ctx, "arrayFill");
  if (!array) return vm.raiseBuiltin(uint32_t(rt::BuiltinThrow::NullPointer));
  if (from < 0 || to < from || to > lengthOf(array)) return vm.raiseBuiltin(uint32_t(rt::BuiltinThrow::ArrayIndex));
  int shift = infoOf(vm, array).elementShift;
  for (int32_t i = from; i < to; ++i) std::memcpy(vm.elements<char>(array) + (size_t(i) << shift), &bits, 1u << shift);
}
void jvmc_freeze(JvmcContext* ctx, ObjectRef object) {
  auto& vm = vmOf(ctx, "freeze");
  if (!object) return vm.raiseBuiltin(uint32_t(rt::BuiltinThrow::NullPointer));
  headerOf(object).classWord |= rt::kFlagFrozen;
}

void jvmc_storeBarrier(JvmcContext* ctx, ObjectRef, int64_t, ObjectRef) {
  vmOf(ctx, "storeBarrier");
}
void jvmc_checkRead(JvmcContext* ctx, ObjectRef object) {
  vmOf(ctx, "checkRead");
  headerOf(object).epochWord = ctx->epoch;
}
void jvmc_checkWrite(JvmcContext* ctx, ObjectRef object) {
  vmOf(ctx, "checkWrite");
  ctx->writerSlot = 5;
  headerOf(object).epochWord = ctx->epoch | ctx->writerSlot;
}
void jvmc_checkRangeRead(JvmcContext* ctx, ObjectRef array, int32_t, int32_t) {
  jvmc_checkRead(ctx, array);
}
void jvmc_checkRangeWrite(JvmcContext* ctx, ObjectRef array, int32_t, int32_t) {
  jvmc_checkWrite(ctx, array);
}

int64_t jvmc_atomicAccess(JvmcContext* ctx, uint32_t op, ObjectRef object, int64_t offset, int64_t sizeLog2, int64_t a,
                          int64_t b) {
  auto& vm = vmOf(ctx, "atomicAccess");
  uint64_t address = object + uint64_t(offset), value = 0;
  auto kind = rt::AtomicOp(op);
  switch (sizeLog2) {
    case 0:
      value = atomically<int8_t>(kind, address, a, b);
      break;
    case 1:
      value = atomically<int16_t>(kind, address, a, b);
      break;
    case 2:
      value = atomically<int32_t>(kind, address, a, b);
      break;
    default:
      value = atomically<int64_t>(kind, address, a, b);
      break;
  }
  if (sizeLog2 < 3) value = uint32_t(value);
  vm.safepoint(value);
  return int64_t(value);
}
void jvmc_fence(JvmcContext* ctx) {
  vmOf(ctx, "fence").safepoint();
}

void jvmc_callNative(JvmcContext* ctx, uint32_t native, const uint64_t* args, uint64_t* result) {
  auto& vm = vmOf(ctx, "callNative");
  *result = vm.natives.at(vm.module->natives[native].name)(args);
  if (ctx->unwinding == rt::Unwinding::None) vm.safepoint(*result);
}

void jvmc_monitorEnter(JvmcContext* ctx, ObjectRef object) {
  auto& vm = vmOf(ctx, "monitorEnter");
  ++headerOf(object).lockWord;
  vm.safepoint();
}
void jvmc_monitorExit(JvmcContext* ctx, ObjectRef object) {
  auto& vm = vmOf(ctx, "monitorExit");
  if (headerOf(object).lockWord == 0) return vm.raiseBuiltin(uint32_t(rt::BuiltinThrow::IllegalMonitor));
  --headerOf(object).lockWord;
  vm.safepoint();
}
void jvmc_monitorWait(JvmcContext* ctx, ObjectRef, int64_t) {
  vmOf(ctx, "monitorWait").safepoint();
}
void jvmc_monitorNotify(JvmcContext* ctx, ObjectRef, int32_t all) {
  vmOf(ctx, all ? "monitorNotifyAll" : "monitorNotify").safepoint();
}
void jvmc_threadStart(JvmcContext* ctx, ObjectRef, uint32_t function, const uint64_t* args) {
  auto& vm = vmOf(ctx, "threadStart");
  uint64_t none = 0;
  jvmc_interpret(ctx, &ctx->cells[function], args, &none);
  if (ctx->unwinding == rt::Unwinding::None) vm.safepoint();
}
int32_t jvmc_threadJoin(JvmcContext* ctx, ObjectRef, int64_t) {
  vmOf(ctx, "threadJoin").safepoint(1);
  return 1;
}
void jvmc_threadSleep(JvmcContext* ctx, int64_t) {
  vmOf(ctx, "threadSleep").safepoint();
}
void jvmc_threadYield(JvmcContext* ctx) {
  vmOf(ctx, "threadYield").safepoint();
}
void jvmc_threadPark(JvmcContext* ctx, int64_t) {
  vmOf(ctx, "threadPark").safepoint();
}
void jvmc_threadUnpark(JvmcContext* ctx, ObjectRef) {
  vmOf(ctx, "threadUnpark").safepoint();
}
void jvmc_threadInterrupt(JvmcContext* ctx, ObjectRef) {
  vmOf(ctx, "threadInterrupt").safepoint();
}
int32_t jvmc_threadInterrupted(JvmcContext* ctx) {
  vmOf(ctx, "threadInterrupted").safepoint(1);
  return 1;
}
int32_t jvmc_threadIsInterrupted(JvmcContext* ctx, ObjectRef) {
  vmOf(ctx, "threadIsInterrupted").safepoint(0);
  return 0;
}
int32_t jvmc_threadIsAlive(JvmcContext* ctx, ObjectRef) {
  vmOf(ctx, "threadIsAlive").safepoint(1);
  return 1;
}
void jvmc_spinHint(JvmcContext* ctx) {
  vmOf(ctx, "spinHint").safepoint();
}

}  // extern "C"
