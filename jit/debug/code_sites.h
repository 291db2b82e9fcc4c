// Which places of the stored program machine code stands for: for profiles, which see program counters.
//
// Each instruction that is lowered gets a number, its *site*; LLVM carries it through its passes as the line of a debug
// location, and writes it into the object's line table. A site knows the places that its function was inlined at, which
// LLVM does not: our own passes inline.
//
//   lowering:  instr ── SiteMarker ──> site number ── DILocation ──> LLVM ──> .debug_line of the object
//   profile:   pc ── CodeCache ──> UnitLines::siteAt(offset) ──> CodeSites ──> function, source line, and so outwards
#pragma once

#include <llvm/IR/DIBuilder.h>
#include <llvm/Support/MemoryBufferRef.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "ir/module.h"
#include "jit/lower/unit.h"

namespace jvmc::jit {

/// The sites of one unit, by number; 0 is none.
class CodeSites {
 public:
  struct Site {
    ir::FunctionId function;  ///< baseline
    ir::SourceLoc loc;
    uint32_t outer = 0;  ///< the site it is inlined at, 0: the unit's own function
    friend auto operator<=>(const Site& a, const Site& b) {
      return std::tuple(a.function.value, a.loc.file, a.loc.line, a.outer) <=>
             std::tuple(b.function.value, b.loc.file, b.loc.line, b.outer);
    }
  };

  /// The number of an equal site, or a new one. Columns do not count.
  uint32_t add(const Site& site);
  const Site& operator[](uint32_t number) const { return sites_[number - 1]; }
  bool has(uint32_t number) const { return number > 0 && number <= sites_.size(); }

 private:
  std::vector<Site> sites_;
  std::map<Site, uint32_t> numbers_;
};

/// To which function a source line belongs: the last one that is declared at or before it in its file.
class FunctionsByLine {
 public:
  explicit FunctionsByLine(const ir::Module& program);
  /// Invalid if no function is known to stand there.
  ir::FunctionId at(const ir::SourceLoc& loc) const;

 private:
  std::map<std::pair<uint32_t, uint32_t>, ir::FunctionId> byStart_;  // by file, line
};

/// Gives the instructions of one unit their debug locations. Used while the unit is lowered, by one thread.
class SiteMarker {
 public:
  /// All must outlive the unit's lowering; `sites` gets what the unit has.
  SiteMarker(Unit& unit, const FunctionsByLine& functions, const ir::FunctionBody& body, ir::FunctionId function,
             CodeSites& sites);
  /// `function` is what the body is lowered into. Gives the location of its prologue.
  llvm::DebugLoc open(llvm::Function* function);
  llvm::DebugLoc of(const ir::Instr& instr);
  /// Nothing more is marked.
  void close() { builder_.finalize(); }

 private:
  uint32_t siteOf(const ir::Instr& instr);
  uint32_t outerSite(ir::FrameStateId id);
  ir::SourceLoc locationOf(ir::FunctionId function, uint32_t flatIndex);
  ir::FrameStateId stateWithin(ir::FunctionId function) const;
  llvm::DebugLoc location(uint32_t site);

  Unit& unit_;
  const FunctionsByLine& functions_;
  const ir::FunctionBody& body_;
  const ir::FunctionId function_;
  CodeSites& sites_;
  llvm::DIBuilder builder_;
  llvm::DIFile* file_;
  llvm::DISubprogram* program_ = nullptr;
  std::map<uint32_t, std::vector<ir::SourceLoc>> locations_;  // by FunctionId, then flat index
  ir::FrameStateId recent_;                                   // of the last instruction that had a state
};

/// What an object file says about its code: thread-safe once made.
class UnitLines {
 public:
  /// Keeps a copy of the line table; it is read when somebody asks. `object` is a relocatable object of ours.
  UnitLines(llvm::MemoryBufferRef object, CodeSites sites);

  /// Where the function of this name begins in the object's code; nullopt if it has none.
  std::optional<uint64_t> offsetOf(const std::string& symbol) const;
  /// What stands at an offset in the object's code: the site number, 0 if unknown.
  uint32_t siteAt(uint64_t offset) const;
  const CodeSites& sites() const { return sites_; }

 private:
  void readTable() const;

  CodeSites sites_;
  std::map<std::string, uint64_t> symbols_;
  mutable std::once_flag once_;
  mutable std::string table_;                                // the bytes of .debug_line, until they are read
  mutable std::vector<std::pair<uint64_t, uint32_t>> rows_;  // offset of the first byte, site; ascending
};

}  // namespace jvmc::jit
