// Builds the node-local ClassInfo array and the function cells from a ModuleLayout.
#pragma once

#include <memory>
#include <vector>

#include "runtime/abi/class_info.h"
#include "runtime/abi/layout.h"

namespace jvmc::rt {

class ClassTable {
 public:
  explicit ClassTable(const ModuleLayout& layout);
  ~ClassTable();

  const ClassInfo* const* infos() const { return pointers_.data(); }
  ClassInfo& info(ClassIndex i) { return *owned_[i]; }
  const ClassInfo& operator[](ClassIndex i) const { return *owned_[i]; }
  FunctionCell* cells() { return cells_.get(); }
  /// A cell for "no implementation": entering it throws AbstractMethodError. Its `function` is FunctionId::kNone.
  FunctionCell* abstractCell() { return &cells_[cellCount_ - 1]; }

 private:
  class Builder;
  std::vector<std::unique_ptr<ClassInfo>> owned_;
  std::vector<const ClassInfo*> pointers_;
  std::unique_ptr<FunctionCell[]> cells_;  // one per function, and the abstract cell last
  size_t cellCount_ = 0;
  std::vector<std::unique_ptr<FunctionCell*[]>> tables_;
  std::vector<std::vector<const ClassInfo*>> interfaceLists_;
};

/// `object` (not null) is an instance of the class, interface or array type `target`.
bool isInstance(const ClassInfo& object, const ClassInfo& target);

}  // namespace jvmc::rt
