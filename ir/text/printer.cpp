#include "ir/text/printer.h"

#include <fmt/format.h>

#include <iterator>

#include "ir/text/lexer.h"
#include "ir/text/literals.h"
#include "ir/text/syntax.h"
#include "ir/text/value_names.h"

namespace jvmc::ir::text {
namespace {

std::string nameText(const std::string& name) {
  bool plain = isPlainName(name) && name != "abstract" && name != "immutable";
  return plain ? name : quoteString(name);
}

std::string globalText(const std::string& name) {
  return "@" + (isPlainName(name) ? name : quoteString(name));
}

template <class Items, class ToText>
std::string joined(const Items& items, ToText toText) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + toText(item);
  return out;
}

/// Writes items one after the other; keeps track of the `file` line in force.
class Printer {
 public:
  Printer(const Module& module, const PrintOptions& options) : module_(module), options_(options) {}

  std::string take() { return std::move(out_); }

  void moduleName() {
    if (!module_.name.empty()) line("module {}", quoteString(module_.name));
  }

  void native(const NativeDecl& decl) {
    if (!file(decl.loc) && !afterNative_) separate();
    afterNative_ = true;
    std::string_view effect;
    for (auto [name, value] : kEffectNames)
      if (value == decl.effect) effect = name;
    line("native {}({}){} {}{}", globalText(decl.name), types(decl.params), arrow(decl.result), effect, at(decl.loc));
  }

  void classDecl(const ClassDecl& decl) {
    item(decl.loc);
    std::string head = decl.isInterface ? "interface " : "class ";
    if (decl.isAbstract && !decl.isInterface) head += "abstract ";
    if (decl.isImmutable) head += "immutable ";
    head += nameText(decl.name);
    if (decl.super.valid() && decl.super != builtin::kObject) head += " : " + nameText(module_[decl.super].name);
    if (!decl.interfaces.empty())
      head += (decl.isInterface ? " extends " : " implements ") +
              joined(decl.interfaces, [&](ClassId c) { return nameText(module_[c].name); });
    line("{}{} {{", head, at(decl.loc));
    for (const FieldDecl& field : decl.fields) member("field", field);
    for (const FieldDecl& field : decl.statics) member("static", field);
    for (const MethodDecl& method : decl.methods) {
      std::string body = method.implementation.valid() ? " = " + globalText(module_[method.implementation].name) : "";
      line("  method {}({}){}{}{}", nameText(method.name), types(method.params), arrow(method.result), body,
           at(method.loc));
    }
    if (decl.initializer.valid()) line("  init {}", globalText(module_[decl.initializer].name));
    line("}}");
  }

  void function(FunctionId id, const FunctionBody& body) {
    const FunctionDecl& decl = module_[id];
    item(decl.loc.line ? decl.loc : firstLocation(body));
    BodyNames names(body);
    body_ = &body;
    names_ = &names;
    std::string params = joined(body.blocks[0].params, [&](ValueId v) { return param(v); });
    line("{}func {}({}){}{} {{", body.optimised ? "optimised " : "", globalText(decl.name), params, arrow(decl.result),
         at(decl.loc));
    for (size_t b = 0; b < body.blocks.size(); ++b) block(BlockId(uint32_t(b)));
    for (size_t s = 0; s < body.frameStates.size(); ++s) frameState(s, body.frameStates[s]);
    line("}}");
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  void separate() {
    if (!out_.empty()) out_ += '\n';
  }

  /// One blank line, and the `file` line if the item asks for another file.
  void item(const SourceLoc& loc) {
    afterNative_ = false;
    if (!file(loc)) separate();
  }

  /// True if a `file` line was written. An item without a location still needs one in force, lest it gets its own line.
  bool file(const SourceLoc& loc) {
    bool needed = options_.locations && (loc.line ? currentFile_ != loc.file : !currentFile_.has_value());
    if (!needed) return false;
    currentFile_ = loc.line ? loc.file : 0;
    separate();
    line("file {}", quoteString(module_.files[*currentFile_]));
    separate();
    return true;
  }

  std::string at(const SourceLoc& loc) const {
    if (!options_.locations || loc.line == 0) return "";
    std::string out = " !";
    if (loc.file != currentFile_) out += quoteString(module_.files[loc.file]) + ":";
    out += fmt::format("{}", loc.line);
    if (loc.column) out += fmt::format(":{}", loc.column);
    return out;
  }

  static SourceLoc firstLocation(const FunctionBody& body) {
    for (const Block& block : body.blocks) {
      if (block.loc.line) return block.loc;
      for (const Instr& instr : block.instrs)
        if (instr.loc.line) return instr.loc;
    }
    return {};
  }

  void member(std::string_view kind, const FieldDecl& field) {
    line("  {}{}{} {}: {}{}", kind, field.isFinal ? " final" : "", field.isVolatile ? " volatile" : "",
         nameText(field.name), typeText(module_, field.type), at(field.loc));
  }

  std::string types(const std::vector<TypeId>& list) const {
    return joined(list, [&](TypeId t) { return typeText(module_, t); });
  }
  std::string arrow(TypeId result) const { return result == kVoid ? "" : " -> " + typeText(module_, result); }

  // -- bodies

  std::string param(ValueId v) const {
    return fmt::format("%{}: {}", names_->value(v), typeText(module_, (*body_)[v].type));
  }

  std::string operand(ValueId v) const {
    if (v.index() < body_->values.size() && (*body_)[v].kind == Value::Kind::Const)
      return literalText((*body_)[v].constant, module_.types[(*body_)[v].type].kind);
    return "%" + names_->value(v);
  }

  std::string operands(const std::vector<ValueId>& values, size_t from = 0) const {
    std::string out;
    for (size_t i = from; i < values.size(); ++i) out += (i == from ? "" : ", ") + operand(values[i]);
    return out;
  }

  std::string call(const BlockCall& target) const {
    std::string args = operands(target.args);
    return names_->block(target.block) + (args.empty() ? "" : "(" + args + ")");
  }

  void block(BlockId id) {
    const Block& block = (*body_)[id];
    std::string handler = block.handler ? " handler " + call(*block.handler) : "";
    if (id.index() == 0) {
      if (!handler.empty()) line("entry{}:", handler);  // its location is the function's
    } else {
      std::string params = joined(block.params, [&](ValueId v) { return param(v); });
      if (!params.empty() || !handler.empty()) params = "(" + params + ")";
      line("{}{}{}:{}", names_->block(id), params, handler, at(block.loc));
    }
    for (const Instr& instr : block.instrs) this->instr(instr);
  }

  void instr(const Instr& instr) {
    const OpInfo& info = instr.info();
    std::string text = instr.result.valid() ? fmt::format("%{} = ", names_->value(instr.result)) : "";
    text += info.mnemonic;
    if (hasSuffix(info)) text += "." + typeText(module_, instr.type);
    text += flags(instr.flags);
    std::string rest = arguments(instr, info);
    if (!rest.empty()) text += " " + rest;
    if (instr.frameState.valid()) text += fmt::format(" fs#{}", instr.frameState.value);
    line("  {}{}", text, at(instr.loc));
  }

  static std::string flags(uint8_t bits) {
    std::string out;
    for (auto [name, flag] : kFlagNames)
      if (bits & flag) out += (out.empty() ? " {" : ", ") + std::string(name);
    return out.empty() ? out : out + "}";
  }

  std::string arguments(const Instr& instr, const OpInfo& info) const {
    if (instr.op == Opcode::kSwitch) return switchText(instr);
    std::vector<std::string> parts;
    size_t before = std::min(operandsBeforeSymbol(info), instr.operands.size());
    for (size_t i = 0; i < before; ++i) parts.push_back(operand(instr.operands[i]));
    if (info.symbol != Symbol::None) {
      std::string args = takesArgumentList(info) ? "(" + operands(instr.operands, before) + ")" : "";
      parts.push_back(symbol(instr, info) + args);
    }
    if (!takesArgumentList(info))
      for (size_t i = before; i < instr.operands.size(); ++i) parts.push_back(operand(instr.operands[i]));
    for (const BlockCall& target : instr.targets) parts.push_back(call(target));
    return joined(parts, [](const std::string& part) { return part; });
  }

  std::string switchText(const Instr& instr) const {
    std::string cases;
    for (size_t i = 0; i < instr.cases.size() && i + 1 < instr.targets.size(); ++i)
      cases += fmt::format("{}{}: {}", cases.empty() ? "" : ", ", instr.cases[i], call(instr.targets[i + 1]));
    std::string otherwise = instr.targets.empty() ? "?" : call(instr.targets[0]);
    return fmt::format("{}, {} [{}]", operands(instr.operands), otherwise, cases);
  }

  std::string symbol(const Instr& instr, const OpInfo& info) const {
    switch (info.symbol) {
      case Symbol::Type:
        return typeText(module_, instr.symbol.type);
      case Symbol::Class:
        return nameText(module_[instr.symbol.owner].name);
      case Symbol::Function:
        return globalText(module_[instr.symbol.function()].name);
      case Symbol::Native:
        return globalText(module_[instr.symbol.native()].name);
      case Symbol::Bytes:
        return quoteString(module_.byteLiterals[instr.symbol.member]);
      default:
        return memberText(module_, instr.symbol, info.symbol);
    }
  }

  void frameState(size_t index, const FrameState& state) {
    std::string outer = state.outer.valid() ? fmt::format(" outer #{}", state.outer.value) : "";
    line("  framestate #{} = {} point {} slots [{}]{}", index, globalText(module_[state.function].name),
         state.resumePoint, slots(state.slots), outer);
    for (size_t i = 0; i < state.virtuals.size(); ++i) {
      const VirtualObject& object = state.virtuals[i];
      line("    virtual {} = {} locks {} [{}]", i, nameText(module_[object.cls].name), object.elidedLocks,
           slots(object.fields));
    }
  }

  std::string slots(const std::vector<SlotSource>& list) const {
    return joined(list, [&](const SlotSource& slot) {
      if (slot.kind == SlotSource::Kind::Virtual) return fmt::format("virtual {}", slot.virtualIndex);
      std::string text = operand(slot.value);
      bool isNumber = slot.value.index() < body_->values.size() && (*body_)[slot.value].kind == Value::Kind::Const &&
                      (*body_)[slot.value].type != kNull;
      return isNumber ? text + ":" + typeText(module_, (*body_)[slot.value].type) : text;
    });
  }

  const Module& module_;
  const PrintOptions& options_;
  std::string out_;
  std::optional<uint32_t> currentFile_;
  bool afterNative_ = false;
  const FunctionBody* body_ = nullptr;
  const BodyNames* names_ = nullptr;
};

}  // namespace

std::string typeText(const Module& module, const Type& type) {
  std::string close;
  std::string out;
  Type t = type;
  while (t.kind == TypeKind::Array) {
    out += "array(";
    close += ")";
    t = module.types[t.element()];
  }
  switch (t.kind) {
    case TypeKind::Void:
      out += "void";
      break;
    case TypeKind::Null:
      out += "null";
      break;
    case TypeKind::Ref:
      out += "ref(" + (t.classId().index() < module.classes.size() ? nameText(module[t.classId()].name) : "?") + ")";
      break;
    default:
      out += kPrimitiveNames[static_cast<size_t>(t.kind) - static_cast<size_t>(TypeKind::I8)].first;
  }
  return out + close;
}

std::string typeText(const Module& module, TypeId type) {
  if (type.index() >= module.types.size()) return "?";
  return typeText(module, module.types[type]);
}

std::string memberText(const Module& module, const SymbolRef& symbol, Symbol kind) {
  const std::string& member = kind == Symbol::Field    ? module.field(symbol).name
                              : kind == Symbol::Static ? module.staticField(symbol).name
                                                       : module.method(symbol).name;
  return nameText(module[symbol.owner].name + "." + member);
}

Result<std::string> printModule(const Module& module, const PrintOptions& options) {
  Printer printer(module, options);
  printer.moduleName();
  for (const NativeDecl& native : module.natives) printer.native(native);
  for (const ClassDecl& cls : module.classes)
    if (!cls.isBuiltin) printer.classDecl(cls);
  for (uint32_t f = 0; f < module.functions.size(); ++f) {
    Result<const FunctionBody*> body = module.body(FunctionId(f));
    if (!body.ok()) return std::move(body).error().withContext(fmt::format("function '@{}'", module.functions[f].name));
    printer.function(FunctionId(f), **body);
  }
  return printer.take();
}

std::string printFunction(const Module& module, FunctionId function, const FunctionBody& body,
                          const PrintOptions& options) {
  Printer printer(module, options);
  printer.function(function, body);
  return printer.take();
}

}  // namespace jvmc::ir::text
