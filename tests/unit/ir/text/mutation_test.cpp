// Seeded mutations of the example programs go through everything irc does with a text. Broken programs must give
// diagnostics, programs that are still valid must survive printing, formatting and storing; nothing may crash.
//
// Mutations work on tokens as well as on bytes: an exchanged value, type or mnemonic gets past the grammar and reaches
// the resolver and the verifier.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "ir/text/lexer.h"
#include "tests/fuzz/ir_target.h"

namespace jvmc::ir {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> corpus() {
  std::vector<fs::path> paths;
  // Most of the first four are wrong programs; those of tests/run are right ones.
  for (const char* folder : {"tests/golden/parse", "tests/golden/verify", "tests/golden/diagnostics",
                             "tests/golden/fmt", "tests/run", "examples"})
    for (const auto& entry : fs::directory_iterator(fs::path(JVMC_SOURCE_DIR) / folder))
      if (entry.path().extension() == ".ir") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> texts;
  for (const fs::path& path : paths) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    texts.push_back(out.str());
  }
  return texts;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string mutate(const std::string& original) {
    std::string text = original;
    for (uint64_t i = 1 + below(4); i > 0 && !text.empty(); --i) below(3) == 0 ? changeBytes(text) : changeTokens(text);
    return text;
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }

  void changeBytes(std::string& text) {
    size_t at = below(text.size());
    size_t length = std::min<size_t>(text.size() - at, 1 + below(20));
    switch (below(4)) {
      case 0:
        text[at] = char(below(256));
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(below(text.size()), length));
        break;
      default:
        text.resize(at);
        break;
    }
  }

  void changeTokens(std::string& text) {
    text::SourceSet sources;
    text::DiagnosticSink sink;
    sources.add("", text);
    std::vector<text::Token> tokens = text::tokenize(sources, 0, sink).tokens;
    const text::Token& victim = tokens[below(tokens.size())];
    // Another token of the same kind, if luck finds one.
    const text::Token* other = &tokens[below(tokens.size())];
    for (int i = 0; i < 20 && other->kind != victim.kind; ++i) other = &tokens[below(tokens.size())];
    std::string replacement = text.substr(other->span.offset, other->span.length);
    size_t length = victim.span.length;
    switch (below(4)) {
      case 0:
        replacement.clear();
        break;
      case 1:
        length = 0;
        replacement += " ";
        break;
      default:
        break;
    }
    text.replace(victim.span.offset, length, replacement);
  }

  std::mt19937_64 random_;
};

TEST(Mutation, TheCorpusItself) {
  for (const std::string& text : corpus()) test::useText(text);
}

/// JVMC_MUTATIONS asks for more than the usual number.
uint64_t mutationCount() {
  const char* count = std::getenv("JVMC_MUTATIONS");
  return count ? std::strtoull(count, nullptr, 10) : 2000;
}

TEST(Mutation, ThousandsOfSeededMutations) {
  std::vector<std::string> texts = corpus();
  ASSERT_GT(texts.size(), 50u);
  int valid = 0;
  for (uint64_t seed = 1, last = mutationCount(); seed <= last; ++seed) {
    SCOPED_TRACE(seed);
    valid += test::useText(Mutator(seed).mutate(texts[seed % texts.size()]));
  }
  // If none were valid, the mutations would be too coarse to reach the printer.
  EXPECT_GT(valid, 50);
}

}  // namespace
}  // namespace jvmc::ir
