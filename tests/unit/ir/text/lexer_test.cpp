#include "ir/text/lexer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "ir/text/literals.h"

namespace jvmc::ir::text {
namespace {

struct Lexed {
  SourceSet sources;
  DiagnosticSink sink;
  TokenList list;
  explicit Lexed(std::string text) {
    sources.add("t.ir", std::move(text));
    list = tokenize(sources, 0, sink);
  }
};

std::string summary(const std::vector<Token>& tokens) {
  std::string out;
  for (const Token& t : tokens)
    out += std::string(tokenKindText(t.kind)) + "[" + t.text + "]" + (t.startsLine ? "^ " : " ");
  return out;
}

TEST(Lexer, SplitsALineIntoItsTokens) {
  Lexed lexed("%x = call_virtual %o, a/b/C.m(-5, 0x1F) !3:4 // why\n");
  ASSERT_FALSE(lexed.sink.hasErrors());
  EXPECT_EQ(
      summary(lexed.list.tokens),
      "a value (%name)[x]^ '='[] a name[call_virtual] a value (%name)[o] ','[] a name[a/b/C.m] '('[] a number[-5] "
      "','[] a number[0x1F] ')'[] '!'[] a number[3] ':'[] a number[4] the end of the file[]^ ");
  ASSERT_EQ(lexed.list.comments.size(), 1u);
  EXPECT_EQ(lexed.sources.text(lexed.list.comments[0].span), "// why");
  EXPECT_FALSE(lexed.list.comments[0].ownLine);
}

TEST(Lexer, ACommentEndsANameAndANumberKeepsItsExponentSign) {
  Lexed lexed("a/b//c\n1e-5 0x1.8p+3 -inf 1->");
  ASSERT_FALSE(lexed.sink.hasErrors());
  EXPECT_EQ(summary(lexed.list.tokens),
            "a name[a/b]^ a number[1e-5]^ a number[0x1.8p+3] a number[-inf] a number[1] '->'[] the end of the file[] ");
}

TEST(Lexer, CountsColumnsInCharacters) {
  Lexed lexed("\"é\" x");
  EXPECT_EQ(lexed.sources.position(lexed.list.tokens[1].span).column, 5u);
}

TEST(Lexer, QuotedNamesAreDecoded) {
  Lexed lexed(R"(@"a b" "\x41\n\"")");
  ASSERT_EQ(lexed.list.tokens.size(), 3u);
  EXPECT_EQ(lexed.list.tokens[0].text, "a b");
  EXPECT_EQ(lexed.list.tokens[1].text, "A\n\"");
}

TEST(Literals, EveryFloatBitPatternSurvives) {
  uint64_t state = 42;
  for (int i = 0; i < 200000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint32_t low = uint32_t(state >> 32);
    ASSERT_EQ(parseLiteral(literalText(low, TypeKind::F32), TypeKind::F32), low) << literalText(low, TypeKind::F32);
    ASSERT_EQ(parseLiteral(literalText(state, TypeKind::F64), TypeKind::F64), state)
        << literalText(state, TypeKind::F64);
  }
  for (double special : std::initializer_list<double>{0.0, -0.0, 5e-324, 1.7976931348623157e308, INFINITY, -INFINITY,
                                                      double(NAN), 1e21, 123456789.0}) {
    uint64_t bits = std::bit_cast<uint64_t>(special);
    EXPECT_EQ(parseLiteral(literalText(bits, TypeKind::F64), TypeKind::F64), bits) << special;
  }
}

TEST(Literals, IntegersKeepToTheirRange) {
  EXPECT_EQ(parseLiteral("-2147483648", TypeKind::I32), 0x80000000u);
  EXPECT_EQ(parseLiteral("0xffffffff", TypeKind::I32), 0xffffffffu);
  EXPECT_EQ(parseLiteral("-0x80000000", TypeKind::I32), 0x80000000u);
  EXPECT_EQ(parseLiteral("2147483648", TypeKind::I32), std::nullopt);
  EXPECT_EQ(parseLiteral("-0x80000001", TypeKind::I32), std::nullopt);
  EXPECT_EQ(parseLiteral("9223372036854775808", TypeKind::I64), std::nullopt);
  EXPECT_EQ(parseLiteral("-1", TypeKind::I64), ~uint64_t(0));
  for (const char* bad : {"", "-", "0x", "1.5", "1e3", "--1", "0x-1", "1_000"})
    EXPECT_EQ(parseLiteral(bad, TypeKind::I32), std::nullopt) << bad;
  for (const char* bad : {"", "-", "0x", "e5", "1e", "1.5.5", "--1", "infinity", "nan(1)", "nan(0x1)"})
    EXPECT_EQ(parseLiteral(bad, TypeKind::F64), std::nullopt) << bad;
}

TEST(Literals, EveryByteStringSurvives) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += char(i);
  for (const std::string& bytes :
       {all, std::string("é€𝄞"), std::string("\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80"), std::string("\0", 1)}) {
    std::string quoted = quoteString(bytes), decoded;
    size_t badAt = 0;
    ASSERT_TRUE(unescapeString(std::string_view(quoted).substr(1, quoted.size() - 2), decoded, badAt));
    EXPECT_EQ(decoded, bytes) << quoted;
  }
  EXPECT_EQ(quoteString("é"), "\"é\"") << "valid UTF-8 stays readable";
}

}  // namespace
}  // namespace jvmc::ir::text
