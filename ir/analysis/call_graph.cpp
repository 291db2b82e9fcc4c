// Cycles by Tarjan's algorithm, without recursion of its own.
#include "ir/analysis/call_graph.h"

#include <algorithm>

#include "ir/analysis/cfg.h"
#include "ir/analysis/safepoints.h"
#include "ir/lookup.h"

namespace jvmc::ir {
namespace {

void sortUnique(std::vector<FunctionId>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

bool isVirtual(Opcode op) {
  return op == Opcode::kCallVirtual || op == Opcode::kCallInterface;
}

// What the instruction may do by itself, callees aside.
bool pollsOrThrowsItself(const Module& module, const FunctionBody& body, const Instr& instr) {
  if (instr.op == Opcode::kCall) return false;
  if (instr.op == Opcode::kCallNative) return module[instr.symbol.native()].effect != NativeEffect::Pure;
  return mayThrow(body, instr) || safepointKind(module, instr) != SafepointKind::None;
}

// Calls of functions aside.
bool waits(const Module& module, const Instr& instr) {
  if (instr.op == Opcode::kCall || isVirtual(instr.op)) return false;
  if (instr.op == Opcode::kCallNative) return module[instr.symbol.native()].effect == NativeEffect::Outside;
  return instr.info().has(kCall);
}

}  // namespace

CallGraph::CallGraph(const Module& module)
    : module_(module),
      subclasses_(module.classes.size()),
      callees_(module.functions.size()),
      recursive_(module.functions.size()),
      pollsOrThrows_(module.functions.size()),
      waitsOrThrows_(module.functions.size()),
      long_(module.functions.size()) {
  for (uint32_t c = 0; c < module.classes.size(); ++c) {
    const ClassDecl& decl = module.classes[c];
    if (decl.super.valid()) subclasses_[decl.super.index()].push_back(ClassId(c));
    for (ClassId i : decl.interfaces) subclasses_[i.index()].push_back(ClassId(c));
  }
  for (uint32_t f = 0; f < module.functions.size(); ++f) collect(FunctionId(f));
  findCycles();
  for (size_t f = 0; f < recursive_.size(); ++f) {
    if (!recursive_[f]) continue;
    pollsOrThrows_[f] = true;  // it polls on entry
    long_[f] = true;
  }
  spread(pollsOrThrows_);
  spread(waitsOrThrows_);
  spread(long_);
}

void CallGraph::collect(FunctionId function) {
  auto loaded = module_.body(function);
  if (!loaded.ok()) {
    recursive_[function.index()] = pollsOrThrows_[function.index()] = true;
    waitsOrThrows_[function.index()] = long_[function.index()] = true;
    return;
  }
  const FunctionBody& body = **loaded;
  auto& callees = callees_[function.index()];
  bool pollsOrThrows = false, throws = false, isLong = false;
  for (const Block& block : body.blocks) {
    for (const Instr& instr : block.instrs) {
      if (instr.op == Opcode::kCall) callees.push_back(instr.symbol.function());
      if (isVirtual(instr.op)) {
        for (FunctionId f : implementations(instr.symbol))
          if (f.valid()) callees.push_back(f);
      }
      pollsOrThrows = pollsOrThrows || pollsOrThrowsItself(module_, body, instr);
      throws = throws || instr.op == Opcode::kThrow;
      isLong = isLong || waits(module_, instr);
    }
  }
  sortUnique(callees);
  Cfg cfg(body);
  bool loops = !cfg.loops().empty() || !cfg.irreducible().empty();
  pollsOrThrows_[function.index()] = pollsOrThrows || loops;
  waitsOrThrows_[function.index()] = isLong || throws;
  long_[function.index()] = isLong || loops;
}

// The nearest method of that name in the class and its superclasses counts, even if it is abstract; only if there is
// none the defaults of interfaces (all of them here, though one of them wins).
void CallGraph::addImplementations(ClassId cls, const SymbolRef& method, std::vector<FunctionId>& found) const {
  const std::string& name = module_.method(method).name;
  for (ClassId c = cls; c.valid(); c = module_[c].super) {
    for (const MethodDecl& m : module_[c].methods)
      if (m.name == name) return found.push_back(m.implementation);
  }
  bool any = false;
  for (ClassId c : supertypes(module_, cls)) {
    for (const MethodDecl& m : module_[c].methods) {
      if (m.name != name || !m.implementation.valid()) continue;
      found.push_back(m.implementation);
      any = true;
    }
  }
  if (!any) found.push_back(FunctionId());
}

std::vector<FunctionId> CallGraph::implementations(const SymbolRef& method) const {
  std::vector<FunctionId> found;
  std::vector<ClassId> work{method.owner};
  std::vector<bool> seen(module_.classes.size());
  while (!work.empty()) {
    ClassId c = work.back();
    work.pop_back();
    if (seen[c.index()]) continue;
    seen[c.index()] = true;
    if (!module_[c].isAbstract && !module_[c].isInterface) addImplementations(c, method, found);
    for (ClassId sub : subclasses_[c.index()]) work.push_back(sub);
  }
  sortUnique(found);
  return found;
}

FunctionId CallGraph::uniqueImplementation(const SymbolRef& method) const {
  auto all = implementations(method);
  return all.size() == 1 ? all[0] : FunctionId();
}

void CallGraph::findCycles() {
  struct Visit {
    uint32_t function;
    size_t next;
  };
  size_t count = callees_.size();
  std::vector<uint32_t> number(count, 0), low(count, 0), component;
  std::vector<bool> onStack(count);
  std::vector<Visit> stack;
  uint32_t counter = 0;
  auto enter = [&](uint32_t f) {
    number[f] = low[f] = ++counter;
    onStack[f] = true;
    component.push_back(f);
    stack.push_back({f, 0});
  };
  for (uint32_t root = 0; root < count; ++root) {
    if (number[root] != 0) continue;
    enter(root);
    while (!stack.empty()) {
      uint32_t f = stack.back().function;
      if (stack.back().next < callees_[f].size()) {
        uint32_t g = callees_[f][stack.back().next++].index();
        if (g == f) recursive_[f] = true;
        if (number[g] == 0)
          enter(g);
        else if (onStack[g])
          low[f] = std::min(low[f], number[g]);
        continue;
      }
      stack.pop_back();
      if (!stack.empty()) low[stack.back().function] = std::min(low[stack.back().function], low[f]);
      if (low[f] != number[f]) continue;
      bool isCycle = component.back() != f;
      for (uint32_t g = ~0u; g != f;) {
        g = component.back();
        component.pop_back();
        onStack[g] = false;
        if (isCycle) recursive_[g] = true;
      }
    }
  }
}

// What a function has of this property its callers have too.
void CallGraph::spread(std::vector<bool>& property) const {
  std::vector<std::vector<uint32_t>> callers(callees_.size());
  std::vector<uint32_t> work;
  for (uint32_t f = 0; f < callees_.size(); ++f) {
    for (FunctionId g : callees_[f]) callers[g.index()].push_back(f);
    if (property[f]) work.push_back(f);
  }
  while (!work.empty()) {
    uint32_t f = work.back();
    work.pop_back();
    for (uint32_t caller : callers[f]) {
      if (property[caller]) continue;
      property[caller] = true;
      work.push_back(caller);
    }
  }
}

}  // namespace jvmc::ir
