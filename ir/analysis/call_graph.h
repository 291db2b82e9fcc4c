// Who may call whom in a closed program, and what follows from it. Virtual calls go to every implementation that a
// subclass of the named class has (class-hierarchy analysis): the whole program is known, no class is added later.
#pragma once

#include <vector>

#include "ir/module.h"

namespace jvmc::ir {

class CallGraph {
 public:
  /// Decodes every body of the module. A body that cannot be read counts as one that may do anything.
  explicit CallGraph(const Module& module);

  /// The function may be on a thread's stack more than once: it is in a cycle of calls. Calls by class initialisers do
  /// not count, since each runs once. Such a function polls and counts its depth on entry.
  bool mayRecurse(FunctionId function) const { return recursive_[function.index()]; }

  /// False if a call of it neither polls, parks, nor throws: the caller needs no check after it.
  bool mayPollOrThrow(FunctionId function) const { return pollsOrThrows_[function.index()]; }

  /// A call of it may wait for something (a monitor, a thread, a native outside) or executes a `throw`; what an
  /// instruction throws by itself does not count. Compiled code that cannot be moved still unwinds there.
  bool mayWaitOrThrow(FunctionId function) const { return waitsOrThrows_[function.index()]; }

  /// A call of it takes a bounded and short time: no loops, no recursion and nothing that waits, in its callees
  /// neither.
  bool isShort(FunctionId function) const { return !long_[function.index()]; }

  /// Every function a CallVirtual or CallInterface of `method` may run, sorted; an invalid one if it may find none and
  /// throw AbstractMethodError. Method dispatch as runtime/abi/layout.h does it.
  std::vector<FunctionId> implementations(const SymbolRef& method) const;
  /// What every call of `method` runs on an object that is not null, or invalid if there is no such single function.
  FunctionId uniqueImplementation(const SymbolRef& method) const;

  /// Direct and virtual callees, sorted; started threads are not callees.
  const std::vector<FunctionId>& callees(FunctionId function) const { return callees_[function.index()]; }
  /// Classes whose direct superclass or interface is `c`.
  const std::vector<ClassId>& directSubclasses(ClassId c) const { return subclasses_[c.index()]; }

 private:
  void collect(FunctionId function);
  void addImplementations(ClassId cls, const SymbolRef& method, std::vector<FunctionId>& found) const;
  void findCycles();
  void spread(std::vector<bool>& property) const;

  const Module& module_;
  std::vector<std::vector<ClassId>> subclasses_;
  std::vector<std::vector<FunctionId>> callees_;
  std::vector<bool> recursive_, pollsOrThrows_, waitsOrThrows_, long_;
};

}  // namespace jvmc::ir
