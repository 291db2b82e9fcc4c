// The binary form: what goes in comes out, equal modules give equal bytes, and no damage does more than give an error.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ir/binary/hash.h"
#include "ir/support/prng.h"
#include "tests/fuzz/irm_target.h"
#include "tests/unit/ir/binary/small_module.h"

namespace jvmc::ir {
namespace {

using test::smallModule;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<uint8_t> bytesOf(const Module& module) {
  return writeModuleBytes(module).value();
}

std::vector<uint8_t> readFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// An empty folder that goes away with the test.
struct TempDir {
  TempDir() {
    std::string pattern = std::filesystem::temp_directory_path() / "jvmc_irm_XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

TEST(BinaryModule, ComesBackTheSame) {
  auto module = smallModule();
  auto bytes = bytesOf(*module);
  auto opened = openModuleBytes(bytes);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const Module& back = **opened;
  EXPECT_EQ(back.name, "small");
  EXPECT_EQ(back.files[1], "src/Small.java");
  EXPECT_EQ(back.entry, module->entry);
  ClassId square = back.findClass("Square");
  EXPECT_EQ(back[square].fields[0].loc.line, 8u);
  EXPECT_TRUE(back[square].fields[1].isVolatile);
  EXPECT_EQ(back.byteLiterals[0], std::string("hello\0\xff", 7));
  auto area = back.body(FunctionId(0));
  ASSERT_TRUE(area.ok()) << area.error().message;
  EXPECT_EQ((**area).values[0].name, "self");
  EXPECT_EQ((**area).blocks[0].instrs[0].loc, (SourceLoc{1, 12, 9}));
  for (uint32_t f = 0; f < 3; ++f) EXPECT_EQ(back.hash(FunctionId(f)), module->hash(FunctionId(f)));
  EXPECT_EQ(bytesOf(back), bytes) << "nothing was lost on the way";
}

TEST(BinaryModule, EqualModulesGiveEqualBytes) {
  EXPECT_EQ(bytesOf(*smallModule()), bytesOf(*smallModule()));
}

// If this fails you changed the format: old files would be read wrongly or not at all. Fields may be added (then run
// with JVMC_REWRITE_GOLDEN=1), anything else needs a new format version.
TEST(BinaryModule, TheFormatIsTheGoldenFile) {
  auto golden = std::filesystem::path(JVMC_IR_TEST_DIR) / "binary/golden/small.irm";
  auto bytes = bytesOf(*smallModule());
  if (std::getenv("JVMC_REWRITE_GOLDEN")) {
    std::ofstream(golden, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  }
  EXPECT_EQ(readFile(golden), bytes);
}

TEST(BinaryModule, GoesThroughAFileWhoseHashCanBeReadAlone) {
  TempDir dir;
  std::string path = dir.path / "small.irm";
  ASSERT_TRUE(writeModule(*smallModule(), path).ok());
  ASSERT_TRUE(writeModule(*smallModule(), path).ok()) << "replaces the old file";
  auto opened = openModule(path);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_TRUE((*opened)->body(FunctionId(1)).ok());
  auto hash = readModuleHash(path);
  ASSERT_TRUE(hash.ok());
  EXPECT_EQ(hash->text().size(), 32u);
  EXPECT_EQ(hash->text(), readModuleHashBytes(bytesOf(*smallModule()))->text());
  size_t files = size_t(std::distance(std::filesystem::directory_iterator(dir.path), {}));
  EXPECT_EQ(files, 1u) << "no temporary file is left";
}

TEST(BinaryModule, WhatCannotBeWrittenOrReadIsAnErrorWithTheReason) {
  EXPECT_THAT(writeModule(*smallModule(), "/dev/full").error().message, HasSubstr("No space left"));
  EXPECT_THAT(writeModule(*smallModule(), "/no/such/folder/x.irm").error().message, HasSubstr("No such file"));
  auto missing = openModule("/no/such/file.irm");
  EXPECT_EQ(missing.error().code, ErrorCode::kIo);
  EXPECT_EQ(openModule("/").error().code, ErrorCode::kIo);
}

TEST(BinaryModule, EveryTruncationIsOneClearError) {
  auto bytes = bytesOf(*smallModule());
  for (size_t length = 0; length < bytes.size(); ++length) {
    auto opened = openModuleBytes(std::span(bytes).first(length));
    ASSERT_FALSE(opened.ok()) << length;
    EXPECT_THAT(opened.error().message, HasSubstr(length == 0 ? "not a module" : "truncated"));
  }
  bytes.push_back(0);
  EXPECT_THAT(openModuleBytes(bytes).error().message, HasSubstr("after its end"));
}

TEST(BinaryModule, EveryFlippedByteIsAnError) {
  auto bytes = bytesOf(*smallModule());
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 0x41;
    EXPECT_FALSE(openModuleBytes(bytes).ok()) << "byte " << i;
    bytes[i] ^= 0x41;
  }
}

TEST(BinaryModule, AFileFromANewerProgramSaysSo) {
  auto bytes = bytesOf(*smallModule());
  bytes[8] = 2;
  auto opened = openModuleBytes(bytes);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kUnsupportedVersion);
  EXPECT_THAT(opened.error().message, HasSubstr("newer program"));
}

TEST(BinaryModule, AnyByteOfTheContentMayBeHostileBehindAGoodHash) {
  auto bytes = bytesOf(*smallModule());
  std::vector<uint8_t> content(bytes.begin() + kHeaderBytes, bytes.end());
  size_t survived = 0;
  for (size_t i = 0; i < content.size(); ++i) {
    for (uint8_t value : {uint8_t(content[i] ^ 1), uint8_t(content[i] ^ 0x80), uint8_t(0xff)}) {
      uint8_t old = std::exchange(content[i], value);
      survived += test::useModuleFile(test::withHeader(content));
      content[i] = old;
    }
  }
  EXPECT_GT(survived, 0u) << "names and lines may be anything";
}

TEST(BinaryModule, SeededMutationsNeverCrashTheReader) {
  auto bytes = bytesOf(*smallModule());
  std::vector<uint8_t> content(bytes.begin() + kHeaderBytes, bytes.end());
  uint64_t seed = 20260101;
  if (const char* given = std::getenv("JVMC_SEED")) seed = std::strtoull(given, nullptr, 10);
  RecordProperty("seed", std::to_string(seed));
  Prng prng(seed);
  for (int round = 0; round < 4000; ++round) {
    auto mutated = content;
    for (uint64_t n = 1 + prng.below(6); n > 0; --n) {
      uint64_t at = prng.below(mutated.size());
      switch (prng.below(4)) {
        case 0:
          mutated[at] = uint8_t(prng.next());
          break;
        case 1:
          mutated[at] ^= uint8_t(1u << prng.below(8));
          break;
        case 2:  // a word from elsewhere: pointers that point where others do
          std::memcpy(&mutated[at & ~7u], &content[prng.below(content.size()) & ~7u], 8);
          break;
        default:
          std::memset(&mutated[at & ~7u], prng.below(2) ? 0xff : 0, 8);
      }
    }
    if (prng.below(8) == 0) mutated.resize(prng.below(mutated.size()));
    test::useModuleFile(test::withHeader(mutated));
  }
}

TEST(BinaryModule, AWrongFunctionHashIsFoundWhenTheBodyIsLoaded) {
  auto bytes = bytesOf(*smallModule());
  auto module = smallModule();
  uint64_t low = module->hash(FunctionId(1)).low;
  std::vector<uint8_t> content(bytes.begin() + kHeaderBytes, bytes.end());
  for (size_t i = 0; i + 8 <= content.size(); i += 8)
    if (std::memcmp(&content[i], &low, 8) == 0) content[i] ^= 1;
  auto opened = openModuleBytes(test::withHeader(content));
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE((*opened)->body(FunctionId(0)).ok()) << "other functions are not affected";
  auto body = (*opened)->body(FunctionId(1));
  ASSERT_FALSE(body.ok());
  EXPECT_THAT(body.error().message, HasSubstr("@choose"));
}

TEST(FunctionHash, IgnoresNamesAndLinesAndTablePositionsButNotMeaning) {
  auto a = smallModule(), b = std::make_unique<Module>();
  // The same function in a module where everything else is missing or stands elsewhere.
  b->types.array(kF64);
  b->addFunction({"unrelated", {}, kVoid, {}});
  test::BodyMaker m;
  BlockId entry = m.block();
  m.constant(99);  // an unused constant shifts ids, not ranks
  ValueId r = m.op(entry, Opcode::kCall, {m.constant(4)}, kI32, {{}, {}, 2});
  m.ret(entry, {r});
  FunctionId main = b->addFunction({"main", {}, kI32, {}});
  b->addFunction({"choose", {kI32}, kI32, {}});
  b->setBody(main, m.body);
  EXPECT_EQ(hashFunction(*b, main), hashFunction(*a, a->entry));
  m.body.values[1].name = "other";
  m.body.blocks[0].instrs[0].loc.line = 77;
  EXPECT_EQ(hashBody(*b, main, m.body), hashFunction(*a, a->entry));
  m.body.blocks[0].instrs[0].symbol.member = 0;
  EXPECT_NE(hashBody(*b, main, m.body), hashFunction(*a, a->entry));
}

}  // namespace
}  // namespace jvmc::ir
