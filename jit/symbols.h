// Names of what machine code refers to outside itself. Code holds no address of this process, only these symbols, which
// the linker binds; so an object file means the same in every process that runs the program.
//
//   jvmc_<helper>    runtime entry point (runtime/abi/helpers.def)
//   cell.<n>         FunctionCell of function n
//   class.<n>        ClassInfo of class index n
//   classes          table of all ClassInfo pointers
//   stub.<helper>    slow path that preserves all registers (see coherence.h)
//   jit.fmod         C's fmod, opaque so that LLVM folds nothing by its own library
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ir/module.h"
#include "runtime/abi/layout.h"

namespace jvmc::jit {

enum class Helper : uint8_t {
#define JVMC_HELPER(name, result, params) name,
#include "runtime/abi/helpers.def"
  kCount
};

struct HelperInfo {
  std::string_view symbol;  ///< "jvmc_poll"
  char result;              ///< letters of helpers.def
  std::string_view params;  ///< without the leading context
};
const HelperInfo& helperInfo(Helper helper);

inline constexpr std::string_view kClassTableSymbol = "classes";
inline constexpr std::string_view kFmodSymbol = "jit.fmod";
std::string cellSymbol(ir::FunctionId function);
std::string classSymbol(rt::ClassIndex index);

/// Name of a compiled function or continuation, unique by `serial`: "fib#3", "fib@17#4".
std::string codeSymbol(const ir::Module& module, ir::FunctionId function, std::optional<uint32_t> resumePoint,
                       uint32_t serial);

/// Of a function that calls itself: where it goes on such a call.
std::string bodySymbol(const std::string& codeSymbol);

}  // namespace jvmc::jit
