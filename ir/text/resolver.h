// Second step of parsing: the trees of all sources become one module.
#pragma once

#include <string>
#include <unordered_map>

#include "ir/module.h"
#include "ir/text/ast.h"
#include "ir/text/parser.h"

namespace jvmc::ir::text {

/// What declarations and bodies share: the module, its names, and messages about unknown ones.
class NameResolver {
 public:
  NameResolver(const SourceSet& sources, Module& module, DiagnosticSink& sink)
      : sources_(sources), module_(module), sink_(sink) {}

  Module& module() { return module_; }
  void error(Code code, Span span, std::string message, std::vector<std::string> helps = {},
             std::vector<Note> notes = {});

  std::optional<ClassId> classNamed(const ast::Name& name);
  std::optional<FunctionId> functionNamed(const ast::Name& name);
  std::optional<NativeId> nativeNamed(const ast::Name& name);
  /// `allowBareClass`: "Circle" stands for ref(Circle), as in a cast.
  std::optional<TypeId> type(const ast::Type& type, bool allowBareClass = false);
  std::optional<std::vector<TypeId>> types(const std::vector<ast::Type>& list);
  std::optional<TypeId> resultType(const std::optional<ast::Type>& result);
  /// "Class.member" as a Field, Static or Method.
  std::optional<SymbolRef> member(const ast::Name& name, Symbol kind);
  SourceLoc location(const ast::Place& place);

 private:
  void unknown(Code code, const ast::Name& name, std::string_view kind, std::string_view sigil,
               const std::vector<std::string_view>& candidates);
  void unknownMember(const ast::Name& name, ClassId cls, std::string_view memberName, Symbol kind);

  const SourceSet& sources_;
  Module& module_;
  DiagnosticSink& sink_;
};

/// "did you mean 'x'?" as the list of helps of a diagnostic; empty if nothing is near.
std::vector<std::string> didYouMean(std::string_view name, const std::vector<std::string_view>& candidates,
                                    std::string_view sigil = "");

/// Builds the body of `decl`, declared as `function`; nothing if something in it could not be resolved (reported).
std::optional<FunctionBody> resolveBody(NameResolver& names, FunctionId function, const ast::Function& decl,
                                        BodySpans& spans);

}  // namespace jvmc::ir::text
