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
  using OnFunction = std::function<void(std::string_view symbol, uint64_t start, uint64_t bytes)>;

  Linker(const LinkTargets& targets, OnFunction onFunction);
  ~Linker();

  /// Links one object. Its defined symbols must be new. Thread-safe.
  void add(std::unique_ptr<llvm::MemoryBuffer> object);
  /// Address of a symbol that was added. Thread-safe.
  void* find(const std::string& symbol);

 private:
  std::unique_ptr<llvm::orc::LLJIT> lljit_;
};

}  // namespace jvmc::jit
