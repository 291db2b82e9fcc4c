#include "jit/compiler.h"

#include <llvm/IR/LLVMContext.h>

#include <chrono>
#include <set>

#include "ir/support/fault.h"
#include "jit/adapters.h"
#include "jit/code_cache.h"
#include "jit/coherence.h"
#include "jit/compile_queue.h"
#include "jit/debug/jitdump.h"
#include "jit/debug/perf_map.h"
#include "jit/linker.h"
#include "jit/optimizer.h"
#include "jit/unit_maker.h"

namespace jvmc::jit {
namespace {

using ir::FunctionId;

/// Everything that needs LLVM, made by the first job.
class Engine {
 public:
  Engine(const rt::ModuleLayout& layout, rt::FunctionCell* cells, const rt::ClassInfo* const* classes,
         const rt::CodeOptions& options, CodeCache& cache)
      : layout_(layout),
        cells_(cells),
        options_(options),
        cache_(cache),
        calls_(layout.module()),
        functionsByLine_(layout.module()),
        linker_(
            {cells, layout.module().functions.size(), classes, layout.indexCount()},
            [this](std::string_view symbol, uint64_t start, std::string_view code) { placed(symbol, start, code); },
            options.tools.gdb) {
    if (options.tools.perfMap) perfMap_.emplace();
    if (options.tools.jitDump) jitDump_.emplace();
    installAdapters();
  }

  /// Compiles a function or continuation; gives its address.
  Result<void*> compile(FunctionId function, std::optional<uint32_t> resumePoint) {
    std::string symbol;
    {
      std::scoped_lock lock(mutex_);
      symbol = codeSymbol(layout_.module(), function, resumePoint, serial_++);
    }
    auto machine = makeTargetMachine();
    llvm::LLVMContext context;
    CodeSites sites;
    UnitRequest request{function, resumePoint, symbol, {}, &functionsByLine_, &sites};
    if (options_.tools.gdb) request.sites = nullptr;  // to a debugger site numbers would look like lines
    request.pipeline.checked = options_.checked;
    request.pipeline.unmovable = options_.unmovable;
    request.pipeline.seed = options_.passSeed;
    auto unit = makeUnit(context, layout_, calls_, *machine, request);
    if (!unit.ok()) return std::move(unit).error();
    // A continuation without loops does a bounded rest of work after a capture, which took longer than that.
    if (resumePoint && isSmallAndLoopFree(**unit))
      prepareQuickly(**unit, *machine);
    else
      optimise(**unit, *machine);
    auto object = emitObject(**unit, *machine);
    {
      auto lines = std::make_shared<const UnitLines>(object->getMemBufferRef(), std::move(sites));
      std::scoped_lock lock(mutex_);
      unplaced_[symbol] = unplaced_[bodySymbol(symbol)] = {function, std::move(lines)};
    }
    linker_.add(std::move(object));
    void* code = linker_.find(symbol);
    std::scoped_lock lock(mutex_);
    unplaced_.erase(symbol);
    unplaced_.erase(bodySymbol(symbol));
    return code;
  }

  void install(FunctionId function, void* code) {
    rt::FunctionCell& cell = cells_[function.index()];
    auto enter = reinterpret_cast<rt::EnterFn>(linker_.find(i2cSymbol(keyOf(function))));
    if (!JVMC_FAULT("cell-keeps-its-old-entry")) cell.entry.store(code, std::memory_order_release);
    cell.enter.store(enter, std::memory_order_release);
  }

 private:
  std::string keyOf(FunctionId function) const { return signatureKey(layout_.module(), layout_.module()[function]); }

  // One unit with the adapters of every signature; from then on each cell has an entry.
  void installAdapters() {
    auto machine = makeTargetMachine();
    llvm::LLVMContext context;
    Unit unit(context, layout_, *machine, "adapters");
    const ir::Module& program = layout_.module();
    std::set<std::string> done;
    for (uint32_t f = 0; f < program.functions.size(); ++f)
      if (std::string key = keyOf(FunctionId(f)); done.insert(key).second)
        defineAdapters(unit, program.functions[f], key);
    defineAbstractMethod(unit);
    defineCheckStubs(unit, *machine);
    linker_.add(emitObject(unit.module(), *machine));
    for (uint32_t f = 0; f < program.functions.size(); ++f)
      cells_[f].entry.store(linker_.find(c2iSymbol(keyOf(FunctionId(f)))), std::memory_order_release);
    cells_[program.functions.size()].entry.store(linker_.find(std::string(kAbstractSymbol)), std::memory_order_release);
  }

  void placed(std::string_view symbol, uint64_t start, std::string_view code) {
    Unplaced unit;
    {
      std::scoped_lock lock(mutex_);
      if (auto it = unplaced_.find(std::string(symbol)); it != unplaced_.end()) unit = it->second;
    }
    if (unit.function.valid()) {
      const uint64_t offset = unit.lines->offsetOf(std::string(symbol)).value_or(0);
      cache_.addRange(start, code.size(), unit.function, unit.lines, offset);
    }
    if (perfMap_) perfMap_->add(start, code.size(), symbol);
    if (jitDump_) jitDump_->add(start, code, symbol);
  }

  const rt::ModuleLayout& layout_;
  rt::FunctionCell* cells_;
  const rt::CodeOptions& options_;
  CodeCache& cache_;
  ir::CallGraph calls_;
  FunctionsByLine functionsByLine_;
  std::optional<PerfMap> perfMap_;
  std::optional<JitDump> jitDump_;
  std::mutex mutex_;
  struct Unplaced {
    FunctionId function;
    std::shared_ptr<const UnitLines> lines;
  };
  std::unordered_map<std::string, Unplaced> unplaced_;  // compiled and not linked yet, by symbol
  uint32_t serial_ = 0;
  Linker linker_;  // last: it reports to the members above
};

class Jit final : public rt::CodeProvider {
 public:
  Jit(const rt::ModuleLayout& layout, rt::FunctionCell* cells, const rt::ClassInfo* const* classes,
      const rt::CodeOptions& options)
      : layout_(layout), cells_(cells), classes_(classes), options_(options), queue_(options.compileThreads) {}

  void requestFunction(FunctionId function) override {
    rt::FunctionCell& cell = cells_[function.index()];
    if (cell.enter.load(std::memory_order_acquire)) return;
    request(functionKey(function), cell.heat.load(std::memory_order_relaxed), [this, function] {
      Result<void*> code = compile(function, std::nullopt);
      if (code.ok()) engine().install(function, *code);
      return code;
    });
  }

  rt::ContinuationFn requestContinuation(FunctionId function, uint32_t resumePoint) override {
    uint64_t key = CodeCache::key(function, resumePoint);
    if (rt::ContinuationFn ready = cache_.continuation(key)) return ready;
    // A thread waits for it in the interpreter: before any function that is merely called often.
    request(key, ~uint64_t(0), [this, function, resumePoint, key] {
      Result<void*> code = compile(function, resumePoint);
      if (code.ok()) cache_.addContinuation(key, reinterpret_cast<rt::ContinuationFn>(*code));
      return code;
    });
    return cache_.continuation(key);
  }

  rt::CodeStats stats() const override {
    std::scoped_lock lock(mutex_);
    rt::CodeStats stats = stats_;
    stats.codeBytes = cache_.codeBytes();
    return stats;
  }

  FunctionId functionAt(uint64_t pc) const override { return cache_.functionAt(pc); }
  std::vector<rt::CodeSite> sitesAt(uint64_t pc) const override { return cache_.sitesAt(pc); }

 private:
  static uint64_t functionKey(FunctionId function) { return CodeCache::key(function, ~0u); }

  // Queues a job once; in synchronous mode waits until it is done.
  template <class Compile>
  void request(uint64_t key, uint64_t priority, Compile compileIt) {
    std::unique_lock lock(mutex_);
    if (auto [it, isNew] = requested_.try_emplace(key, false); isNew) {
      queue_.submit(priority, [this, key, compileIt] {
        Result<void*> code = compileIt();
        finish(key, code);
      });
    }
    if (options_.synchronous) done_.wait(lock, [&] { return requested_[key]; });
  }

  void finish(uint64_t key, const Result<void*>& code) {
    JVMC_CHECK(code.ok() || !options_.synchronous, code.error().message);
    {
      std::scoped_lock lock(mutex_);
      requested_[key] = true;
      if (!code.ok()) ++stats_.failures;
    }
    done_.notify_all();
  }

  Result<void*> compile(FunctionId function, std::optional<uint32_t> resumePoint) {
    auto start = std::chrono::steady_clock::now();
    Result<void*> code = engine().compile(function, resumePoint);
    auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
    if (options_.compiled) options_.compiled(function, resumePoint, nanos);
    std::scoped_lock lock(mutex_);
    stats_.compileNanos += uint64_t(nanos);
    if (code.ok()) ++(resumePoint ? stats_.continuations : stats_.functions);
    return code;
  }

  Engine& engine() {
    std::call_once(engineOnce_,
                   [this] { engine_ = std::make_unique<Engine>(layout_, cells_, classes_, options_, cache_); });
    return *engine_;
  }

  const rt::ModuleLayout& layout_;
  rt::FunctionCell* cells_;
  const rt::ClassInfo* const* classes_;
  const rt::CodeOptions options_;
  CodeCache cache_;
  std::once_flag engineOnce_;
  std::unique_ptr<Engine> engine_;

  mutable std::mutex mutex_;
  std::condition_variable done_;
  std::unordered_map<uint64_t, bool> requested_;  // by key: finished
  rt::CodeStats stats_;
  CompileQueue queue_;  // last: its threads use the members above
};

}  // namespace

std::unique_ptr<rt::CodeProvider> makeJit(const rt::ModuleLayout& layout, rt::FunctionCell* cells,
                                          const rt::ClassInfo* const* classes, rt::CodeOptions options) {
  return std::make_unique<Jit>(layout, cells, classes, options);
}

}  // namespace jvmc::jit
