// Grammar of the top level: module, file, native, class, interface, func. One statement a line; after an error the rest
// of the line is skipped, or of the item if its head is broken.
#include <fmt/format.h>

#include <algorithm>

#include "ir/text/parse_body.h"
#include "ir/text/syntax.h"
#include "ir/text/token_reader.h"

namespace jvmc::ir::text {
namespace {

class ItemParser {
 public:
  ItemParser(const std::vector<Token>& tokens, DiagnosticSink& sink) : in_(tokens, sink) {}

  ast::File run() {
    while (!in_.atEnd()) {
      if (!item()) skipItem();
    }
    return std::move(file_);
  }

 private:
  /// False: the rest of the item makes no sense.
  bool item() {
    if (in_.acceptWord("module")) return moduleName();
    if (in_.acceptWord("file")) return fileName();
    if (in_.atWord("native")) return native();
    if (in_.atWord("interface") || in_.atWord("class")) return classDecl();
    if (in_.atWord("func") || in_.atWord("optimised")) return function();
    in_.expectedHere("'func', 'class', 'interface', 'native', 'module' or 'file'");
    return false;
  }

  void skipItem() {
    do in_.next();
    while (!in_.atEnd() && !isItemStart(in_));
  }

  bool moduleName() {
    auto name = in_.name(TokenKind::String, "the name of the module in quotes");
    if (!name || !in_.endOfLine()) return false;
    if (!file_.moduleName) file_.moduleName = std::move(name);
    return true;
  }

  bool fileName() {
    auto name = in_.name(TokenKind::String, "a file name in quotes");
    if (!name || !in_.endOfLine()) return false;
    currentFile_ = std::move(name->text);
    return true;
  }

  ast::Place placeHere() const { return {in_.peek().span, std::nullopt, currentFile_}; }

  bool resultType(std::optional<ast::Type>& out) {
    if (!in_.accept(TokenKind::Arrow)) return true;
    out = in_.type();
    return out.has_value();
  }

  bool native() {
    ast::Native decl;
    in_.next();
    decl.place = placeHere();
    auto name = in_.name(TokenKind::Global, "the name of the native (@name)");
    if (!name || !in_.typeList(decl.params) || !resultType(decl.result)) return false;
    decl.name = std::move(*name);
    bool isEffect = in_.at(TokenKind::Ident) && !in_.atNewLine() &&
                    std::any_of(kEffectNames.begin(), kEffectNames.end(),
                                [&](const auto& row) { return row.first == in_.peek().text; });
    if (!isEffect) {
      in_.expected("the effect of the native: 'pure', 'node' or 'outside'");
      return false;
    }
    decl.effect = in_.next().text;
    if (!in_.location(decl.place.given) || !in_.endOfLine()) return false;
    file_.natives.push_back(std::move(decl));
    return true;
  }

  bool classDecl() {
    ast::Class decl;
    decl.isInterface = in_.next().text == "interface";
    while (!decl.isInterface && (in_.atWord("abstract") || in_.atWord("immutable")) &&
           (in_.peek(1).kind == TokenKind::Ident || in_.peek(1).kind == TokenKind::String))
      (in_.next().text == "abstract" ? decl.isAbstract : decl.isImmutable) = true;
    decl.place = placeHere();
    // After a broken head the members still deserve a look.
    if (!classHead(decl) && !skipToBrace()) return false;
    while (!in_.at(TokenKind::RBrace) && !in_.atEnd()) {
      if (isItemStart(in_)) {
        in_.expectedHere(fmt::format("'}}' that ends class '{}'", decl.name.text));
        break;
      }
      if (!member(decl)) skipMember();
    }
    in_.accept(TokenKind::RBrace);
    file_.classes.push_back(std::move(decl));
    return in_.endOfLine();
  }

  bool skipToBrace() {
    while (!in_.at(TokenKind::LBrace) && !in_.atNewLine()) in_.next();
    return in_.accept(TokenKind::LBrace);
  }

  bool classHead(ast::Class& decl) {
    auto name = in_.className(decl.isInterface ? "the name of the interface" : "the name of the class");
    if (!name) return false;
    decl.name = std::move(*name);
    if (in_.accept(TokenKind::Colon)) {
      auto super = in_.className("the superclass");
      if (!super) return false;
      decl.super = std::move(*super);
    }
    if (in_.acceptWord(decl.isInterface ? "extends" : "implements")) {
      do {
        auto interface = in_.className("an interface");
        if (!interface) return false;
        decl.interfaces.push_back(std::move(*interface));
      } while (in_.accept(TokenKind::Comma));
    }
    return in_.location(decl.place.given) && in_.expect(TokenKind::LBrace, "before the members");
  }

  bool member(ast::Class& decl) {
    if (in_.atWord("field") || in_.atWord("static")) return field(decl);
    if (in_.acceptWord("method")) return method(decl);
    if (in_.acceptWord("init")) {
      auto function = in_.name(TokenKind::Global, "the initialiser (@name)");
      if (!function || !in_.endOfMember()) return false;
      if (decl.initializer) {
        in_.error(Code::Redefinition, function->span, fmt::format("class '{}' has two initialisers", decl.name.text));
        return true;
      }
      decl.initializer = std::move(function);
      return true;
    }
    in_.expectedHere("'field', 'static', 'method', 'init' or '}'");
    return false;
  }

  void skipMember() {
    if (in_.at(TokenKind::RBrace)) return;
    in_.next();
    while (!in_.atNewLine() && !in_.at(TokenKind::RBrace)) in_.next();
  }

  bool field(ast::Class& decl) {
    ast::Field field;
    field.isStatic = in_.next().text == "static";
    while (in_.peek(1).kind == TokenKind::Ident && (in_.atWord("final") || in_.atWord("volatile")))
      (in_.next().text == "final" ? field.isFinal : field.isVolatile) = true;
    field.place = placeHere();
    auto name = in_.className("the name of the field");
    if (!name || !in_.expect(TokenKind::Colon, "and the type of the field")) return false;
    auto type = in_.type();
    if (!type || !in_.location(field.place.given) || !in_.endOfMember()) return false;
    field.name = std::move(*name);
    field.type = std::move(*type);
    decl.fields.push_back(std::move(field));
    return true;
  }

  bool method(ast::Class& decl) {
    ast::Method method;
    method.place = placeHere();
    auto name = in_.className("the name of the method");
    if (!name || !in_.typeList(method.params) || !resultType(method.result)) return false;
    method.name = std::move(*name);
    if (in_.accept(TokenKind::Equal)) {
      method.implementation = in_.name(TokenKind::Global, "the function that implements the method (@name)");
      if (!method.implementation) return false;
    }
    if (!in_.location(method.place.given) || !in_.endOfMember()) return false;
    decl.methods.push_back(std::move(method));
    return true;
  }

  bool function() {
    ast::Function decl;
    decl.optimised = in_.acceptWord("optimised");
    if (!in_.acceptWord("func")) {
      in_.expected("'func'");
      return false;
    }
    decl.place = placeHere();
    auto name = in_.name(TokenKind::Global, "the name of the function (@name)");
    if (!name || !in_.expect(TokenKind::LParen, "before the parameters") || !in_.params(decl.params) ||
        !resultType(decl.result) || !in_.location(decl.place.given) ||
        !in_.expect(TokenKind::LBrace, "before the body"))
      return false;
    decl.name = std::move(*name);
    bool closed = parseBody(in_, decl, currentFile_);
    file_.functions.push_back(std::move(decl));
    return !closed || in_.endOfLine();
  }

  TokenReader in_;
  ast::File file_;
  std::optional<std::string> currentFile_;
};

}  // namespace

bool isItemStart(const TokenReader& in) {
  static constexpr std::string_view kKeywords[] = {"func",   "optimised", "class", "interface",
                                                   "native", "module",    "file"};
  const Token& token = in.peek();
  const Token& following = in.peek(1);
  if (!token.startsLine || token.kind != TokenKind::Ident) return false;
  if (std::find(std::begin(kKeywords), std::end(kKeywords), token.text) == std::end(kKeywords)) return false;
  bool named = following.kind == TokenKind::Global || following.kind == TokenKind::String ||
               (following.kind == TokenKind::Ident && following.text != "handler");
  return named && !following.startsLine;
}

ast::File parseSyntax(const SourceSet& sources, uint32_t source, DiagnosticSink& sink) {
  TokenList list = tokenize(sources, source, sink);
  return ItemParser(list.tokens, sink).run();
}

}  // namespace jvmc::ir::text
