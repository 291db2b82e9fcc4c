// The names under which the printer shows the values and blocks of one body: as given where they are unique and can be
// written, else numbered. Parsing and printing again gives the same names.
#pragma once

#include <string>
#include <vector>

#include "ir/module.h"

namespace jvmc::ir::text {

class BodyNames {
 public:
  explicit BodyNames(const FunctionBody& body);

  /// Without the %. "?" for a value that nothing defines.
  const std::string& value(ValueId value) const;
  const std::string& block(BlockId block) const;

 private:
  std::vector<std::string> values_, blocks_;
};

}  // namespace jvmc::ir::text
