#include "ir/text/parser.h"

#include <fmt/format.h>

#include "ir/text/resolver.h"
#include "ir/text/syntax.h"

namespace jvmc::ir::text {
namespace {

class ModuleResolver {
 public:
  ModuleResolver(const SourceSet& sources, std::vector<ast::File>& files, DiagnosticSink& sink)
      : files_(files), module_(std::make_unique<Module>()), names_(sources, *module_, sink) {
    parsed_.map.classes.resize(module_->classes.size());
  }

  /// Names first, then what uses them.
  ParsedModule run() {
    for (const ast::File& file : files_)
      if (file.moduleName && module_->name.empty()) module_->name = file.moduleName->text;
    forEach(&ast::File::classes, [&](const ast::Class& c) { declareClass(c); });
    forEach(&ast::File::natives, [&](const ast::Native& n) { declareNative(n); });
    forEach(&ast::File::functions, [&](const ast::Function& f) { declareFunction(f); });
    forEach(&ast::File::classes, [&](const ast::Class& c) { fillClass(c); });
    parsed_.map.bodies.resize(module_->functions.size());
    forEach(&ast::File::functions, [&](const ast::Function& f) { define(f); });
    module_->entry = module_->findFunction("main");
    parsed_.module = std::move(module_);
    return std::move(parsed_);
  }

 private:
  template <class Item, class Action>
  void forEach(std::vector<Item> ast::File::* items, Action action) {
    for (const ast::File& file : files_)
      for (const Item& item : file.*items) action(item);
  }

  void declareClass(const ast::Class& source) {
    ClassId existing = module_->findClass(source.name.text);
    if (existing.valid()) {
      std::vector<Note> notes;
      if (auto span = parsed_.map.classes[existing.index()].name) notes.push_back({"first declared here", span});
      names_.error(Code::Redefinition, source.name.span,
                   notes.empty() ? fmt::format("'{}' is a builtin class", source.name.text)
                                 : fmt::format("class '{}' is declared twice", source.name.text),
                   {}, notes);
      return;
    }
    ClassDecl decl;
    decl.name = source.name.text;
    decl.isInterface = source.isInterface;
    decl.isAbstract = source.isAbstract || source.isInterface;
    decl.isImmutable = source.isImmutable;
    decl.loc = names_.location(source.place);
    classes_.emplace(&source, module_->addClass(std::move(decl)));
    parsed_.map.classes.push_back({source.name.span, {}, {}, {}});
  }

  void declareNative(const ast::Native& source) {
    auto params = names_.types(source.params);
    auto result = names_.resultType(source.result);
    if (!params || !result) return;
    NativeDecl decl{source.name.text, std::move(*params), *result, effect(source.effect),
                    names_.location(source.place)};
    NativeId existing = module_->findNative(decl.name);
    if (!existing.valid()) {
      module_->addNative(std::move(decl));
      parsed_.map.natives.push_back(source.name.span);
      return;
    }
    const NativeDecl& first = (*module_)[existing];
    if (first.params == decl.params && first.result == decl.result && first.effect == decl.effect) return;
    names_.error(Code::NativeMismatch, source.name.span,
                 fmt::format("native '@{}' is declared differently elsewhere", decl.name), {},
                 {{"first declared here", parsed_.map.natives[existing.index()]}});
  }

  static NativeEffect effect(std::string_view word) {
    for (auto [name, value] : kEffectNames)
      if (name == word) return value;
    return NativeEffect::Node;
  }

  void declareFunction(const ast::Function& source) {
    if (source.optimised) return;  // stands beside its baseline
    FunctionDecl decl;
    decl.name = source.name.text;
    decl.loc = names_.location(source.place);
    for (const ast::Param& param : source.params) decl.params.push_back(names_.type(param.type).value_or(kI32));
    decl.result = names_.resultType(source.result).value_or(kVoid);
    FunctionId existing = module_->findFunction(decl.name);
    if (existing.valid()) {
      names_.error(Code::Redefinition, source.name.span, fmt::format("function '@{}' is defined twice", decl.name), {},
                   {{"first defined here", parsed_.map.functions[existing.index()]}});
      return;
    }
    functions_.emplace(&source, module_->addFunction(std::move(decl)));
    parsed_.map.functions.push_back(source.name.span);
  }

  void fillClass(const ast::Class& source) {
    auto it = classes_.find(&source);
    if (it == classes_.end()) return;
    uint32_t index = it->second.index();
    ClassId super = builtin::kObject;
    if (source.super)
      if (auto found = names_.classNamed(*source.super)) super = *found;
    module_->classes[index].super = super;
    for (const ast::Name& name : source.interfaces)
      if (auto interface = names_.classNamed(name)) module_->classes[index].interfaces.push_back(*interface);
    for (const ast::Field& field : source.fields) addField(index, field);
    for (const ast::Method& method : source.methods) addMethod(index, method);
    if (source.initializer)
      if (auto function = names_.functionNamed(*source.initializer)) module_->classes[index].initializer = *function;
  }

  void addField(uint32_t cls, const ast::Field& source) {
    auto type = names_.type(source.type);
    if (!type) return;
    FieldDecl decl{source.name.text, *type, source.isFinal, source.isVolatile, names_.location(source.place)};
    ClassDecl& owner = module_->classes[cls];
    SourceMap::ClassSpans& spans = parsed_.map.classes[cls];
    (source.isStatic ? owner.statics : owner.fields).push_back(std::move(decl));
    (source.isStatic ? spans.statics : spans.fields).push_back(source.name.span);
  }

  void addMethod(uint32_t cls, const ast::Method& source) {
    auto params = names_.types(source.params);
    auto result = names_.resultType(source.result);
    MethodDecl decl{source.name.text, {}, result.value_or(kVoid), {}, names_.location(source.place)};
    if (source.implementation)
      if (auto function = names_.functionNamed(*source.implementation)) decl.implementation = *function;
    if (params) decl.params = std::move(*params);
    module_->classes[cls].methods.push_back(std::move(decl));
    parsed_.map.classes[cls].methods.push_back(source.name.span);
  }

  void define(const ast::Function& source) {
    if (source.optimised) return defineOptimised(source);
    auto it = functions_.find(&source);
    if (it == functions_.end()) return;
    if (auto body = resolveBody(names_, it->second, source, parsed_.map.bodies[it->second.index()]))
      module_->setBody(it->second, std::move(*body));
  }

  void defineOptimised(const ast::Function& source) {
    FunctionId baseline = module_->findFunction(source.name.text);
    if (!baseline.valid()) {
      names_.error(Code::NoBaseline, source.name.span,
                   fmt::format("there is no function '@{}' that this is optimised from", source.name.text),
                   {fmt::format("declare 'func @{}' in one of the sources", source.name.text)});
      return;
    }
    const FunctionDecl& decl = (*module_)[baseline];
    std::vector<TypeId> params;
    for (const ast::Param& param : source.params)
      if (auto type = names_.type(param.type)) params.push_back(*type);
    if (params != decl.params || names_.resultType(source.result) != decl.result) {
      names_.error(Code::NoBaseline, source.name.span,
                   fmt::format("the optimised '@{}' has another signature than the function itself", decl.name), {},
                   {{"the function is defined here", parsed_.map.functions[baseline.index()]}});
      return;
    }
    OptimisedBody out{baseline, {}, {}};
    auto body = resolveBody(names_, baseline, source, out.spans);
    if (!body) return;
    out.body = std::move(*body);
    parsed_.optimised.push_back(std::move(out));
  }

  std::vector<ast::File>& files_;
  std::unique_ptr<Module> module_;
  NameResolver names_;
  ParsedModule parsed_;
  std::unordered_map<const ast::Class*, ClassId> classes_;
  std::unordered_map<const ast::Function*, FunctionId> functions_;
};

}  // namespace

std::optional<ParsedModule> parseModule(const SourceSet& sources, DiagnosticSink& sink) {
  std::vector<ast::File> files;
  for (uint32_t i = 0; i < sources.size(); ++i) files.push_back(parseSyntax(sources, i, sink));
  ParsedModule parsed = ModuleResolver(sources, files, sink).run();
  if (sink.hasErrors()) return std::nullopt;
  return parsed;
}

}  // namespace jvmc::ir::text
