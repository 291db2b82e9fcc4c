// One pass: parsing emits IR at once. Variables become SSA by the simplest rule that works: every block has a parameter
// for each variable in scope, and every branch passes the current values. Optimisation removes the superfluous ones.
#include "examples/frontend/compiler.h"

#include <charconv>
#include <map>

#include "examples/frontend/lexer.h"
#include "ir/builder.h"

namespace sprout {
namespace {

using namespace jvmc;
using namespace jvmc::ir;

/// What all functions share: the counters, and the list of spawned threads that `wait` joins.
struct Runtime {
  ClassId counters, threadList;
  SymbolRef instance;  ///< static: the object that holds the counters
  SymbolRef thread, next;
  NativeId print, fromI64;
  std::map<std::string, SymbolRef> counter;
};

struct FunctionInfo {
  FunctionId id;
  size_t parameters;
};

class Compiler {
 public:
  Compiler(const std::string& source, const std::string& fileName)
      : tokens_(tokenize(source)), program_(fileName), module_(program_.module()) {
    file_ = module_.addFile(fileName);
    declareRuntime();
  }

  std::unique_ptr<Module> run() {
    declareNames();
    while (!at("")) {
      if (accept("shared")) {
        ++position_;
        expect(";");
      } else {
        function();
      }
    }
    defineCountersInitializer();
    if (!functions_.contains("main")) fail("there is no function 'main'");
    return program_.finish();
  }

 private:
  // -- tokens
  const Token& token() const { return tokens_[position_]; }
  bool at(std::string_view text) const { return token().text == text; }
  bool accept(std::string_view text) {
    if (!at(text)) return false;
    ++position_;
    return true;
  }
  void expect(std::string_view text) {
    if (!accept(text)) fail("expected '" + std::string(text) + "'");
  }
  std::string name() {
    if (token().kind != Token::Kind::Word) fail("expected a name");
    return tokens_[position_++].text;
  }
  [[noreturn]] void fail(std::string message) const {
    throw CompileError{std::move(message), token().line, token().column};
  }

  // -- declarations
  void declareRuntime() {
    runtime_.counters = program_.addClass("Counters");
    runtime_.instance = program_.addStatic(runtime_.counters, "instance", program_.ref(runtime_.counters));
    runtime_.threadList = program_.addClass("ThreadList");
    runtime_.thread = program_.addField(runtime_.threadList, "thread", program_.ref(builtin::kThread));
    runtime_.next = program_.addField(runtime_.threadList, "next", program_.ref(runtime_.threadList));
    TypeId bytes = program_.array(kI8);
    runtime_.print = program_.declareNative("io.print", {bytes}, kVoid, NativeEffect::Outside);
    runtime_.fromI64 = program_.declareNative("bytes.from_i64", {kI64}, bytes, NativeEffect::Node);
  }

  /// Functions may be called before they are defined, so names are collected first.
  void declareNames() {
    for (size_t i = 0; i + 1 < tokens_.size(); ++i) {
      const std::string& next = tokens_[i + 1].text;
      if (tokens_[i].text == "shared") {
        runtime_.counter[next] = program_.addField(runtime_.counters, next, kI64, {.isVolatile = true});
      } else if (tokens_[i].text == "fun") {
        size_t parameters = 0;
        for (size_t k = i + 3; k < tokens_.size() && tokens_[k].text != ")"; ++k)
          parameters += tokens_[k].kind == Token::Kind::Word;
        bool isMain = next == "main";
        if (functions_.contains(next))
          throw CompileError{"'" + next + "' is defined twice", tokens_[i].line, tokens_[i].column};
        functions_[next] = {
            program_.declareFunction(next, std::vector<TypeId>(parameters, kI64), isMain ? kVoid : kI64), parameters};
      }
    }
  }

  void defineCountersInitializer() {
    FunctionId init = program_.declareFunction("Counters.init", {});
    program_.setInitializer(runtime_.counters, init);
    FunctionBuilder b(module_, init);
    b.emitStoreStatic(runtime_.instance, b.emitNew(runtime_.counters));
    b.emitReturn();
    b.finish();
  }

  // -- functions and variables
  struct Variable {
    std::string name;
    TypeId type;
    ValueId value;
  };

  void function() {
    expect("fun");
    current_ = name();
    const FunctionInfo& info = functions_.at(current_);
    FunctionBuilder builder(module_, info.id);
    b_ = &builder;
    scope_.clear();
    expect("(");
    for (size_t i = 0; i < info.parameters; ++i) {
      if (i > 0) expect(",");
      std::string parameter = name();
      b_->setName(b_->param(uint32_t(i)), parameter);
      scope_.push_back({parameter, kI64, b_->param(uint32_t(i))});
    }
    expect(")");
    scope_.push_back({"", program_.ref(runtime_.threadList), b_->null()});  // the threads spawned so far
    spawned_ = scope_.size() - 1;
    block();
    if (!b_->isTerminated()) emitReturn(b_->i64(0));
    builder.finish();
  }

  void emitReturn(ValueId value) {
    if (current_ == "main") {
      b_->emitReturn();
    } else {
      b_->emitReturn(value);
    }
  }

  Variable* find(const std::string& variable) {
    for (size_t i = scope_.size(); i-- > 0;)
      if (scope_[i].name == variable) return &scope_[i];
    return nullptr;
  }

  std::vector<ValueId> values() const {
    std::vector<ValueId> result;
    for (const Variable& v : scope_) result.push_back(v.value);
    return result;
  }

  BlockId newBlock(const std::string& label) {
    std::vector<TypeId> types;
    for (const Variable& v : scope_) types.push_back(v.type);
    return b_->createBlock(label, types);
  }

  /// Goes on in `block`, where every variable is a parameter.
  void enter(BlockId block) {
    b_->switchTo(block);
    for (size_t i = 0; i < scope_.size(); ++i) scope_[i].value = b_->param(block, uint32_t(i));
  }

  void jump(BlockId target) {
    if (!b_->isTerminated()) b_->emitBr(target, values());
  }

  // -- statements
  void block() {
    size_t outer = scope_.size();
    expect("{");
    while (!accept("}")) {
      if (token().kind == Token::Kind::End) fail("expected '}'");
      // Code behind a return is never reached, but must stand in a block of its own.
      if (b_->isTerminated()) enter(newBlock("unreached"));
      statement();
    }
    scope_.resize(outer);
  }

  void statement() {
    b_->setLocation({file_, token().line, token().column});
    if (accept("var")) {
      std::string variable = name();
      expect("=");
      ValueId value = expression();
      scope_.push_back({variable, kI64, value});
      expect(";");
    } else if (accept("if")) {
      ifStatement();
    } else if (accept("while")) {
      whileStatement();
    } else if (accept("return")) {
      emitReturn(at(";") ? b_->i64(0) : expression());
      expect(";");
    } else if (accept("print")) {
      ValueId text = b_->emitCallNative(runtime_.fromI64, expression());
      b_->emitCallNative(runtime_.print, text);
      b_->emitCallNative(runtime_.print, b_->emitNewBytes("\n"));
      expect(";");
    } else if (accept("spawn")) {
      spawn();
    } else if (accept("wait")) {
      wait();
    } else if (token().kind == Token::Kind::Word && (next("=") || next("+="))) {
      assignment();
    } else {
      expression();
      expect(";");
    }
  }

  bool next(std::string_view text) const {
    return position_ + 1 < tokens_.size() && tokens_[position_ + 1].text == text;
  }

  void assignment() {
    size_t where = position_;
    std::string target = name();
    bool add = accept("+=");
    if (!add) expect("=");
    ValueId value = expression();
    expect(";");
    if (Variable* variable = find(target)) {
      variable->value = add ? b_->emitAdd(kI64, variable->value, value) : value;
    } else if (auto counter = runtime_.counter.find(target); counter != runtime_.counter.end()) {
      ValueId counters = b_->emitLoadStatic(runtime_.instance);
      if (add) {
        b_->emitAddField(counter->second, counters, value);
      } else {
        b_->emitStoreField(counter->second, counters, value);
      }
    } else {
      position_ = where;
      fail("'" + target + "' is not a variable");
    }
  }

  void ifStatement() {
    expect("(");
    ValueId condition = expression();
    expect(")");
    BlockId then = newBlock("then"), otherwise = newBlock("else"), end = newBlock("end");
    b_->emitBrIf(b_->emitNe(kI64, condition, b_->i64(0)), then, values(), otherwise, values());
    enter(then);
    block();
    jump(end);
    enter(otherwise);
    if (accept("else")) block();
    jump(end);
    enter(end);
  }

  void whileStatement() {
    BlockId head = newBlock("while"), body = newBlock("do"), end = newBlock("done");
    jump(head);
    enter(head);
    expect("(");
    ValueId condition = expression();
    expect(")");
    b_->emitBrIf(b_->emitNe(kI64, condition, b_->i64(0)), body, values(), end, values());
    enter(body);
    block();
    jump(head);
    enter(end);
  }

  void spawn() {
    const FunctionInfo& callee = function(name());
    std::vector<ValueId> args = arguments(callee);
    expect(";");
    ValueId thread = b_->emitNew(builtin::kThread);
    b_->emitThreadStart(threadBody(callee), thread, args);
    ValueId node = b_->emitNew(runtime_.threadList);
    b_->emitStoreField(runtime_.thread, node, thread);
    b_->emitStoreField(runtime_.next, node, scope_[spawned_].value);
    scope_[spawned_].value = node;
  }

  /// Threads run functions without a result: a wrapper drops it.
  FunctionId threadBody(const FunctionInfo& callee) {
    FunctionId& wrapper = wrappers_[callee.id.value];
    if (wrapper.valid()) return wrapper;
    wrapper =
        program_.declareFunction("thread." + module_[callee.id].name, std::vector<TypeId>(callee.parameters, kI64));
    FunctionBuilder b(module_, wrapper);
    std::vector<ValueId> args;
    for (size_t i = 0; i < callee.parameters; ++i) args.push_back(b.param(uint32_t(i)));
    b.emitCall(callee.id, args);
    b.emitReturn();
    b.finish();
    return wrapper;
  }

  void wait() {
    expect(";");
    BlockId head = newBlock("wait"), join = newBlock("join"), end = newBlock("waited");
    jump(head);
    enter(head);
    ValueId node = scope_[spawned_].value;
    b_->emitBrIf(b_->emitRefEq(node, b_->null()), end, values(), join, values());
    enter(join);
    node = scope_[spawned_].value;
    b_->emitThreadJoin(b_->emitLoadField(runtime_.thread, node), b_->i64(0));
    scope_[spawned_].value = b_->emitLoadField(runtime_.next, node);
    jump(head);
    enter(end);
  }

  // -- expressions
  ValueId expression() {
    ValueId left = sum();
    struct Row {
      std::string_view sign;
      Opcode op;
    };
    constexpr Row kRows[] = {{"==", Opcode::kEq}, {"!=", Opcode::kNe}, {"<", Opcode::kLt},
                             {"<=", Opcode::kLe}, {">", Opcode::kGt},  {">=", Opcode::kGe}};
    for (const Row& row : kRows)
      if (accept(row.sign)) return b_->emitI32ToI64(binary(row.op, left, sum()));
    return left;
  }

  ValueId sum() {
    ValueId left = product();
    while (at("+") || at("-")) {
      Opcode op = accept("+") ? Opcode::kAdd : (expect("-"), Opcode::kSub);
      left = binary(op, left, product());
    }
    return left;
  }

  ValueId product() {
    ValueId left = primary();
    while (at("*") || at("/") || at("%")) {
      Opcode op = accept("*") ? Opcode::kMul : accept("/") ? Opcode::kDiv : (expect("%"), Opcode::kRem);
      left = binary(op, left, primary());
    }
    return left;
  }

  ValueId binary(Opcode op, ValueId left, ValueId right) {
    ValueId operands[] = {left, right};
    return b_->emit(op, kI64, {}, operands);
  }

  ValueId primary() {
    if (accept("(")) {
      ValueId value = expression();
      expect(")");
      return value;
    }
    if (accept("-")) return b_->emitNeg(kI64, primary());
    if (token().kind == Token::Kind::Number) return number();
    size_t where = position_;
    std::string word = name();
    if (at("(")) {
      position_ = where;
      const FunctionInfo& callee = function(name());
      if (word == "main") fail("'main' has no value");
      return b_->emitCall(callee.id, arguments(callee));
    }
    if (Variable* variable = find(word)) return variable->value;
    if (auto counter = runtime_.counter.find(word); counter != runtime_.counter.end())
      return b_->emitLoadField(counter->second, b_->emitLoadStatic(runtime_.instance));
    position_ = where;
    fail("'" + word + "' is not a variable");
  }

  ValueId number() {
    int64_t value = 0;
    const std::string& text = token().text;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) fail("not a 64-bit number");
    ++position_;
    return b_->i64(value);
  }

  const FunctionInfo& function(const std::string& callee) {
    auto it = functions_.find(callee);
    if (it != functions_.end()) return it->second;
    --position_;
    fail("there is no function '" + callee + "'");
  }

  std::vector<ValueId> arguments(const FunctionInfo& callee) {
    std::vector<ValueId> args;
    expect("(");
    while (!accept(")")) {
      if (!args.empty()) expect(",");
      args.push_back(expression());
    }
    if (args.size() != callee.parameters) {
      --position_;
      fail("expected " + std::to_string(callee.parameters) + " arguments, not " + std::to_string(args.size()));
    }
    return args;
  }

  std::vector<Token> tokens_;
  size_t position_ = 0;
  ModuleBuilder program_;
  Module& module_;
  uint32_t file_ = 0;
  Runtime runtime_;
  std::map<std::string, FunctionInfo> functions_;
  std::map<uint32_t, FunctionId> wrappers_;
  std::string current_;
  FunctionBuilder* b_ = nullptr;
  std::vector<Variable> scope_;
  size_t spawned_ = 0;
};

}  // namespace

CompileResult compile(const std::string& source, const std::string& fileName) {
  CompileResult result;
  try {
    result.module = Compiler(source, fileName).run();
  } catch (const CompileError& error) {
    result.error = error;
  }
  return result;
}

}  // namespace sprout
