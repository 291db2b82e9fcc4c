#include "jit/symbols.h"

namespace jvmc::jit {
namespace {

constexpr HelperInfo kHelpers[] = {
#define HELPER_RESULT(letter) #letter[0]
#define JVMC_HELPER(name, result, params) {"jvmc_" #name, HELPER_RESULT(result), params},
#include "runtime/abi/helpers.def"
};

}  // namespace

const HelperInfo& helperInfo(Helper helper) {
  return kHelpers[size_t(helper)];
}

std::string cellSymbol(ir::FunctionId function) {
  return fmt::format("cell.{}", function.value);
}
std::string classSymbol(rt::ClassIndex index) {
  return fmt::format("class.{}", index);
}

std::string codeSymbol(const ir::Module& module, ir::FunctionId function, std::optional<uint32_t> resumePoint,
                       uint32_t serial) {
  const std::string& name = module[function].name;
  return resumePoint ? fmt::format("{}@{}#{}", name, *resumePoint, serial) : fmt::format("{}#{}", name, serial);
}

std::string bodySymbol(const std::string& codeSymbol) {
  return codeSymbol + ".body";
}

}  // namespace jvmc::jit
