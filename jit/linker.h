// Object files into executable memory: LLVM ORC with JITLink. Binds the symbols of symbols.h to this process and
// reports each linked function.
#pragma once

#include <llvm/Support/MemoryBuffer.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/abi/class_info.h"
#include "runtime/abi/layout.h"

namespace llvm::orc {
class LLJIT;
}

namespace jvmc::jit {

/// What symbols mean in this process.
struct LinkTargets {
  rt::FunctionCell* cells;
  size_t cellCount;
  const rt::ClassInfo* const* classes;
  size_t classCount;
};

class Linker {
 public:
  /// Called for each function linked, before its address is known to anyone else. From any linking thread.
  /// `code` is what will be executed at `start`.
  using OnFunction = std::function<void(std::string_view symbol, uint64_t start, std::string_view code)>;

  /// `forDebugger`: the symbols and unwind tables of each object are handed to GDB's JIT interface.
  Linker(const LinkTargets& targets, OnFunction onFunction, bool forDebugger = false);
  ~Linker();

  /// Links one object. Its defined symbols must be new. Thread-safe.
  void add(std::unique_ptr<llvm::MemoryBuffer> object);
  /// Address of a symbol that was added. Thread-safe.
  void* find(const std::string& symbol);

 private:
  std::unique_ptr<llvm::orc::LLJIT> lljit_;
};

}  // namespace jvmc::jit
