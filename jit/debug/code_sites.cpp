#include "jit/debug/code_sites.h"

#include <llvm/DebugInfo/DWARF/DWARFContext.h>
#include <llvm/DebugInfo/DWARF/DWARFDebugLine.h>
#include <llvm/Object/ELFObjectFile.h>

#include <algorithm>

#include "ir/support/check.h"

namespace jvmc::jit {

using ir::FunctionId;
using ir::SourceLoc;

uint32_t CodeSites::add(const Site& site) {
  const auto [it, isNew] = numbers_.try_emplace(site, uint32_t(sites_.size() + 1));
  if (isNew) sites_.push_back(site);
  return it->second;
}

FunctionsByLine::FunctionsByLine(const ir::Module& program) {
  for (uint32_t f = 0; f < program.functions.size(); ++f)
    if (const SourceLoc& loc = program.functions[f].loc; loc.line != 0) byStart_[{loc.file, loc.line}] = FunctionId(f);
}

FunctionId FunctionsByLine::at(const SourceLoc& loc) const {
  auto after = byStart_.upper_bound({loc.file, loc.line});
  if (loc.line == 0 || after == byStart_.begin()) return {};
  --after;
  return after->first.first == loc.file ? after->second : FunctionId();
}

// ---------------------------------------------------------------- marking

SiteMarker::SiteMarker(Unit& unit, const FunctionsByLine& functions, const ir::FunctionBody& body, FunctionId function,
                       CodeSites& sites)
    : unit_(unit),
      functions_(functions),
      body_(body),
      function_(function),
      sites_(sites),
      builder_(unit.module()),
      file_(builder_.createFile("guest", "")) {
  unit.module().addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
  // In version 4 the table needs no other section to be read.
  unit.module().addModuleFlag(llvm::Module::Warning, "Dwarf Version", 4);
  builder_.createCompileUnit(llvm::dwarf::DW_LANG_C, file_, "", true, "", 0, "", llvm::DICompileUnit::LineTablesOnly, 0,
                             /*SplitDebugInlining=*/false, false, llvm::DICompileUnit::DebugNameTableKind::None);
}

llvm::DebugLoc SiteMarker::open(llvm::Function* function) {
  const auto flags = llvm::DISubprogram::SPFlagDefinition | llvm::DISubprogram::SPFlagOptimized;
  program_ = builder_.createFunction(file_, function->getName(), "", file_, 1,
                                     builder_.createSubroutineType(builder_.getOrCreateTypeArray({})), 1,
                                     llvm::DINode::FlagZero, flags);
  function->setSubprogram(program_);
  return location(sites_.add({function_, unit_.program()[function_].loc}));
}

llvm::DebugLoc SiteMarker::of(const ir::Instr& instr) {
  return location(siteOf(instr));
}

llvm::DebugLoc SiteMarker::location(uint32_t site) {
  return llvm::DILocation::get(unit_.context(), site, 0, program_);
}

/// An instruction with a frame state says itself where it was inlined. Of others only the source line is known: the
/// function that it belongs to, and a state of that function nearby.
uint32_t SiteMarker::siteOf(const ir::Instr& instr) {
  if (instr.frameState.valid()) {
    recent_ = instr.frameState;
    const ir::FrameState& state = body_.frameStates[recent_.index()];
    return sites_.add({state.function, instr.loc, outerSite(state.outer)});
  }
  const FunctionId owner = functions_.at(instr.loc);
  if (!owner.valid() || owner == function_) return sites_.add({function_, instr.loc});
  const ir::FrameStateId state = stateWithin(owner);
  const uint32_t outer = state.valid() ? outerSite(body_.frameStates[state.index()].outer)
                                       : sites_.add({function_, unit_.program()[function_].loc});
  return sites_.add({owner, instr.loc, outer});
}

/// A state of an inlined function: the latest one, or any.
ir::FrameStateId SiteMarker::stateWithin(FunctionId function) const {
  if (recent_.valid() && body_.frameStates[recent_.index()].function == function) return recent_;
  for (uint32_t i = 0; i < body_.frameStates.size(); ++i)
    if (body_.frameStates[i].function == function) return ir::FrameStateId(i);
  return {};
}

uint32_t SiteMarker::outerSite(ir::FrameStateId id) {
  if (!id.valid()) return 0;
  const ir::FrameState& state = body_.frameStates[id.index()];
  return sites_.add({state.function, locationOf(state.function, state.resumePoint / 2), outerSite(state.outer)});
}

SourceLoc SiteMarker::locationOf(FunctionId function, uint32_t flatIndex) {
  auto [known, isNew] = locations_.try_emplace(function.value);
  std::vector<SourceLoc>& all = known->second;
  if (isNew)
    if (auto body = unit_.program().body(function); body.ok())
      for (const ir::Block& block : (*body)->blocks)
        for (const ir::Instr& instr : block.instrs) all.push_back(instr.loc);
  return flatIndex < all.size() ? all[flatIndex] : unit_.program()[function].loc;
}

// ---------------------------------------------------------------- reading

UnitLines::UnitLines(llvm::MemoryBufferRef object, CodeSites sites) : sites_(std::move(sites)) {
  auto file = llvm::object::ObjectFile::createObjectFile(object);
  JVMC_CHECK(bool(file), "an object of ours cannot be read");
  for (const llvm::object::SymbolRef& symbol : (*file)->symbols()) {
    auto type = symbol.getType();
    auto name = symbol.getName();
    auto value = symbol.getValue();
    if (type && *type == llvm::object::SymbolRef::ST_Function && name && value) symbols_[name->str()] = *value;
    llvm::consumeError(type.takeError());
    llvm::consumeError(name.takeError());
    llvm::consumeError(value.takeError());
  }
  for (const llvm::object::SectionRef& section : (*file)->sections()) {
    auto name = section.getName();
    auto contents = section.getContents();
    if (name && contents && *name == ".debug_line") table_ = contents->str();
    llvm::consumeError(name.takeError());
    llvm::consumeError(contents.takeError());
  }
}

std::optional<uint64_t> UnitLines::offsetOf(const std::string& symbol) const {
  const auto found = symbols_.find(symbol);
  return found == symbols_.end() ? std::nullopt : std::optional(found->second);
}

/// The table of an object that is not linked yet counts addresses from the start of its code.
void UnitLines::readTable() const {
  const auto context = llvm::DWARFContext::create(llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>>(), 8);
  llvm::DWARFDataExtractor data(table_, /*IsLittleEndian=*/true, /*AddressSize=*/8);
  const auto ignore = [](llvm::Error error) { llvm::consumeError(std::move(error)); };
  llvm::DWARFDebugLine::LineTable table;
  uint64_t offset = 0;
  llvm::consumeError(table.parse(data, &offset, *context, nullptr, ignore));
  for (const llvm::DWARFDebugLine::Row& row : table.Rows) {
    // Where LLVM merged code of several places it says line 0: the place before is the best guess.
    const uint32_t before = rows_.empty() ? 0 : rows_.back().second;
    rows_.emplace_back(row.Address.Address, row.EndSequence ? 0 : row.Line != 0 ? row.Line : before);
  }
  std::stable_sort(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  table_ = {};
}

uint32_t UnitLines::siteAt(uint64_t offset) const {
  std::call_once(once_, [this] { readTable(); });
  auto after =
      std::upper_bound(rows_.begin(), rows_.end(), offset, [](uint64_t at, const auto& row) { return at < row.first; });
  if (after == rows_.begin()) return 0;
  const uint32_t site = std::prev(after)->second;
  return sites_.has(site) ? site : 0;
}

}  // namespace jvmc::jit
