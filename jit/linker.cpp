#include "jit/linker.h"

#include <llvm/ExecutionEngine/JITLink/EHFrameSupport.h>
#include <llvm/ExecutionEngine/JITLink/JITLink.h>
#include <llvm/ExecutionEngine/Orc/DebugObjectManagerPlugin.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>

#include <charconv>
#include <cmath>

#include "ir/support/check.h"
#include "jit/optimizer.h"
#include "jit/symbols.h"
#include "runtime/abi/helpers.h"

namespace jvmc::jit {
namespace {

using namespace llvm::orc;  // NOLINT: this file is about ORC

double guestFmod(double x, double y) {
  return std::fmod(x, y);
}

/// What the code of the whole process never lacks: a failure here is a bug, not an outcome.
void mustSucceed(llvm::Error error) {
  std::string text;
  if (error) text = llvm::toString(std::move(error));
  JVMC_CHECK(text.empty(), text);
}
template <class T>
T mustSucceed(llvm::Expected<T> value) {
  if (!value) mustSucceed(value.takeError());
  return std::move(*value);
}

/// Answers the names of symbols.h on demand.
class ProcessSymbols final : public DefinitionGenerator {
 public:
  explicit ProcessSymbols(const LinkTargets& targets) : targets_(targets) {
#define JVMC_HELPER(name, result, params) fixed_["jvmc_" #name] = reinterpret_cast<void*>(&jvmc_##name);
#include "runtime/abi/helpers.def"
    fixed_[std::string(kFmodSymbol)] = reinterpret_cast<void*>(&guestFmod);
    fixed_[std::string(kClassTableSymbol)] = const_cast<rt::ClassInfo**>(targets.classes);
  }

  llvm::Error tryToGenerate(LookupState&, LookupKind, JITDylib& dylib, JITDylibLookupFlags,
                            const SymbolLookupSet& symbols) override {
    SymbolMap found;
    for (const auto& [name, flags] : symbols)
      if (void* address = find(*name)) found[name] = {ExecutorAddr::fromPtr(address), llvm::JITSymbolFlags::Exported};
    return found.empty() ? llvm::Error::success() : dylib.define(absoluteSymbols(std::move(found)));
  }

 private:
  void* find(llvm::StringRef name) const {
    if (auto it = fixed_.find(std::string(name)); it != fixed_.end()) return it->second;
    if (auto n = number(name, "cell."); n && *n < targets_.cellCount) return &targets_.cells[*n];
    if (auto n = number(name, "class."); n && *n < targets_.classCount)
      return const_cast<rt::ClassInfo*>(targets_.classes[*n]);
    return nullptr;
  }

  static std::optional<uint32_t> number(llvm::StringRef name, llvm::StringRef prefix) {
    uint32_t n = 0;
    if (!name.consume_front(prefix) || name.getAsInteger(10, n)) return std::nullopt;
    return n;
  }

  LinkTargets targets_;
  std::unordered_map<std::string, void*> fixed_;
};

/// Tells where each function came to lie.
class ReportFunctions final : public ObjectLinkingLayer::Plugin {
 public:
  explicit ReportFunctions(Linker::OnFunction onFunction) : onFunction_(std::move(onFunction)) {}

  void modifyPassConfig(MaterializationResponsibility&, llvm::jitlink::LinkGraph&,
                        llvm::jitlink::PassConfiguration& config) override {
    // The body of a function that calls itself is reached from beside it, without a symbol; keep its name.
    config.PrePrunePasses.push_back([](llvm::jitlink::LinkGraph& graph) {
      for (llvm::jitlink::Symbol* symbol : graph.defined_symbols())
        if (symbol->hasName() && symbol->isCallable()) symbol->setLive(true);
      return llvm::Error::success();
    });
    config.PostFixupPasses.push_back([this](llvm::jitlink::LinkGraph& graph) {
      for (llvm::jitlink::Symbol* symbol : graph.defined_symbols())
        if (symbol->hasName() && symbol->isCallable())
          onFunction_(std::string_view(symbol->getName()), symbol->getAddress().getValue(), codeOf(*symbol));
      return llvm::Error::success();
    });
  }
  llvm::Error notifyFailed(MaterializationResponsibility&) override { return llvm::Error::success(); }
  llvm::Error notifyRemovingResources(JITDylib&, ResourceKey) override { return llvm::Error::success(); }
  void notifyTransferringResources(JITDylib&, ResourceKey, ResourceKey) override {}

 private:
  static std::string_view codeOf(const llvm::jitlink::Symbol& symbol) {
    llvm::ArrayRef<char> content = symbol.getBlock().getContent();
    return {content.data() + symbol.getOffset(), size_t(symbol.getSize())};
  }

  Linker::OnFunction onFunction_;
};

}  // namespace

Linker::Linker(const LinkTargets& targets, OnFunction onFunction, bool forDebugger) {
  LLJITBuilder builder;
  builder.setJITTargetMachineBuilder(hostMachine());
  builder.setObjectLinkingLayerCreator(
      [onFunction, forDebugger](ExecutionSession& session,
                                const llvm::Triple&) -> llvm::Expected<std::unique_ptr<ObjectLayer>> {
        auto layer = std::make_unique<ObjectLinkingLayer>(session);
        layer->addPlugin(std::make_shared<EHFrameRegistrationPlugin>(
            session, std::make_unique<llvm::jitlink::InProcessEHFrameRegistrar>()));
        layer->addPlugin(std::make_shared<ReportFunctions>(onFunction));
        if (forDebugger) {
          auto registrar = createJITLoaderGDBRegistrar(session);
          if (!registrar) return registrar.takeError();
          // Symbols and frames are worth it without debug sections.
          layer->addPlugin(std::make_shared<DebugObjectManagerPlugin>(session, std::move(*registrar),
                                                                      /*RequireDebugSections=*/false,
                                                                      /*AutoRegisterCode=*/true));
        }
        return layer;
      });
  lljit_ = mustSucceed(builder.create());
  lljit_->getMainJITDylib().addGenerator(std::make_unique<ProcessSymbols>(targets));
}

Linker::~Linker() = default;

void Linker::add(std::unique_ptr<llvm::MemoryBuffer> object) {
  mustSucceed(lljit_->addObjectFile(std::move(object)));
}

void* Linker::find(const std::string& symbol) {
  return mustSucceed(lljit_->lookup(symbol)).toPtr<void*>();
}

}  // namespace jvmc::jit
