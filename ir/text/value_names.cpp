#include "ir/text/value_names.h"

#include <fmt/format.h>

#include <unordered_set>

#include "ir/text/lexer.h"
#include "ir/text/literals.h"

namespace jvmc::ir::text {
namespace {

const std::string kUndefined = "?";

/// `wanted` if it is free, else wanted<separator>2, 3, ...
std::string unique(std::unordered_set<std::string>& taken, const std::string& wanted, char separator) {
  if (taken.insert(wanted).second) return wanted;
  for (uint32_t n = 2;; ++n)
    if (std::string name = fmt::format("{}{}{}", wanted, separator, n); taken.insert(name).second) return name;
}

}  // namespace

BodyNames::BodyNames(const FunctionBody& body) : values_(body.values.size(), kUndefined), blocks_(body.blocks.size()) {
  std::unordered_set<std::string> takenValues, takenBlocks = {"entry"};
  uint32_t nextNumber = 0;
  auto nameValue = [&](ValueId id) {
    if (id.index() >= body.values.size()) return;
    const std::string& wanted = body[id].name;
    bool usable = isValueName(wanted) && wanted.find_first_not_of("0123456789") != std::string::npos;
    values_[id.index()] = usable ? unique(takenValues, wanted, '.') : fmt::format("{}", nextNumber++);
  };
  for (size_t b = 0; b < body.blocks.size(); ++b) {
    const Block& block = body.blocks[b];
    std::string wanted = isLabelName(block.name) ? block.name : fmt::format("b{}", b);
    blocks_[b] = b == 0 ? "entry" : unique(takenBlocks, wanted, '_');
    for (ValueId param : block.params) nameValue(param);
    for (const Instr& instr : block.instrs)
      if (instr.result.valid()) nameValue(instr.result);
  }
}

const std::string& BodyNames::value(ValueId value) const {
  return value.index() < values_.size() ? values_[value.index()] : kUndefined;
}

const std::string& BodyNames::block(BlockId block) const {
  return block.index() < blocks_.size() ? blocks_[block.index()] : kUndefined;
}

}  // namespace jvmc::ir::text
