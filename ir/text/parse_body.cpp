#include "ir/text/parse_body.h"

#include <fmt/format.h>

#include "ir/text/literals.h"
#include "ir/text/resolver.h"
#include "ir/text/syntax.h"

namespace jvmc::ir::text {
namespace {

class BodyParser {
 public:
  BodyParser(TokenReader& in, ast::Function& function, const std::optional<std::string>& currentFile)
      : in_(in), function_(function), currentFile_(currentFile) {}

  bool run() {
    function_.blocks.push_back({});
    function_.blocks[0].label = {"entry", function_.place.span};
    function_.blocks[0].place = function_.place;
    while (!in_.accept(TokenKind::RBrace)) {
      if (in_.atEnd() || isItemStart(in_)) {
        in_.expectedHere(fmt::format("'}}' that ends function '@{}'", function_.name.text));
        function_.broken = true;
        return false;
      }
      if (statement()) continue;
      function_.broken = true;
      in_.skipLine();
    }
    return true;
  }

 private:
  bool statement() {
    const Token& token = in_.peek();
    if (in_.atWord("framestate") && in_.peek(1).kind == TokenKind::Hash) return frameState();
    if (in_.atWord("virtual") && in_.peek(1).kind == TokenKind::Number) return virtualObject();
    if (in_.atWord("entry") && in_.peek(1).kind == TokenKind::Ident && in_.peek(1).text == "handler")
      return entryHandler();
    if (token.kind == TokenKind::Ident && isLabel()) return label();
    if (token.kind == TokenKind::Ident || token.kind == TokenKind::Local) return instruction();
    in_.expectedHere("an instruction, a block label or '}'");
    in_.next();
    return false;
  }

  /// A word before ':', '(' or 'handler' is a label; but `select.ref(T)` is an instruction.
  bool isLabel() const {
    const Token& following = in_.peek(1);
    if (following.startsLine) return false;
    if (following.kind == TokenKind::Colon) return true;
    if (following.kind == TokenKind::Ident) return following.text == "handler";
    if (following.kind != TokenKind::LParen) return false;
    std::string_view word = in_.peek().text;
    return !opcodeFromMnemonic(word.substr(0, word.find('.'))).has_value();
  }

  ast::Place placeHere() const { return {in_.peek().span, std::nullopt, currentFile_}; }

  bool entryHandler() {
    Token word = in_.next();
    in_.next();
    ast::Block& entry = function_.blocks[0];
    if (function_.blocks.size() > 1 || !entry.instrs.empty() || entry.handler) {
      in_.error(Code::Syntax, word.span, "the handler of the entry block must be the first line of the body");
      return false;
    }
    entry.handler = in_.blockCall();
    return entry.handler && in_.expect(TokenKind::Colon, "after the handler") && in_.endOfLine();
  }

  bool label() {
    ast::Block block;
    block.place = placeHere();
    Token word = in_.next();
    block.label = {word.text, word.span};
    bool ok = !in_.accept(TokenKind::LParen) || in_.params(block.params);
    if (ok && in_.acceptWord("handler")) {
      block.handler = in_.blockCall();
      ok = block.handler.has_value();
    }
    ok = ok && in_.expect(TokenKind::Colon, "after the label") && in_.location(block.place.given) && in_.endOfLine();
    function_.blocks.push_back(std::move(block));  // kept even if broken: branches to it are no further errors
    return ok;
  }

  bool instruction() {
    ast::Instr instr;
    instr.place = placeHere();
    if (in_.at(TokenKind::Local)) {
      Token result = in_.next();
      instr.result = ast::Name{result.text, result.span};
    }
    bool ok = (!instr.result || in_.expect(TokenKind::Equal, "after the result")) && mnemonic(instr) && rest(instr);
    instr.place.span = instr.place.span.to(in_.lastSpan());
    if (!ok) instr.op.reset();  // keeps the result known
    function_.blocks.back().instrs.push_back(std::move(instr));
    return ok;
  }

  bool mnemonic(ast::Instr& instr) {
    auto word = in_.name(TokenKind::Ident, "an instruction");
    if (!word) return false;
    instr.mnemonic = *word;
    size_t dot = word->text.find('.');
    std::string base = word->text.substr(0, dot);
    instr.op = opcodeFromMnemonic(base);
    if (!instr.op) {
      std::vector<std::string_view> all;
      for (size_t i = 0; i < kOpcodeCount; ++i) all.push_back(opInfo(Opcode(i)).mnemonic);
      in_.error(Code::UnknownInstruction, word->span, fmt::format("unknown instruction '{}'", base),
                didYouMean(base, all));
      return false;
    }
    return suffix(instr, dot == std::string::npos ? "" : word->text.substr(dot + 1));
  }

  bool suffix(ast::Instr& instr, const std::string& word) {
    const OpInfo& info = opInfo(*instr.op);
    if (!hasSuffix(info)) {
      if (word.empty()) return true;
      in_.error(Code::BadSuffix, instr.mnemonic.span, fmt::format("'{}' takes no type suffix", info.mnemonic));
      return false;
    }
    if (word.empty()) {
      in_.error(Code::BadSuffix, instr.mnemonic.span, fmt::format("'{}' needs a type suffix", info.mnemonic),
                {fmt::format("for example '{}.{}'", info.mnemonic, info.suffix == Suffix::Float ? "f64" : "i32")});
      return false;
    }
    ast::Type type;
    type.span = type.baseSpan = instr.mnemonic.span;
    type.base = word;
    if (word == "ref" || word == "array") {
      if (!in_.expect(TokenKind::LParen, "after the suffix")) return false;
      std::optional<ast::Type> inner;
      if (word == "ref") {
        auto cls = in_.className("a class name");
        if (!cls) return false;
        inner = ast::Type{0, true, cls->text, cls->span, cls->span};
      } else {
        inner = in_.type();
        if (inner) ++inner->arrayDepth;
      }
      if (!inner || !in_.expect(TokenKind::RParen, "after the suffix")) return false;
      if (inner->arrayDepth > kMaxArrayDepth) {
        in_.error(Code::TooDeep, inner->span, fmt::format("an array type has at most {} dimensions", kMaxArrayDepth));
        return false;
      }
      type = std::move(*inner);
    }
    instr.suffix = std::move(type);
    return true;
  }

  bool rest(ast::Instr& instr) {
    const OpInfo& info = opInfo(*instr.op);
    if (!flags(instr)) return false;
    bool ok = true;
    switch (*instr.op) {
      case Opcode::kBr:
        ok = target(instr);
        break;
      case Opcode::kBrIf:
        ok = oneOperand(instr) && in_.expect(TokenKind::Comma, "and the block for true") && target(instr) &&
             in_.expect(TokenKind::Comma, "and the block for false") && target(instr);
        break;
      case Opcode::kSwitch:
        ok = switchCases(instr);
        break;
      case Opcode::kReturn:
        ok = in_.atNewLine() || in_.at(TokenKind::Bang) || in_.at(TokenKind::RBrace) || oneOperand(instr);
        break;
      default:
        ok = plain(instr, info);
    }
    return ok && frameStateNumber(instr) && in_.location(instr.place.given) && in_.endOfMember();
  }

  bool flags(ast::Instr& instr) {
    if (!in_.accept(TokenKind::LBrace)) return true;
    do {
      auto word = in_.name(TokenKind::Ident, "an instruction flag");
      if (!word) return false;
      auto row =
          std::find_if(kFlagNames.begin(), kFlagNames.end(), [&](const auto& r) { return r.first == word->text; });
      if (row == kFlagNames.end()) {
        std::vector<std::string_view> all;
        for (const auto& r : kFlagNames) all.push_back(r.first);
        in_.error(Code::UnknownFlag, word->span, fmt::format("unknown instruction flag '{}'", word->text),
                  didYouMean(word->text, all));
        return false;
      }
      instr.flags |= row->second;
    } while (in_.accept(TokenKind::Comma));
    return in_.expect(TokenKind::RBrace, "after the flags");
  }

  bool oneOperand(ast::Instr& instr) {
    auto operand = in_.operand();
    if (!operand) return false;
    instr.operands.push_back(std::move(*operand));
    return true;
  }

  bool target(ast::Instr& instr) {
    auto call = in_.blockCall();
    if (!call) return false;
    instr.targets.push_back(std::move(*call));
    return true;
  }

  bool switchCases(ast::Instr& instr) {
    if (!oneOperand(instr) || !in_.expect(TokenKind::Comma, "and the default block") || !target(instr) ||
        !in_.expect(TokenKind::LBracket, "before the cases"))
      return false;
    if (in_.accept(TokenKind::RBracket)) return true;
    do {
      if (!in_.at(TokenKind::Number)) {
        in_.expected("the number of a case");
        return false;
      }
      Token number = in_.next();
      auto bits = parseLiteral(number.text, TypeKind::I32);
      if (!bits) {
        in_.error(Code::BadLiteral, number.span, fmt::format("'{}' is not an i32", number.text));
        return false;
      }
      instr.cases.push_back({int32_t(uint32_t(*bits)), number.span});
      if (!in_.expect(TokenKind::Colon, "after the number of the case") || !target(instr)) return false;
    } while (in_.accept(TokenKind::Comma));
    return in_.expect(TokenKind::RBracket, "after the cases");
  }

  /// Operands and symbol in the order that syntax.h lays down, separated by commas.
  bool plain(ast::Instr& instr, const OpInfo& info) {
    size_t before = operandsBeforeSymbol(info);
    for (size_t i = 0; i < before; ++i)
      if (!oneOperand(instr) || !in_.expect(TokenKind::Comma, "after the operand")) return false;
    bool first = true;
    if (info.symbol != Symbol::None) {
      if (!symbol(instr, info)) return false;
      if (takesArgumentList(info))
        return in_.expect(TokenKind::LParen, "before the arguments") && in_.operands(TokenKind::RParen, instr.operands);
      first = false;
    }
    if (first && info.operands.empty()) return true;
    while (!first || info.operands.size() > 0) {
      if (!first && !in_.accept(TokenKind::Comma)) return true;
      if (!oneOperand(instr)) return false;
      first = false;
    }
    return true;
  }

  bool symbol(ast::Instr& instr, const OpInfo& info) {
    switch (info.symbol) {
      case Symbol::Type:
        instr.symbolType = in_.type();
        return instr.symbolType.has_value();
      case Symbol::Class:
        instr.symbol = in_.className("a class name");
        break;
      case Symbol::Field:
        instr.symbol = in_.className("a field (Class.field)");
        break;
      case Symbol::Static:
        instr.symbol = in_.className("a static field (Class.field)");
        break;
      case Symbol::Method:
        instr.symbol = in_.className("a method (Class.method)");
        break;
      case Symbol::Function:
        instr.symbol = in_.name(TokenKind::Global, "a function (@name)");
        break;
      case Symbol::Native:
        instr.symbol = in_.name(TokenKind::Global, "a native (@name)");
        break;
      case Symbol::Bytes:
        instr.symbol = in_.name(TokenKind::String, "a string");
        break;
      case Symbol::None:
        break;
    }
    return instr.symbol.has_value();
  }

  bool frameStateNumber(ast::Instr& instr) {
    if (in_.atNewLine() || !in_.atWord("fs")) return true;
    Span start = in_.next().span;
    if (!in_.expect(TokenKind::Hash, "and the number of the frame state")) return false;
    instr.frameState = in_.count("the number of the frame state");
    instr.frameStateSpan = start.to(in_.lastSpan());
    return instr.frameState.has_value();
  }

  bool frameState() {
    ast::FrameState state;
    state.span = in_.next().span;
    in_.next();
    Token number = in_.peek();
    auto index = in_.count("the number of the frame state");
    if (!index) return false;
    if (*index != function_.frameStates.size()) {
      in_.error(Code::Syntax, number.span,
                fmt::format("frame states are numbered in order: this must be #{}", function_.frameStates.size()));
      return false;
    }
    auto function = in_.expect(TokenKind::Equal, "after the number") ? in_.name(TokenKind::Global, "a function (@name)")
                                                                     : std::nullopt;
    if (!function || !word("point")) return false;
    state.function = std::move(*function);
    auto point = in_.count("a resume point");
    if (!point || !word("slots") || !slots(state.slots)) return false;
    state.resumePoint = *point;
    if (in_.acceptWord("outer")) {
      if (!in_.expect(TokenKind::Hash, "and the number of the outer frame state")) return false;
      state.outer = in_.count("the number of the outer frame state");
      if (!state.outer) return false;
    }
    state.span = state.span.to(in_.lastSpan());
    function_.frameStates.push_back(std::move(state));
    return in_.endOfMember();
  }

  bool word(std::string_view expectedWord) {
    if (in_.acceptWord(expectedWord)) return true;
    in_.expected(fmt::format("'{}'", expectedWord));
    return false;
  }

  bool virtualObject() {
    Span start = in_.next().span;
    if (function_.frameStates.empty()) {
      in_.error(Code::Syntax, start, "a virtual object follows the frame state it belongs to");
      return false;
    }
    ast::FrameState& state = function_.frameStates.back();
    Token number = in_.peek();
    auto index = in_.count("the number of the virtual object");
    if (!index) return false;
    if (*index != state.virtuals.size()) {
      in_.error(Code::Syntax, number.span,
                fmt::format("virtual objects are numbered in order: this must be {}", state.virtuals.size()));
      return false;
    }
    ast::Virtual object;
    auto cls = in_.expect(TokenKind::Equal, "after the number") ? in_.className("a class name") : std::nullopt;
    if (!cls || !word("locks")) return false;
    object.className = std::move(*cls);
    auto locks = in_.count("a count of locks");
    if (!locks || !slots(object.fields)) return false;
    object.elidedLocks = *locks;
    state.virtuals.push_back(std::move(object));
    return in_.endOfMember();
  }

  bool slots(std::vector<ast::Slot>& out) {
    if (!in_.expect(TokenKind::LBracket, "before the slots")) return false;
    if (in_.accept(TokenKind::RBracket)) return true;
    do {
      if (!slot(out)) return false;
    } while (in_.accept(TokenKind::Comma));
    return in_.expect(TokenKind::RBracket, "after the slots");
  }

  bool slot(std::vector<ast::Slot>& out) {
    ast::Slot slot;
    slot.span = in_.peek().span;
    if (in_.acceptWord("virtual")) {
      auto index = in_.count("the number of a virtual object");
      if (!index) return false;
      slot.kind = ast::Slot::Kind::Virtual;
      slot.virtualIndex = *index;
      out.push_back(std::move(slot));
      return true;
    }
    auto operand = in_.operand();
    if (!operand) return false;
    slot.text = std::move(operand->text);
    if (operand->kind == ast::Operand::Kind::Literal) {
      slot.kind = ast::Slot::Kind::Literal;
      if (slot.text != "null") {
        auto type = in_.expect(TokenKind::Colon, "and the type of the literal")
                        ? in_.name(TokenKind::Ident, "i32, i64, f32 or f64")
                        : std::nullopt;
        if (!type) return false;
        slot.literalType = std::move(type->text);
      }
    }
    out.push_back(std::move(slot));
    return true;
  }

  TokenReader& in_;
  ast::Function& function_;
  const std::optional<std::string>& currentFile_;
};

}  // namespace

bool parseBody(TokenReader& in, ast::Function& function, const std::optional<std::string>& currentFile) {
  return BodyParser(in, function, currentFile).run();
}

}  // namespace jvmc::ir::text
