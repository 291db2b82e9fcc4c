// docs/reference/ir.md describes the instruction set as it is: every instruction has a section with the signature of
// its row in opcodes.def, and every example is a valid program.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "tests/fuzz/ir_target.h"

namespace jvmc::ir::text {
namespace {

struct Example {
  std::string kind;  ///< behind "```ir": empty, example, instr, body
  std::string text;
  size_t line;
};

struct Manual {
  std::vector<std::string> lines;
  std::vector<Example> examples;
  std::string frame;  ///< the program that `instr` and `body` examples stand in

  Manual() {
    std::ifstream in(std::string(JVMC_SOURCE_DIR) + "/docs/reference/ir.md");
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    for (size_t i = 0; i < lines.size(); ++i) {
      if (!lines[i].starts_with("```ir")) continue;
      Example example{lines[i].substr(std::min<size_t>(lines[i].size(), 6)), "", i + 1};
      while (++i < lines.size() && lines[i] != "```") example.text += lines[i] + "\n";
      if (example.kind == "example") frame = example.text;
      examples.push_back(example);
    }
  }

  /// The whole program that an example stands for.
  std::string program(const Example& example) const {
    if (example.kind.empty() || example.kind == "example") return example.text;
    std::string text = frame;
    const std::string marker = "  // the example\n  return 0\n";
    std::string body = example.text + (example.kind == "instr" ? "  return 0\n" : "");
    return text.replace(text.find(marker), marker.size(), body);
  }
};

std::string letterText(char letter) {
  static const std::map<char, std::string> kNames = {
      {'T', "T"},      {'i', "i32"},   {'l', "i64"},     {'f', "f32"},   {'d', "f64"},      {'r', "reference"},
      {'o', "object"}, {'a', "array"}, {'E', "element"}, {'V', "value"}, {'*', "arguments"}};
  return kNames.at(letter);
}

std::string resultText(char letter) {
  static const std::map<char, std::string> kNames = {
      {'-', "nothing"}, {'S', "the type"},          {'C', "ref(class)"},  {'A', "array(type)"},
      {'R', "result"},  {'Q', "the first operand"}, {'H', "ref(Thread)"}, {'B', "array(i8)"}};
  auto it = kNames.find(letter);
  return it == kNames.end() ? letterText(letter) : it->second;
}

std::string signature(const OpInfo& info) {
  std::string operands;
  for (char letter : info.operands) operands += (operands.empty() ? "" : ", ") + letterText(letter);
  return fmt::format("`{}{} ({}) -> {}`", info.mnemonic, info.suffix == Suffix::None ? "" : ".T", operands,
                     resultText(info.result));
}

TEST(Reference, EveryInstructionHasASectionWithItsSignature) {
  Manual manual;
  for (size_t op = 0; op < kOpcodeCount; ++op) {
    const OpInfo& info = opInfo(Opcode(op));
    auto heading = std::find(manual.lines.begin(), manual.lines.end(), fmt::format("### `{}`", info.mnemonic));
    ASSERT_NE(heading, manual.lines.end()) << info.mnemonic;
    const std::string& line = *(heading + 2);
    EXPECT_TRUE(line.starts_with(signature(info))) << line << "\nshould begin with " << signature(info);
    EXPECT_EQ(line.find("*call*") != std::string::npos, info.has(kCall)) << line;
    EXPECT_EQ(line.find("*init*") != std::string::npos, info.has(kInit)) << line;
  }
}

TEST(Reference, EveryExampleIsAValidProgramAndUsesItsInstruction) {
  Manual manual;
  ASSERT_FALSE(manual.frame.empty());
  std::string heading;
  ASSERT_GT(manual.examples.size(), kOpcodeCount / 2);
  for (const Example& example : manual.examples) {
    EXPECT_TRUE(test::useText(manual.program(example))) << "docs/reference/ir.md:" << example.line << "\n"
                                                        << example.text;
    if (example.kind != "instr" && example.kind != "body") continue;
    for (size_t i = example.line; i-- > 0;)
      if (manual.lines[i].starts_with("### `")) {
        heading = manual.lines[i].substr(5, manual.lines[i].size() - 6);
        break;
      }
    EXPECT_NE(example.text.find(heading), std::string::npos) << heading << "\n" << example.text;
  }
}

TEST(Reference, EveryDiagnosticCodeIsListed) {
  Manual manual;
  std::string all;
  for (const std::string& line : manual.lines) all += line + "\n";
#define JVMC_DIAGNOSTIC(name, number, summary)                                                                      \
  EXPECT_NE(all.find(fmt::format("| {} | {} |", codeText(Code::name), codeSummary(Code::name))), std::string::npos) \
      << #name;
#include "ir/text/diagnostics.def"
}

}  // namespace
}  // namespace jvmc::ir::text
