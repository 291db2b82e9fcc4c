// One compilation unit: an LLVM module under construction, with the types, external symbols and alias classes that
// every lowering shares. Made and used by one thread.
//
// Alias analysis. The context is `noalias`. Guest memory has one TBAA type per declared field and one per element kind:
// two accesses to different fields, or to a field and an element, never meet. Class word, array length and the
// runtime's class tables never change once an object is visible: their loads are `invariant` (allocation hides the new
// object from LLVM behind an opaque copy of its address, so that no such load can move above the stores of the header).
#pragma once

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

#include <map>

#include "ir/module.h"
#include "jit/symbols.h"
#include "runtime/abi/helpers.h"
#include "runtime/abi/layout.h"

namespace jvmc::jit {

class Unit {
 public:
  /// `context`, `layout` and `machine` must outlive this.
  Unit(llvm::LLVMContext& context, const rt::ModuleLayout& layout, const llvm::TargetMachine& machine,
       const std::string& name);

  llvm::LLVMContext& context() { return context_; }
  llvm::Module& module() { return *module_; }
  std::unique_ptr<llvm::Module> take() { return std::move(module_); }
  const rt::ModuleLayout& layout() const { return layout_; }
  const ir::Module& program() const { return layout_.module(); }

  // -- types
  llvm::Type* stackType(ir::TypeId type);
  llvm::Type* stackType(ir::TypeKind kind);
  llvm::Type* storageType(ir::TypeKind kind);
  ir::TypeKind kind(ir::TypeId type) const { return program().types[type].kind; }
  bool isReference(ir::TypeId type) const { return program().types[type].isReference(); }
  /// R f(ctx, nest cell, params...), see runtime/abi/calling_convention.h.
  llvm::FunctionType* compiledSignature(const std::vector<ir::TypeId>& params, ir::TypeId result);
  /// void c(ctx, slots, result)
  llvm::FunctionType* continuationSignature();

  /// A function of ours with the attributes all generated code has; parameter 0 is the context.
  llvm::Function* define(const std::string& symbol, llvm::FunctionType* type);

  // -- what code refers to
  llvm::FunctionCallee helper(Helper helper);
  llvm::FunctionCallee fmod();
  llvm::Constant* cell(ir::FunctionId function);
  llvm::Constant* classInfo(rt::ClassIndex index);
  llvm::Constant* classTable();

  // -- metadata
  llvm::MDNode* fieldTag(const ir::SymbolRef& field, bool isStatic);
  llvm::MDNode* elementTag(ir::TypeKind kind);
  llvm::MDNode* headerTag(std::string_view word);
  llvm::MDNode* unlikely() { return metadata_.createBranchWeights(1, 1 << 20); }
  llvm::MDBuilder& metadata() { return metadata_; }
  llvm::MDNode* empty() { return llvm::MDNode::get(context_, {}); }

  // -- slots: 8 bytes, i32 zero-extended, f32 by its bits, references by address
  llvm::Value* toSlot(llvm::IRBuilder<>& builder, llvm::Value* value);
  llvm::Value* fromSlot(llvm::IRBuilder<>& builder, llvm::Value* slot, llvm::Type* type);

 private:
  llvm::MDNode* tag(const std::string& name);
  llvm::Constant* external(const std::string& symbol);

  llvm::LLVMContext& context_;
  const rt::ModuleLayout& layout_;
  std::unique_ptr<llvm::Module> module_;
  llvm::MDBuilder metadata_;
  llvm::MDNode* tbaaRoot_;
  std::map<std::string, llvm::MDNode*> tags_;
};

}  // namespace jvmc::jit
